"""Puts a reward on anybody's environment: one, a vector of them, Stable-Baselines3's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium as gym
from gymnasium.vector import VectorEnv

from densegym.envs import tasks
from densegym.envs.custom.success import TellsSuccess, success_wrapper
from densegym.envs.wrappers.single import DenseReward
from densegym.envs.wrappers.vector import DenseRewardVector
from densegym.errors import require
from densegym.reward_models.spec import RewardSpec
from densegym.reward_models.types import TaskCard

if TYPE_CHECKING:
    from densegym.envs.wrappers.sb3 import DenseRewardVecEnv


def wrap(
    env: gym.Env[Any, Any],
    reward: RewardSpec = None,
    *,
    task: TaskCard | None = None,
    seed: int = 0,
) -> DenseReward:
    """Pay a reward in any Gymnasium environment.

    Args:
        env: the environment, with its ``TimeLimit``.
        reward: a reward specification or a function; None is the environment's own.
        task: its task card; None takes what ``register_task`` was told about the id.
        seed: of rewards that draw random numbers.

    Example:
        >>> import gymnasium, densegym
        >>> def upright(obs, action, next_obs, info):
        ...     return 1.0 - abs(float(next_obs[2]))
        >>> env = densegym.wrap(gymnasium.make("CartPole-v1"), reward=upright)
        >>> _ = env.reset(seed=0)
        >>> env.step(0)[1] < 1.0
        True
    """
    world = None if env.spec is None else tasks.find_world(env.spec.id)
    if world is not None and world.success is not None and not _tells(env):
        told = success_wrapper(world.success, world.card).kwargs
        env = TellsSuccess(env, **(told or {}))
    return DenseReward(env, reward, task, seed)


def wrap_vec(
    env: VectorEnv[Any, Any, Any],
    reward: RewardSpec = None,
    *,
    task: TaskCard | None = None,
    seed: int = 0,
) -> DenseRewardVector:
    """Pay a reward in any Gymnasium vector environment; asked once per step for all lanes.

    Args:
        env: the vector environment, of any autoreset mode.
        reward: a reward specification or a function; None is the environment's own.
        task: its task card; None takes what ``register_task`` was told about the id.
        seed: of rewards that draw random numbers.
    """
    return DenseRewardVector(env, reward, task=task, seed=seed)


def wrap_sb3(
    venv: Any,
    reward: RewardSpec = None,
    *,
    task: TaskCard | None = None,
    env_id: str | None = None,
    seed: int = 0,
) -> DenseRewardVecEnv:
    """Pay a reward in any Stable-Baselines3 vector environment.

    Args:
        venv: the vector environment, without ``VecMonitor`` and ``VecNormalize``, which go outside.
        reward: a reward specification or a function; None is the environment's own.
        task: its task card.
        env_id: id of a registered card, instead of ``task``.
        seed: of rewards that draw random numbers.

    Raises:
        MissingExtraError: Stable-Baselines3 is not installed.
    """
    require("stable_baselines3", extra="agents")
    from densegym.envs.wrappers.sb3 import DenseRewardVecEnv

    return DenseRewardVecEnv(venv, reward, task=task, env_id=env_id, seed=seed)


def _tells(env: Any) -> bool:
    while isinstance(env, gym.Wrapper):
        if isinstance(env, TellsSuccess):
            return True
        env = env.env
    return False
