"""Goal-conditioned worlds: what a step pays is what hindsight recomputes."""

from __future__ import annotations

import os
from typing import Any
from unittest import mock

import gymnasium as gym
import gymnasium_robotics
import numpy as np
import pytest
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv

from densegym.envs.robot import rendering
from densegym.envs.robot.adroit import AdroitEnv
from densegym.envs.robot.goal import FetchEnv, PointMazeEnv

gym.register_envs(gymnasium_robotics)
FETCH = [f"Fetch{name}-v4" for name in ("Reach", "Push", "Slide", "PickAndPlace")]


@pytest.mark.parametrize("task", FETCH)
def test_fetch_pays_what_compute_reward_says_of_the_whole_batch(task: str) -> None:
    env = FetchEnv(task)
    env.action_space.seed(0)
    env.reset(seed=0)
    achieved, desired, paid, dense = [], [], [], []
    for step in range(30):
        if step == 15:  # a goal under the object: the only way to a success in few steps
            env.held.goal = env.held._get_obs()["achieved_goal"].copy()
        obs, reward, terminated, _, info = env.step(0.1 * env.action_space.sample())
        assert not terminated
        achieved.append(obs["achieved_goal"])
        desired.append(obs["desired_goal"])
        paid.append(reward)
        dense.append(info["expert_reward"])
    batch = env.compute_reward(np.array(achieved), np.array(desired), {})
    assert np.array_equal(batch, paid)
    assert {-1.0, 0.0} == set(paid)
    assert dense == pytest.approx(-np.linalg.norm(np.subtract(achieved, desired), axis=1))
    assert info["is_success"] == 1.0
    assert env.reset(seed=1)[1]["is_success"] == 0.0
    env.close()


@pytest.mark.parametrize(
    ("ours", "upstream"),
    [
        (FetchEnv("FetchReach-v4"), "FetchReach-v4"),
        (PointMazeEnv("PointMaze_UMaze-v3"), "PointMaze_UMaze-v3"),
    ],
)
def test_compute_reward_is_upstreams(ours: Any, upstream: str) -> None:
    theirs = gym.make(upstream).unwrapped
    width = 3 if "Fetch" in upstream else 2
    rng = np.random.default_rng(0)
    desired = rng.normal(size=(200, width))
    achieved = desired + rng.normal(size=(200, width)) * np.geomspace(1e-3, 2.0, 200)[:, None]
    expected = theirs.compute_reward(achieved, desired, {})
    assert 0 < np.count_nonzero(expected) < 200
    assert np.array_equal(ours.compute_reward(achieved, desired, {}), expected)
    assert float(ours.compute_reward(achieved[0], desired[0], {})) == expected[0]


def test_the_fetch_expert_is_upstreams_dense_reward() -> None:
    ours, theirs = FetchEnv("FetchPush-v4"), gym.make("FetchPushDense-v4").unwrapped
    ours.reset(seed=5)
    theirs.reset(seed=5)
    for _ in range(10):
        action = ours.action_space.sample()
        info = ours.step(action)[4]
        assert info["expert_reward"] == pytest.approx(theirs.step(action)[1])


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_maze_pays_one_at_the_goal_and_ends_there(goes_on: bool) -> None:
    env = PointMazeEnv("PointMaze_UMaze-v3", terminate_on_success=not goes_on)
    obs, _ = env.reset(seed=0)
    still = np.zeros(2, np.float32)
    _, reward, terminated, _, _ = env.step(still)
    assert (reward, terminated) == (0.0, False)
    env.held.goal = obs["achieved_goal"] + [0.2, 0.0]
    obs, reward, terminated, truncated, info = env.step(still)
    assert (reward, terminated, truncated) == (1.0, not goes_on, False)
    assert info["is_success"] == info["success_now"] == 1.0
    assert env.compute_reward(obs["achieved_goal"], obs["desired_goal"], info) == 1.0
    if goes_on:
        goal = obs["desired_goal"]
        assert np.array_equal(env.held.goal, goal)  # reaching it does not move it
        assert env.step(still)[1] == 1.0
        env.held.goal = goal + 3.0
        _, reward, _, _, info = env.step(still)
        assert (reward, info["success_now"], info["is_success"]) == (0.0, 0.0, 1.0)
    env.close()


def test_hindsight_replay_relabels_with_our_rewards() -> None:
    def make() -> Any:
        return gym.wrappers.TimeLimit(FetchEnv("FetchReach-v4"), 10)

    host = DummyVecEnv([make])
    buffer = HerReplayBuffer(
        100, host.observation_space, host.action_space, env=host, n_sampled_goal=4
    )
    obs = host.reset()
    for _ in range(30):
        action = np.array([host.action_space.sample()])
        following, reward, done, infos = host.step(action)
        last = (
            {key: infos[0]["terminal_observation"][key][None] for key in obs}
            if done[0]
            else (following)
        )
        buffer.add(obs, last, action, reward, done, infos)
        obs = following
    sample = buffer.sample(64)
    near = sample.next_observations["achieved_goal"] - sample.next_observations["desired_goal"]
    within = near.norm(dim=1).numpy() <= 0.05
    assert np.array_equal(sample.rewards.numpy().ravel() == 0.0, within)
    assert within.any()
    host.close()


@pytest.mark.parametrize(
    ("given", "gpu", "expected"),
    [
        ({"MUJOCO_GL": "glfw"}, True, "glfw"),
        ({"DISPLAY": ":0"}, True, None),
        ({}, True, "egl"),
        ({}, False, "osmesa"),
    ],
)
def test_the_backend_is_chosen_only_where_nobody_has(
    given: dict[str, str], gpu: bool, expected: str | None
) -> None:
    with (
        mock.patch.dict(os.environ, given, clear=True),
        mock.patch.object(rendering, "_has_gpu", return_value=gpu),
        mock.patch.object(rendering.ctypes.util, "find_library", return_value="libEGL.so.1"),
        mock.patch.object(rendering.sys, "platform", "linux"),
    ):
        assert rendering.choose_backend() == expected
        assert os.environ.get("MUJOCO_GL") == expected


@pytest.mark.parametrize("build", [FetchEnv, PointMazeEnv, AdroitEnv])
def test_worlds_without_render_mode_render_nothing(build: Any) -> None:
    task = {
        FetchEnv: "FetchReach-v4",
        PointMazeEnv: "PointMaze_UMaze-v3",
        AdroitEnv: "AdroitHandDoorSparse-v1",
    }[build]
    env = build(task)
    env.reset(seed=0)
    assert env.render() is None
    env.close()
