"""Scripted behaviours that fill a trajectory bank: from no actions to experts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from densegym.envs.experts import new_expert
from densegym.envs.registration import bare_spec
from densegym.envs.tasks import find_world
from densegym.envs.world import Act, Behaviour
from densegym.errors import DenseGymError
from densegym.reward_models.batch import map_leaves
from densegym.reward_models.types import Bool

HOLD = 10  # steps for which a sticky random action is kept


class Scripted:
    """A behaviour as a policy on batches of lanes; episode ``i`` draws from stream ``i``.

    Args:
        begin: starts the behaviour anew in every episode.
        seed: of all its random numbers.
    """

    def __init__(self, begin: Behaviour, seed: int) -> None:
        self._begin = begin
        self._streams = np.random.SeedSequence(seed)
        self._acts: dict[int, Act] = {}

    def __call__(self, obs: Any, fresh: Bool) -> Any:
        """Return one action per lane."""
        for lane in np.flatnonzero(fresh).tolist():
            stream = self._streams.spawn(1)[0]
            self._acts[lane] = self._begin(np.random.default_rng(stream))
        return np.stack([self._acts[lane](_lane(obs, lane)) for lane in range(len(fresh))])


def action_space(env_id: str) -> spaces.Space[Any]:
    """Return the actions of a world, which is made for a moment to ask it."""
    world = gym.make(bare_spec(env_id))
    space = world.action_space
    world.close()
    return space


def expert_behaviour(env_id: str) -> Behaviour | None:
    """Return the scripted expert of a task, or None where none is known."""
    world = find_world(env_id)
    if world is None or world.capabilities.expert is None:
        return None
    return lambda rng: new_expert(world)


def random(space: spaces.Space[Any], hold: int = 1) -> Behaviour:
    """Return uniform random actions, each kept for ``hold`` steps."""

    def begin(rng: np.random.Generator) -> Act:
        draw = _drawing(space, rng)
        kept: list[Any] = []

        def act(obs: Any) -> Any:
            if not kept:
                kept.extend([draw()] * hold)
            return kept.pop()

        return act

    return begin


def idle(space: spaces.Space[Any]) -> Behaviour:
    """Return a behaviour that does nothing: action zero at every step."""
    zero = np.zeros(space.shape or (), dtype=space.dtype)
    return lambda rng: lambda obs: zero


def noisy(expert: Behaviour, space: spaces.Space[Any], share: float) -> Behaviour:
    """Return an expert that acts at random in a ``share`` of its steps."""

    def begin(rng: np.random.Generator) -> Act:
        act, draw = expert(rng), _drawing(space, rng)

        def mixed(obs: Any) -> Any:
            meant = act(obs)
            return draw() if rng.random() < share else meant

        return mixed

    return begin


def _lane(obs: Any, lane: int) -> Any:
    return map_leaves(lambda leaf: leaf[lane], obs)


def _drawing(space: spaces.Space[Any], rng: np.random.Generator) -> Callable[[], Any]:
    if isinstance(space, spaces.Box) and space.is_bounded():
        low, high = space.low, space.high
        return lambda: rng.uniform(low, high).astype(space.dtype)
    if isinstance(space, spaces.Discrete):
        return lambda: int(space.start + rng.integers(space.n))
    if isinstance(space, spaces.Box):
        return lambda: np.clip(rng.normal(size=space.shape), space.low, space.high).astype(
            space.dtype
        )
    if isinstance(space, spaces.MultiDiscrete):
        return lambda: (space.start + rng.integers(space.nvec)).astype(space.dtype)
    if isinstance(space, spaces.MultiBinary):
        return lambda: rng.integers(2, size=space.shape).astype(space.dtype)
    raise DenseGymError(f"no random actions are known for {space}; this needs arrays or choices")
