"""Every robot world keeps the contract that rewards, checkers and trainers rely on."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_for_sb3

from densegym.envs.robot import cards
from densegym.envs.world import World

WORLDS = cards.worlds()
OTHERS = [world for world in WORLDS if world.card.family != "metaworld"]
# Unbounded observations are upstream's: positions and velocities have no limits.
pytestmark = pytest.mark.filterwarnings("ignore:.*A Box observation space .*infinity")


def build(world: World, **kwargs: Any) -> Any:
    module, name = world.entry_point.split(":")
    return getattr(import_module(module), name)(**world.kwargs, **kwargs)


def name_of(world: World) -> str:
    return world.card.id


def equal(first: Any, second: Any) -> bool:
    if isinstance(first, dict):
        return all(equal(first[key], second[key]) for key in first)
    return np.array_equal(first, second)


def play(env: Any, seed: int | None, steps: int) -> list[tuple[Any, float]]:
    env.action_space.seed(1)
    seen = [(env.reset(seed=seed)[0], 0.0)]
    for _ in range(steps):
        obs, reward, *_ = env.step(env.action_space.sample())
        seen.append((obs, reward))
    return seen


@pytest.mark.parametrize("world", WORLDS, ids=name_of)
def test_the_checkers_accept_the_bare_env(world: World) -> None:
    env = build(world)
    check_env(env, skip_render_check=True)
    # The checker calls compute_reward on the object it is given, so goal worlds go in bare.
    goal = isinstance(env.observation_space, gym.spaces.Dict)
    check_for_sb3(env if goal else gym.wrappers.TimeLimit(env, world.max_episode_steps or 1))
    assert hasattr(env, "compute_reward") == goal
    env.close()


@pytest.mark.parametrize("world", OTHERS, ids=name_of)
def test_a_seed_decides_the_episode(world: World) -> None:
    env, twin = (build(world, terminate_on_success=False) for _ in range(2))
    first = play(env, 3, 50)
    play(env, None, 40)
    for other in (play(env, 3, 50), play(twin, 3, 50)):
        assert all(equal(a[0], b[0]) and a[1] == b[1] for a, b in zip(first, other, strict=True))
    assert not equal(first[0][0], play(twin, 4, 0)[0][0])
    env.close()
    twin.close()


@pytest.mark.parametrize("world", OTHERS, ids=name_of)
def test_info_is_complete_on_reset_and_on_every_step(world: World) -> None:
    env = build(world)
    env.action_space.seed(0)
    _, told = env.reset(seed=0)
    obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
    assert set(told) == set(info)
    assert ("expert_reward" in info) == (world.card.expert is not None)
    assert told["success_now"] == told["is_success"] == 0.0
    assert not truncated
    assert isinstance(terminated, bool)
    assert isinstance(reward, float)
    read = {item.key for item in world.card.features if item.source == "info"}
    assert read <= set(info)
    kept = {key: np.array(value, copy=True) for key, value in _leaves(obs)}
    env.step(env.action_space.sample())
    assert all(np.array_equal(kept[key], value) for key, value in _leaves(obs))
    env.close()


def _leaves(obs: Any) -> list[tuple[str, Any]]:
    return list(obs.items()) if isinstance(obs, dict) else [("", obs)]


@pytest.mark.parametrize(
    ("name", "moves"),
    [
        ("Door", lambda state: state["qpos"].__setitem__(28, 1.45)),
        ("Relocate", lambda state: state.__setitem__("target_pos", state["obj_pos"].copy())),
    ],
)
def test_adroit_pays_one_where_upstreams_rule_holds(name: str, moves: Any) -> None:
    world = next(item for item in WORLDS if item.card.id == f"DenseGym/AdroitHand{name}-v0")
    env = build(world)
    env.reset(seed=0)
    still = np.zeros(env.action_space.shape)
    _, reward, terminated, _, info = env.step(still)
    assert (reward, terminated, info["is_success"]) == (0.0, False, 0.0)
    state = env.held.get_env_state()
    moves(state)
    wanted = env.held._state_space.spaces
    env.held.set_env_state({key: state[key] for key in wanted})
    _, reward, terminated, _, info = env.step(still)
    assert (reward, terminated, info["is_success"]) == (1.0, True, 1.0)
    env.close()
