"""Plays a world at random: counts what it says, or how well a judge of subgoals does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gymnasium as gym

from densegym.errors import DenseGymError
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.intrinsic.canonical import step_captions


def harvest(
    env_id: str,
    steps: int,
    *,
    seed: int = 0,
    sticky: float = 0.5,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Counter[str]:
    """Return how often every caption was said.

    Args:
        env_id: a world whose info has captions.
        steps: steps to play.
        seed: of the world and of the actions.
        sticky: how likely an action is repeated, so that the agent gets somewhere.
        on_progress: told how many steps are done, every thousand.

    Raises:
        DenseGymError: no steps are asked for.
        RewardError: the world describes nothing.
    """
    if steps < 1:
        raise DenseGymError(f"steps is at least 1; given {steps}")
    said: Counter[str] = Counter()
    env: gym.Env[Any, Any] = gym.make(env_id)
    try:
        for step, info in enumerate(_play(env, steps, seed, sticky), start=1):
            said.update(step_captions(info))
            if step % 1000 == 0:
                on_progress(step)
    finally:
        env.close()
    return said


def score_judge(
    env_id: str,
    steps: int,
    *,
    seed: int = 0,
    sticky: float = 0.5,
    on_progress: Callable[[int], None] = lambda done: None,
    **options: Any,
) -> dict[str, float]:
    """Return precision, recall and F1 of a judge of subgoals, against the world's milestones.

    Args:
        env_id: a world with milestones and subgoals.
        steps: steps to play at random.
        seed: of the world and of the actions.
        sticky: how likely an action is repeated.
        on_progress: told how many steps are done, every thousand.
        **options: of ``intrinsic/calm``: ``annotator``, ``subgoals``, ``table``, ``llm``.
    """
    env: gym.Env[Any, Any] = gym.make(env_id, reward={"model": "intrinsic/calm", **options})
    try:
        for step, _ in enumerate(_play(env, steps, seed, sticky), start=1):
            if step % 1000 == 0:
                on_progress(step)
        engine: RewardEngine = env.get_wrapper_attr("engine")
        return engine.metrics()
    finally:
        env.close()


def _play(
    env: gym.Env[Any, Any], steps: int, seed: int, sticky: float
) -> Iterator[Mapping[str, Any]]:
    """Yield the info of every step of random play."""
    if steps < 1:
        raise DenseGymError(f"steps is at least 1; given {steps}")
    env.reset(seed=seed)
    env.action_space.seed(seed)
    action = env.action_space.sample()
    for _ in range(steps):
        if env.np_random.random() >= sticky:
            action = env.action_space.sample()
        *_, terminated, truncated, info = env.step(action)
        yield info
        if terminated or truncated:
            env.reset()
