"""Episodes of a drifting point, of any length, for every test of credits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from densegym.reward_models.options import build
from densegym.reward_models.types import Episode, TaskCard

PLAIN = TaskCard(id="Toy/Plain-v0")


def made_credit(kind: Any, *, seed: int = 0, **options: Any) -> Any:
    """A credit of the plain task, built as a specification builds it."""
    return build(kind, kind.name, options, task=PLAIN, seed=seed)


def played(
    rewards: Sequence[float],
    *,
    seed: int = 0,
    slot: int = 0,
    terminated: bool = True,
    info: Sequence[dict[str, Any]] | None = None,
    discrete: bool = False,
) -> Episode:
    """One episode that paid ``rewards``; what was seen and done is noise."""
    rng, length = np.random.default_rng(seed), len(rewards)
    action: Any = rng.integers(4, size=length) if discrete else rng.normal(size=(length, 2))
    return Episode(
        slot=slot,
        obs=rng.normal(size=(length + 1, 2)),
        action=action,
        env_reward=np.array(rewards, dtype=np.float64),
        dense_reward=np.zeros(length),
        terminated=terminated,
        info=info or [{} for _ in range(length)],
    )


def drifts(count: int, seed: int = 0, length: int = 40) -> list[Episode]:
    """Points that drift; the reward is the first coordinate less the effort, hidden in R."""
    rng, made = np.random.default_rng(seed), []
    for slot in range(count):
        push = rng.uniform(-1, 1) + 0.5 * rng.normal(size=(length, 2))
        obs = np.cumsum(np.concatenate([rng.normal(size=(1, 2)), 0.3 * push]), axis=0)
        reward = obs[1:, 0] - 0.5 * np.square(push).sum(axis=1)
        infos: list[dict[str, Any]] = [{} for _ in range(length)]
        made.append(Episode(slot, obs, push, reward, np.zeros(length), True, infos))
    return made
