"""Registers every world with Gymnasium and makes environments with a reward on top."""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, WrapperSpec
from gymnasium.vector import AutoresetMode

from densegym.envs import tasks
from densegym.envs.nethack import cards as nethack_cards
from densegym.envs.probes import cards as probe_cards
from densegym.envs.robot import cards as robot_cards
from densegym.envs.shop import cards as shop_cards
from densegym.envs.tasks import World
from densegym.envs.wrappers.frames import frame_wrapper
from densegym.envs.wrappers.vector import DenseRewardVector
from densegym.reward_models.spec import RewardSpec, build_engine


def _wrapper(seed: int = 0) -> WrapperSpec:
    """Return the reward wrapper, applied outside ``TimeLimit``, where truncation can be seen."""
    kwargs = {"reward": None, "seed": seed}
    return WrapperSpec("DenseReward", "densegym.envs.wrappers.single:DenseReward", kwargs)


def register_world(world: World) -> None:
    """Register a world with Gymnasium, its reward wrapper outside ``TimeLimit``."""
    tasks.add_world(world)
    gym.register(
        world.card.id,
        entry_point=world.entry_point,
        kwargs=dict(world.kwargs),
        max_episode_steps=world.max_episode_steps,
        additional_wrappers=(_wrapper(),),
        vector_entry_point=world.vector_entry_point,
    )


def register_all() -> None:
    """Register every shipped world; runs once, on ``import densegym``."""
    for cards in (robot_cards, nethack_cards, shop_cards, probe_cards):
        for world in cards.worlds():
            register_world(world)


def bare_spec(env_id: str) -> EnvSpec:
    """Return the spec of a world without the reward wrapper, for hosts that add a batched one.

    Raises:
        UnknownNameError: no such id; names the closest.
    """
    tasks.task_card(env_id)
    return dataclasses.replace(gym.spec(env_id), additional_wrappers=())


def make(
    env_id: str, *, reward: RewardSpec = None, seed: int | None = None, **kwargs: Any
) -> gym.Env[Any, Any]:
    """Make one environment with a reward; like ``gym.make``, with closest-match errors first.

    Args:
        env_id: e.g. ``"DenseGym/ButtonPress-v0"``.
        reward: a reward specification; None is the world's own outcome.
        seed: of rewards that draw random numbers; if given, the environment is reset with it too.
        **kwargs: for ``gym.make`` and the world's constructor.
    """
    tasks.task_card(env_id)  # names the closest id, which Gymnasium would not
    spec = gym.spec(env_id)
    if seed is not None:
        spec = dataclasses.replace(spec, additional_wrappers=(_wrapper(seed),))
    env = gym.make(spec, reward=reward, **kwargs)
    if seed is not None:
        env.reset(seed=seed)
    return env


def make_vec(
    env_id: str,
    num_envs: int = 1,
    *,
    reward: RewardSpec = None,
    seed: int | None = None,
    vectorization_mode: str = "sync",
    autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
    **kwargs: Any,
) -> DenseRewardVector:
    """Make a vector environment whose reward model is called once per vector step.

    Args:
        env_id: e.g. ``"DenseGym/ButtonPress-v0"``.
        num_envs: number of lanes.
        reward: a reward specification; None is the world's own outcome.
        seed: seed of the first reset and of reward models that draw random numbers.
        vectorization_mode: ``"sync"`` (faster up to 0.3 ms per step), ``"async"``, or
            ``"vector_entry_point"`` for worlds that step many lanes at once by themselves.
        autoreset_mode: when ended lanes begin again.
        **kwargs: for the world's constructor.
    """
    own = vectorization_mode == "vector_entry_point"
    mode: dict[str, Any] = {"autoreset_mode": autoreset_mode}
    card = tasks.task_card(env_id)
    engine = build_engine(reward, num_envs, task=card, seed=seed or 0)
    # Given to the worlds as they are made, because a worker process cannot be reached later.
    frames = [frame_wrapper(engine.pictures, card)] if engine.needs_frames and not own else []
    inner = gym.make_vec(
        bare_spec(env_id),
        num_envs=num_envs,
        vectorization_mode=vectorization_mode,
        vector_kwargs={} if own else mode,
        wrappers=frames,
        **(mode if own else {}),
        **kwargs,
    )
    return DenseRewardVector(inner, reward, card, seed, engine=engine)
