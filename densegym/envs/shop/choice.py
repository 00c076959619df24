"""``DenseGym/ShopChoice-v0``: the shop as a choice among at most 64 candidates with features."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from densegym.envs.shop.actions import NO_ACTION, Action
from densegym.envs.shop.core import ShopCore
from densegym.envs.shop.features import (
    BODY,
    EXACT,
    FUZZY,
    GOAL,
    GROUP_SET,
    LEFT,
    MATCH,
    NUMBER,
    OPENED,
    PAGE,
    SET_SHARE,
    F,
    Featurizer,
    K,
    Offer,
)
from densegym.envs.shop.text import make_setting
from densegym.envs.shop.world import ShopWorld
from densegym.errors import DenseGymError

Observation = dict[str, NDArray[Any]]


def observation_space() -> spaces.Dict:
    """Return the space of one lane's observation."""
    return spaces.Dict(
        {
            "goal": spaces.Box(-1.0, 1.0, (GOAL,), np.float32),
            "page": spaces.Box(-1.0, 1.0, (PAGE,), np.float32),
            "cands": spaces.Box(-1.0, 1.0, (K, F), np.float32),
            "mask": spaces.MultiBinary(K),
        }
    )


class Lane:
    """One shopper and the rows of the arrays that describe what it can do.

    Args:
        world: the shop.
        featurizer: shared by all lanes of a process.
        arrays: ``goal`` (128,), ``page`` (16,), ``cands`` (64, 40), ``mask`` (64,), written to.
    """

    def __init__(self, world: ShopWorld, featurizer: Featurizer, arrays: Observation) -> None:
        self._world, self._featurizer = world, featurizer
        self.core = ShopCore(world.shop)
        self._goal, self._page = arrays["goal"], arrays["page"]
        self._cands, self._mask = arrays["cands"], arrays["mask"]
        self.actions: tuple[Action, ...] = ()

    def begin(self, rng: np.random.Generator, options: dict[str, Any] | None = None) -> None:
        """Start an episode."""
        self.core.begin(self._world.goal(rng, options))
        self.show(self.core)

    def show(self, core: ShopCore) -> None:
        """Describe the page on which another shopper stands, from now on."""
        self.core = core
        self._goal[:] = self._featurizer.request(core.goal).embedding
        self._write()

    def act(self, action: int) -> tuple[float, bool, bool, str]:
        """Take a candidate; returns reward, terminated, truncated and why it was invalid."""
        chosen = self.actions[action] if 0 <= action < len(self.actions) else NO_ACTION
        done = self.core.perform(chosen)
        truncated = not done.terminated and self.core.state.steps >= self._world.max_steps
        self._write()
        return done.reward, done.terminated, truncated, done.invalid

    def _write(self) -> None:
        """Bring the arrays up to date; rows beyond the candidates are 0."""
        core, state, before = self.core, self.core.state, len(self.actions)
        if core.over:
            self.actions, count = (), 0
            self._page[:] = 0.0
            self._page[4] = 1.0
        else:
            offer = self._featurizer.offer(core.goal, state)
            self.actions, count = offer.actions, len(offer.actions)
            self._cands[:count] = offer.rows
            self._page[:] = offer.page
            self._write_changing(offer, count)
        if before > count:
            self._cands[count:before] = 0.0
        self._mask[:count] = 1
        self._mask[count:] = 0

    def _write_changing(self, offer: Offer, count: int) -> None:
        """Fill in what the way there decides: clock, page number, options, what was opened."""
        state, cands = self.core.state, self._cands
        left = 1.0 - state.steps / self._world.max_steps
        number = min(state.number / 5.0, 1.0)
        cands[:count, LEFT], cands[:count, NUMBER] = left, number
        self._page[15], self._page[5] = left, number
        if state.page == "item" and state.options:
            self._write_options(offer, count)
        if state.page != "results":
            return
        if self._featurizer.peek:
            self._cands[:count, BODY] = offer.body
        if state.opened:
            opened = np.isin(offer.products, list(state.opened))
            self._cands[:count, OPENED] = opened
            if not self._featurizer.peek:
                self._cands[:count, BODY] = opened * offer.body

    def _write_options(self, offer: Offer, count: int) -> None:
        chosen, cands = self.core.state.options, self._cands
        share = len(chosen) / max(len(offer.groups), 1)
        cands[:count, SET_SHARE] = share
        self._page[7], self._page[14] = len(chosen) / 3.0, share
        match = 0.0
        for item in chosen:
            cands[offer.groups.get(item[0], []), GROUP_SET] = 1.0
            place = offer.places.get(item, -1)  # -1 where the option was dropped from the list
            if place >= 0:
                cands[place, OPENED] = 1.0
                match += max(cands[place, EXACT], cands[place, FUZZY])
        cands[offer.buy, MATCH] = match / len(chosen)


class ShopChoiceEnv(gym.Env[Observation, np.int64], RecordConstructorArgs):
    """The shop for policies without language: candidates with features, and a mask.

    The same transitions as ``DenseGym/Shop-v0`` for the same action strings. ``actions[k]`` is the
    string behind candidate k; a masked slot is an invalid step, never an error.

    Args:
        oracle_queries: also offer searches that read the target, as the original's agents do.
        peek: tell how a product's full text matches before it was opened.
        render_mode: ``"ansi"`` or None.
        reward: ignored; the skin around the world pays it.
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
        **setting: Any,
    ) -> None:
        RecordConstructorArgs.__init__(
            self, oracle_queries=oracle_queries, peek=peek, render_mode=render_mode, **setting
        )
        self.world = ShopWorld(make_setting(setting))
        self.render_mode = render_mode
        self.observation_space = observation_space()
        self.action_space = spaces.Discrete(K)
        self._arrays = blank((), self.observation_space)
        featurizer = Featurizer(self.world.shop, oracle=oracle_queries, peek=peek)
        self.lane = Lane(self.world, featurizer, self._arrays)
        self._ended = True

    @property
    def actions(self) -> tuple[str, ...]:
        """Return the action strings behind the candidates."""
        return tuple(map(str, self.lane.actions))

    def action_masks(self) -> NDArray[np.bool_]:
        """Return (64,) which candidates may be taken, as MaskablePPO asks for."""
        return self._arrays["mask"].astype(np.bool_)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; options as those of ``DenseGym/Shop-v0``."""
        super().reset(seed=seed)
        self.lane.begin(self.np_random, options)
        self._ended = False
        return self._observation(), self.world.info(self.lane.core)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take a candidate.

        Raises:
            DenseGymError: the episode has ended, or has not begun.
        """
        if self._ended:
            raise DenseGymError("the episode has ended; call reset()")
        reward, terminated, truncated, invalid = self.lane.act(int(action))
        self._ended = terminated or truncated
        info = self.world.info(self.lane.core, invalid)
        return self._observation(), reward, terminated, truncated, info

    def render(self) -> str | None:  # type: ignore[override]
        """Return the page as text."""
        from densegym.envs.shop.render_text import text_rich

        return text_rich(self.lane.core) if self.render_mode == "ansi" else None

    def _observation(self) -> Observation:
        return {name: values.copy() for name, values in self._arrays.items()}


def blank(lanes: tuple[int, ...], space: spaces.Dict) -> Observation:
    """Return zeros for every entry of a space, with leading axes."""
    return {
        name: np.zeros((*lanes, *(item.shape or ())), item.dtype)
        for name, item in space.spaces.items()
    }
