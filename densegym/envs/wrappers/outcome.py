"""Sees to it that what a reward wrapper takes for the world's outcome is the world's outcome.

Wrappers below it that change rewards are refused: known ones by their type as the reward wrapper
is made, others on the first step on which they hand on another reward than the world's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import wrappers as single
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv, VectorWrapper
from gymnasium.wrappers import vector as vectors

from densegym.errors import RewardError

CHANGES_REWARDS: tuple[type, ...] = (
    gym.RewardWrapper,
    single.NormalizeReward,
    gym.vector.VectorRewardWrapper,
    vectors.NormalizeReward,
)
"""Gymnasium's wrappers that pay something else than the world."""
_HANDS_ON = (
    "gymnasium.",
    "densegym.",
    "pettingzoo.utils.",
    "stable_baselines3.common.monitor",
    "stable_baselines3.common.vec_env.",
)
_DECLARATION = "defines_outcome"


class PaysReward:
    """Marks DenseGym's reward wrappers."""


class Purse:
    """What a world paid since it was last asked, up to the end of an episode if one ended."""

    _paid: Any = 0.0
    _until_end: Any = None

    def put(self, reward: Any) -> None:
        """Add a reward, or the rewards of all lanes."""
        self._paid = self._paid + reward

    def restart(self) -> None:
        """Leave out what follows: wrappers may step while an episode is being started."""
        self._until_end = self._paid if self._until_end is None else self._until_end

    def taken(self) -> Any:
        """Return what was paid, and begin anew."""
        paid = self._paid if self._until_end is None else self._until_end
        self._paid, self._until_end = 0.0, None
        return paid


class Watch:
    """Compares what the world paid with what arrives through wrappers that nobody here knows.

    Args:
        world: knows what it paid since it was last asked.
        between: names of the wrappers above it.
    """

    def __init__(self, world: Purse, between: Sequence[str]) -> None:
        self._world = world
        self._between = " or ".join(between)

    def forget(self) -> None:
        """Leave out what was paid while episodes were being started."""
        self._world.taken()

    def compare(self, arrived: Any) -> None:
        """Check (B,) rewards; a wrapper that repeats actions may add several of the world's up.

        Raises:
            RewardError: they are not the world's.
        """
        paid = self._world.taken()
        same = np.isclose(arrived, paid, rtol=1e-6, atol=1e-9, equal_nan=True)
        if not np.all(same):
            row = int(np.argmin(same))
            was, now = (np.ravel(values)[row] for values in np.broadcast_arrays(paid, arrived))
            raise RewardError(
                f"{self._between} below DenseGym's wrapper changed the world's reward from {was} "
                f"to {now}, so return/env would not be the world's. Place it outside DenseGym's "
                f"wrapper; or, if what it pays is the outcome, write {_DECLARATION} = True in its "
                "class."
            )


class _World(gym.Wrapper[Any, Any, Any, Any], Purse):
    """Remembers what a world paid."""

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        self.restart()
        return self.env.reset(**kwargs)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        result = self.env.step(action)
        self.put(result[1])
        return result


class _Worlds(VectorWrapper, Purse):
    """Remembers what a host's worlds paid."""

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        result = self.env.step(actions)
        self.put(result[1])
        return result


def watch_env(env: gym.Env[Any, Any]) -> Watch | None:
    """Check the wrappers of an environment; return who watches those of unknown kind, if any.

    Raises:
        RewardError: one of them changes rewards.
    """
    return watch_layers(env, "env", gym.Wrapper, _World)


def watch_vector(host: VectorEnv[Any, Any, Any]) -> list[tuple[slice, Watch]]:
    """Check the wrappers of a host and of its sub-environments; return which rows who watches.

    Raises:
        RewardError: one of them changes rewards.
    """
    around = watch_layers(host, "env", VectorWrapper, _Worlds)
    watches = [] if around is None else [(slice(None), around)]
    base = host.unwrapped
    if isinstance(base, SyncVectorEnv):
        return watches + watch_lanes(base.envs)
    if isinstance(base, AsyncVectorEnv):  # out of reach; a wrapper's text names those inside
        chains = "".join(base.call("__str__"))
        refuse_types(kind for kind in _subclasses() if f"<{kind.__name__}<" in chains)
    return watches


def watch_lanes(envs: Sequence[gym.Env[Any, Any]]) -> list[tuple[slice, Watch]]:
    """Return which rows of a host who watches, for sub-environments that can be reached."""
    watches = ((slice(row, row + 1), watch_env(env)) for row, env in enumerate(envs))
    return [(rows, watch) for rows, watch in watches if watch is not None]


def watch_layers(top: Any, below: str, kind: type, witness: Callable[[Any], Any]) -> Watch | None:
    """Check the wrappers of any host, outermost first.

    Args:
        top: the host.
        below: attribute of a wrapper that holds what it wraps.
        kind: class of the wrappers.
        witness: wraps the world below wrappers of unknown kind and adds up what it pays.

    Raises:
        RewardError: one of them changes rewards.
    """
    unknown, layer = [], top
    while isinstance(layer, kind) and not vars(type(layer)).get(_DECLARATION, False):
        refuse_types([type(layer)])
        if not type(layer).__module__.startswith(_HANDS_ON):
            unknown.append(layer)
        layer = getattr(layer, below)
    if not unknown:
        return None
    world = witness(getattr(unknown[-1], below))
    setattr(unknown[-1], below, world)
    return Watch(world, [type(layer).__name__ for layer in unknown])


def refuse_types(kinds: Iterable[type]) -> None:
    """Refuse wrappers that change rewards.

    Raises:
        RewardError: one of the classes does.
    """
    for kind in kinds:
        if issubclass(kind, PaysReward):
            refuse_second()
        if issubclass(kind, CHANGES_REWARDS):
            refuse_reward_wrapper(kind.__name__)


def refuse_second() -> None:
    """Refuse a world that has a reward of ours already.

    Raises:
        RewardError: always.
    """
    raise RewardError(
        "these worlds have DenseGym's reward wrapper already, and a second one would take its pay "
        "for the outcome. Give the reward once: gym.make(ID, reward=...), densegym.make_vec(ID, n, "
        'reward=...), make_vec_env(ID, env_kwargs={"reward": ...}); or wrap worlds without one, '
        "gym.make(densegym.envs.registration.bare_spec(ID))."
    )


def refuse_reward_wrapper(name: str) -> None:
    """Refuse a wrapper that changes rewards.

    Raises:
        RewardError: always.
    """
    raise RewardError(
        f"{name} below DenseGym's wrapper would change the world's outcome (return/env). Place it "
        f"outside: first DenseGym's wrapper around the world, then {name} around that."
    )


def _subclasses() -> list[type]:
    """Return every known class of wrapper that changes rewards."""
    kinds: list[type] = [PaysReward, *CHANGES_REWARDS]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return kinds
