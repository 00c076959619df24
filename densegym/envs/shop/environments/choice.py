"""``DenseGym/ShopChoice-v0``: the shop as a choice among at most 64 candidates with features."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from densegym.envs.shop.environments.branching import Branching
from densegym.envs.shop.environments.features import Featurizer, K
from densegym.envs.shop.environments.lanes import Lane, Observation, observation_space, observe
from densegym.envs.shop.environments.text import make_setting
from densegym.envs.shop.session.core import ShopCore
from densegym.envs.shop.session.world import ShopWorld
from densegym.errors import DenseGymError


class ShopChoiceEnv(Branching, gym.Env[Observation, np.int64], RecordConstructorArgs):
    """The shop for policies without language: candidates with features, and a mask.

    The same transitions as ``DenseGym/Shop-v0`` for the same action strings. ``actions[k]`` is the
    string behind candidate k; a masked slot is an invalid step, never an error.

    Args:
        oracle_queries: also offer searches that read the target, as the original's agents do.
        peek: tell how a product's full text matches before it was opened.
        render_mode: ``"ansi"`` or None.
        reward: ignored; the wrapper around the world pays it.
        protocol: ignored; the wrapper around the world refuses what does not fit.
        **setting: see ``world.Setting``.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        *,
        oracle_queries: bool = False,
        peek: bool = False,
        render_mode: str | None = None,
        reward: object = None,
        protocol: object = None,
        **setting: Any,
    ) -> None:
        RecordConstructorArgs.__init__(
            self, oracle_queries=oracle_queries, peek=peek, render_mode=render_mode, **setting
        )
        self.world = ShopWorld(make_setting(setting))
        self.render_mode = render_mode
        self.observation_space = observation_space()
        self.action_space = spaces.Discrete(K)
        self._peek = peek
        self.lane = Lane(self.world, Featurizer(self.world.shop, oracle=oracle_queries))
        self._ended, self._invalid = True, ""

    @property
    def actions(self) -> tuple[str, ...]:
        """Return the action strings behind the candidates."""
        return tuple(map(str, self.lane.actions))

    def action_masks(self) -> NDArray[np.bool_]:
        """Return (64,) which candidates may be taken, as MaskablePPO asks for."""
        return np.arange(K) < len(self.lane.actions)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; options as those of ``DenseGym/Shop-v0``."""
        if (shown := self._resumed(seed, options)) is not None:
            return shown
        self.lane.begin(self.np_random, options)
        self._ended, self._invalid = False, ""
        return self._observation(), self.world.info(self.lane.core)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take a candidate.

        Raises:
            DenseGymError: the episode has ended, or has not begun.
        """
        if self._ended:
            raise DenseGymError("the episode has ended; call reset()")
        reward, terminated, truncated, invalid = self.lane.act(int(action))
        self._ended, self._invalid = terminated or truncated, invalid
        info = self.world.info(self.lane.core, invalid)
        return self._observation(), reward, terminated, truncated, info

    def state_dict(self) -> dict[str, Any]:
        """Return plain values from which ``load_state_dict`` goes on: branching an episode."""
        return {**self.lane.core.state_dict(), "ended": self._ended}

    def load_state_dict(self, values: dict[str, Any]) -> tuple[Observation, dict[str, Any]]:
        """Go on from ``state_dict``, of this environment or of ``DenseGym/Shop-v0``.

        Raises:
            DenseGymError: it is no such dict, or of a goal that is not in this part.
        """
        self.world.restore(self.lane.core, values)
        self._ended, self._invalid = bool(values.get("ended")), ""
        return self._look_again()

    def _shopper(self) -> ShopCore:
        return self.lane.core

    def _look_again(self) -> tuple[Any, dict[str, Any]]:
        self.lane.show(self.lane.core)
        return self._observation(), self.world.info(self.lane.core, self._invalid)

    def render(self) -> str | None:  # type: ignore[override]
        """Return the page as text."""
        from densegym.envs.shop.session.render_text import text_rich

        return text_rich(self.lane.core) if self.render_mode == "ansi" else None

    def _observation(self) -> Observation:
        seen = observe([self.lane], max_steps=self.world.max_steps, peek=self._peek)
        return {name: values[0] for name, values in seen.items()}
