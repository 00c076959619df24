"""Counting steps ahead: right, and without a trace."""

import gymnasium as gym
import numpy as np
import pytest

import densegym  # noqa: F401  registers the worlds
from densegym.envs.registration import bare_spec
from densegym.envs.robot import expert_policy
from densegym.envs.robot.lookahead import steps_to_success


@pytest.mark.parametrize("task", ["WindowClose", "DoorUnlock", "DrawerOpen", "PickPlace"])
def test_looking_ahead_counts_right_and_leaves_no_trace(task: str) -> None:
    env_id = f"DenseGym/{task}-v0"
    act, told = expert_policy(env_id), {}
    for looks in (False, True):
        env = gym.make(bare_spec(env_id), terminate_on_success=False, max_episode_steps=250)
        obs, _ = env.reset(seed=4)
        seen, left = [obs], []
        for _ in range(200):
            if looks:
                left.append(steps_to_success(env.unwrapped.sawyer, act, obs, 200))
            obs, _, _, _, info = env.step(act(obs))
            seen.append(obs)
            if info["success_now"]:
                break
        told[looks] = np.stack(seen)
        env.close()
    assert np.array_equal(told[True], told[False])
    steps = len(told[True]) - 1
    assert left == list(range(steps, 0, -1))


def test_what_never_succeeds_takes_the_limit() -> None:
    env = gym.make(bare_spec("DenseGym/ButtonPress-v0"))
    obs, _ = env.reset(seed=0)
    idle = np.zeros(4, np.float32)
    assert steps_to_success(env.unwrapped.sawyer, lambda obs: idle, obs, 7) == 7
    env.close()
