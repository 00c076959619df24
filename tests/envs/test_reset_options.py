"""What reset(options=...) and constructors say is honoured, or refused by name: never swallowed."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from densegym.envs.registration import bare_spec
from densegym.envs.tasks import worlds
from densegym.errors import DenseGymError, UnknownNameError

FAMILIES = {w.card.family: w.card.id for w in reversed(worlds())}
FETCH, MAZE = "DenseGym/FetchPush-v0", "DenseGym/PointMaze_UMaze-v0"
BUTTON, HOPPER = "DenseGym/ButtonPress-v0", "DenseGym/HopperForward-v0"
DOOR = "DenseGym/AdroitHandDoor-v0"


def make(env_id: str, **kwargs: Any) -> Any:
    return gym.make(bare_spec(env_id), **kwargs).unwrapped


@pytest.mark.parametrize("env_id", FAMILIES.values(), ids=FAMILIES.keys())
def test_no_world_swallows_an_option(env_id: str) -> None:
    env = make(env_id)
    with pytest.raises(UnknownNameError, match=r'takes no reset option "gaol".*It takes:'):
        env.reset(seed=0, options={"gaol": 1})
    with pytest.raises(DenseGymError, match="takes a dict or None; given 3"):
        env.reset(options=3)
    env.reset(seed=0, options={})
    env.close()


@pytest.mark.parametrize(("env_id", "goal"), [(FETCH, [1.3, 0.7, 0.42]), (MAZE, [1.0, -1.0])])
def test_a_goal_is_where_it_was_asked_for(env_id: str, goal: list[float]) -> None:
    env = make(env_id)
    obs, info = env.reset(seed=0, options={"goal": goal})
    assert obs["desired_goal"].tolist() == goal
    assert info["distance_to_goal"] == np.linalg.norm(obs["achieved_goal"] - goal)
    obs = env.step(env.action_space.sample())[0]
    assert obs["desired_goal"].tolist() == goal
    assert env.observation_space.contains(obs)
    for bad in (goal[:1], [np.nan] * len(goal), [goal]):
        with pytest.raises(DenseGymError, match=rf"takes {len(goal)} finite metres"):
            env.reset(options={"goal": bad})
    assert env.reset(seed=0)[0]["desired_goal"].tolist() != goal
    env.close()


def test_cells_of_a_maze() -> None:
    env = make(MAZE)
    obs, _ = env.reset(seed=0, options={"goal_cell": (3, 1), "reset_cell": (1, 1)})
    for name, cell in (("desired_goal", (3, 1)), ("achieved_goal", (1, 1))):
        middle = env.held.maze.cell_rowcol_to_xy(np.array(cell))
        assert np.abs(obs[name] - middle).max() <= 0.25
    for bad in ((0, 0), (9, 1), (-1, 1), (1.5, 1), 3):
        with pytest.raises(DenseGymError, match=r"goal_cell is a free \(row, column\) .* 5 x 5"):
            env.reset(options={"goal_cell": bad})
    with pytest.raises(DenseGymError, match="Give one of them"):
        env.reset(options={"goal": [0.0, 0.0], "goal_cell": (1, 1)})
    env.close()


def test_adroit_takes_upstreams_initial_state() -> None:
    env = make(DOOR)
    env.reset(seed=0)
    for _ in range(3):
        env.step(env.action_space.sample())
    there = env.held.get_env_state()
    env.reset(seed=1, options={"initial_state_dict": there})
    assert np.array_equal(env.held.get_env_state()["qpos"], there["qpos"])
    with pytest.raises(DenseGymError, match="qpos, qvel, door_body_pos"):
        env.reset(options={"initial_state_dict": {"qpos": there["qpos"]}})
    env.close()


@pytest.mark.parametrize(
    ("env_id", "camera"),
    [
        (FETCH, "head_camera_rgb"),
        (MAZE, None),
        (DOOR, "fixed"),
        (HOPPER, "track"),
        (BUTTON, "topview"),
    ],
)
def test_pictures_have_the_size_and_camera_asked_for(env_id: str, camera: str | None) -> None:
    given = {} if camera is None else {"camera": camera}
    env = make(env_id, render_mode="rgb_array", width=48, height=32, **given)
    env.reset(seed=0)
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((32, 48, 3), np.uint8)
    if env_id in (FETCH, DOOR):  # the own views of others are these cameras
        plain = make(env_id, render_mode="rgb_array", width=48, height=32)
        plain.reset(seed=0)
        assert not np.array_equal(plain.render(), picture)
        plain.close()
    env.close()
    with pytest.raises(UnknownNameError, match='Unknown camera "no-such"'):
        make(env_id, camera="no-such")


def test_upstreams_options_are_reachable() -> None:
    lying = make(HOPPER, terminate_when_unhealthy=False, reset_noise_scale=0.0)
    still = [lying.reset(seed=seed)[0].tolist() for seed in (0, 1)]
    assert still[0] == still[1]
    for _ in range(60):
        _, _, terminated, _, _ = lying.step(np.ones(3, np.float32))
        assert not terminated
    wide = make(FETCH, distance_threshold=10.0, target_range=0.0)
    obs, _ = wide.reset(seed=0)
    assert wide.step(np.zeros(4, np.float32))[1] == 0.0, "everywhere is near enough"
    assert wide.compute_reward(obs["achieved_goal"], obs["desired_goal"] + 9.0, {}) == -1.0
    assert wide.compute_reward(obs["achieved_goal"], obs["desired_goal"] + 1.0, {}) == 0.0
    ring = [[1, 1, 1, 1], [1, "r", "g", 1], [1, 1, 1, 1]]
    maze = make(MAZE, maze_map=ring)
    assert maze.held.maze.maze_map == ring
    assert make(DOOR, max_geom=900).held.mujoco_renderer.max_geom == 900


@pytest.mark.parametrize(
    ("env_id", "option", "says"),
    [
        (FETCH, {"reward_type": "dense"}, 'reward="env" or "expert"'),
        (MAZE, {"continuing_task": False}, "terminate_on_success=False"),
        (MAZE, {"reset_target": True}, "reset"),
        (HOPPER, {"no_such": 1}, "Hopper-v5 does not take these options: .*no_such"),
        (DOOR, {"no_such": 1}, "does not take these options: .*no_such"),
        (FETCH, {"no_such": 1}, "does not take these options: .*no_such"),
        (BUTTON, {"no_such": 1}, "button-press-v3 does not take these options: .*no_such"),
    ],
)
def test_options_that_would_change_nothing_are_refused(env_id, option, says) -> None:
    with pytest.raises(DenseGymError, match=says):
        make(env_id, **option)


def test_frozen_goals_of_meta_world() -> None:
    env, again = (make("DenseGym/Reach-v0", goals=5, goals_seed=1) for _ in range(2))
    starts = {}
    for index in range(5):
        obs, info = env.reset(seed=100 + index, options={"goal": index})
        assert info["goal_index"] == index
        starts[index] = obs
    assert len({obs.tobytes() for obs in starts.values()}) == 5
    for seed in range(6):
        obs, info = again.reset(seed=seed)
        assert np.array_equal(obs, starts[int(info["goal_index"])]), "whatever was played before"
        assert again.step(again.action_space.sample())[4]["goal_index"] == info["goal_index"]
    indices = {again.reset()[1]["goal_index"] for _ in range(30)}
    assert indices == set(range(5))
    assert not np.array_equal(
        make("DenseGym/Reach-v0", goals=5, goals_seed=2).reset(options={"goal": 0})[0], starts[0]
    )
    for bad in (5, -1, 0.5, True, "0"):
        with pytest.raises(DenseGymError, match="takes 0 to 4; given"):
            env.reset(options={"goal": bad})
    with pytest.raises(UnknownNameError, match="It takes: state"):
        make(BUTTON).reset(options={"goal": 1})
    with pytest.raises(DenseGymError, match="goals is at least 1"):
        make(BUTTON, goals=0)
