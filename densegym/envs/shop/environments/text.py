"""``DenseGym/Shop-v0``: the shop as text, for language-model agents and everybody who reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

import gymnasium as gym
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from densegym.envs.shop.environments.branching import Branching
from densegym.envs.shop.environments.spaces import FreeText
from densegym.envs.shop.session.actions import MAX_ACTION
from densegym.envs.shop.session.core import REASONS, ShopCore
from densegym.envs.shop.session.render_html import page_html
from densegym.envs.shop.session.render_text import text, text_rich
from densegym.envs.shop.session.urls import url
from densegym.envs.shop.session.world import Setting, ShopWorld
from densegym.errors import DenseGymError, unknown

ObsMode = Literal["text", "text_rich", "html", "url", "dict"]
MAX_OBSERVATION = 20_000  # characters; what is longer is cut
RENDER_MODES = ("ansi", "html")
_DRAW: dict[str, Callable[[ShopCore], str]] = {
    "text": text,
    "text_rich": text_rich,
    "html": page_html,
    "url": lambda core: url(core, core.goal.id),
}
_SAMPLES = (
    "search[red shoes]",
    "search[desk lamp]",
    "click[next >]",
    "click[< prev]",
    "click[back to search]",
    "click[#1]",
    "click[features]",
    "click[buy now]",
)


class ShopEnv(Branching, gym.Env[Any, str], RecordConstructorArgs):
    """A shop in which one request is to be fulfilled; the reward comes with the purchase.

    Actions are ``search[words]`` on the index page and ``click[target]`` for anything that
    ``info["valid_actions"]`` lists; products may also be clicked by title or ``#rank``, options by
    ``group: value``. An invalid action changes nothing but the clock, and the observation begins
    with why. Buying terminates the episode, ``max_steps`` truncates it; a purchase on the very
    last step counts as termination.

    Args:
        obs_mode: ``"text"``, ``"text_rich"``, ``"html"``, ``"url"``, or ``"dict"`` with
            ``instruction``, ``page``, ``text`` and ``options`` (JSON).
        error_text: whether an invalid action is explained; never in parity mode.
        render_mode: ``"ansi"``, ``"html"`` or None.
        reward: ignored; the wrapper around the world pays it.
        protocol: ignored; the wrapper around the world refuses what does not fit.
        **setting: see ``world.Setting``.

    Raises:
        UnknownNameError: no such store, mode, split, rule or scoring.
        DenseGymError: the store cannot be had, or has no goal.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        *,
        obs_mode: ObsMode = "text",
        error_text: bool = True,
        render_mode: str | None = None,
        reward: object = None,
        protocol: object = None,
        **setting: Any,
    ) -> None:
        RecordConstructorArgs.__init__(
            self, obs_mode=obs_mode, error_text=error_text, render_mode=render_mode, **setting
        )
        if obs_mode not in (*_DRAW, "dict"):
            raise unknown("obs_mode", obs_mode, (*_DRAW, "dict"))
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise unknown("render mode", render_mode, RENDER_MODES)
        self.world = ShopWorld(make_setting(setting))
        self.core = ShopCore(self.world.shop)
        self.render_mode, self._mode = render_mode, obs_mode
        self._explains = error_text and not self.world.setting.parity
        page = FreeText(MAX_OBSERVATION)
        self.observation_space: spaces.Space[Any] = (
            spaces.Dict(dict.fromkeys(("instruction", "page", "text", "options"), page))
            if obs_mode == "dict"
            else page
        )
        self.action_space = FreeText(MAX_ACTION, _SAMPLES)
        self._ended, self._invalid = True, ""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode on the index page.

        Args:
            seed: decides which goals are drawn.
            options: ``{"goal_id": int}`` or ``{"goal": Goal}`` to choose one, or
                ``{"state": state}`` to go on from ``get_state``.

        Raises:
            UnknownNameError: another option.
            DenseGymError: no such goal, or no state.
        """
        if (shown := self._resumed(seed, options)) is not None:
            return shown
        self.core.begin(self.world.goal(self.np_random, options))
        self._ended, self._invalid = False, ""
        return self._observation(), self._info("")

    def step(self, action: str) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Carry out one action.

        Raises:
            DenseGymError: the episode has ended, or has not begun.
        """
        if self._ended:
            raise DenseGymError("the episode has ended; call reset()")
        done = self.core.act(action)
        truncated = not done.terminated and self.core.state.steps >= self.world.max_steps
        self._ended, self._invalid = done.terminated or truncated, done.invalid
        info = self._info(done.invalid)
        return self._observation(done.invalid), done.reward, done.terminated, truncated, info

    def render(self) -> str | None:  # type: ignore[override]
        """Return the page as text for a terminal, or as a standalone HTML page."""
        if self.render_mode is None:
            return None
        return text_rich(self.core) if self.render_mode == "ansi" else page_html(self.core)

    def state_dict(self) -> dict[str, Any]:
        """Return plain values from which ``load_state_dict`` goes on: branching an episode."""
        return {**self.core.state_dict(), "ended": self._ended}

    def load_state_dict(self, values: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Go on from ``state_dict``; returns the observation and info of that point.

        Raises:
            DenseGymError: it is no such dict, or of a goal that is not in this part.
        """
        self.world.restore(self.core, values)
        self._ended, self._invalid = bool(values.get("ended")), ""
        return self._look_again()

    def _shopper(self) -> ShopCore:
        return self.core

    def _look_again(self) -> tuple[Any, dict[str, Any]]:
        return self._observation(self._invalid), self._info(self._invalid)

    def _info(self, invalid: str) -> dict[str, Any]:
        return {**self.world.info(self.core, invalid), "valid_actions": self.core.valid_actions()}

    def _observation(self, invalid: str = "") -> Any:
        reason = self._reason(invalid) if invalid and self._explains else ""
        if self._mode != "dict":
            return f"{reason}{_DRAW[self._mode](self.core)}"[:MAX_OBSERVATION]
        return {
            "instruction": self.core.goal.instruction,
            "page": self.core.state.page,
            "text": f"{reason}{text(self.core)}"[:MAX_OBSERVATION],
            "options": json.dumps(dict(self.core.state.options)),
        }

    def _reason(self, invalid: str) -> str:
        kinds = "search[words]" if self.core.state.page == "index" else "click[target]"
        return f"Invalid action: {REASONS[invalid]}. Allowed here: {kinds}.\n"


def make_setting(values: dict[str, Any]) -> Setting:
    """Return a setting from keyword arguments.

    Raises:
        UnknownNameError: an argument that the shop does not take; names the closest.
    """
    for name in values:
        if name not in Setting.__dataclass_fields__:
            raise unknown("argument of the shop", name, Setting.__dataclass_fields__)
    return Setting(**values)
