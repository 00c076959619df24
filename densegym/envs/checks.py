"""``check_dense_env``: the contract of a DenseGym environment, for third parties to call."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from densegym.errors import DenseGymError
from densegym.reward_models.batch import map_leaves

_EVERY_STEP = ("reward/env", "reward/dense", "reward/valid", "return/env", "return/dense")


def check_dense_env(env: gym.Env[Any, Any], *, steps: int = 50, seed: int = 0) -> None:
    """Check that an environment with a reward skin keeps the contract.

    Checked: flat float info on reset and every step, ``is_success`` from the world, running
    returns that add up, observations inside their space and not overwritten later, equal seeds
    giving equal episodes.

    Args:
        env: the environment as ``gym.make`` returns it.
        steps: how many steps to take.
        seed: of the episodes.

    Raises:
        DenseGymError: a rule is broken; the message says which.
    """
    first = _roll(env, steps, seed)
    _roll(env, steps, seed + 1)
    for t, (one, other) in enumerate(zip(first, _roll(env, steps, seed), strict=True)):
        if not _equal(one, other):
            raise DenseGymError(
                f"{env} does not honour reset(seed=): two episodes of seed {seed} differ at {t}"
            )


def _roll(env: gym.Env[Any, Any], steps: int, seed: int) -> list[tuple[Any, ...]]:
    env.action_space.seed(seed)
    obs, info = env.reset(seed=seed)
    _check_observation(env, obs)
    _check_info(info, "reset")
    trace: list[tuple[Any, ...]] = [(obs, 0.0)]
    copies = [_copied(obs)]
    paid = earned = 0.0
    for _ in range(steps):
        obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
        _check_observation(env, obs)
        _check_info(info, "step")
        paid, earned = paid + float(reward), earned + info["reward/env"]
        if info["reward/dense"] != reward:
            raise DenseGymError(f"reward/dense is {info['reward/dense']}, but step paid {reward}")
        if not np.isclose(info["return/dense"], paid) or not np.isclose(info["return/env"], earned):
            raise DenseGymError(
                "return/env and return/dense must be the running sums of an episode"
            )
        trace.append((obs, float(reward)))
        copies.append(_copied(obs))
        if terminated or truncated:
            break
    for (seen, _), copy in zip(trace, copies, strict=True):
        if not _equal(seen, copy):
            raise DenseGymError(f"{env} overwrites observations it has returned; return copies")
    return trace


def _check_observation(env: gym.Env[Any, Any], obs: Any) -> None:
    if not env.observation_space.contains(obs):
        raise DenseGymError(f"{env} observed something outside its space {env.observation_space}")


def _check_info(info: dict[str, Any], when: str) -> None:
    for key in (*_EVERY_STEP, "is_success"):
        if type(info.get(key)) is not float:
            raise DenseGymError(f"info[{key!r}] on {when} is a float; found {info.get(key)!r}")


def _copied(obs: Any) -> Any:
    return map_leaves(lambda leaf: leaf if isinstance(leaf, str) else np.array(leaf), obs)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return all(_equal(a, b) for a, b in zip(one, other, strict=True))
    return bool(np.array_equal(one, other))
