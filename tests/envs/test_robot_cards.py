"""The cards tell the truth: features read what they name, success rules state the real radius."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from densegym.envs.robot import cards, expert_policy
from densegym.envs.robot.metaworld import MetaWorldEnv
from densegym.envs.tasks import task_card
from densegym.envs.world import World
from densegym.reward_models.batch import add_axis
from densegym.reward_models.features import feature_names, reader
from densegym.reward_models.types import Feature, Steps
from tests.envs.test_robot_contract import build, name_of

WORLDS = {world.card.id: world for world in cards.worlds()}
OTHERS = [world for world in WORLDS.values() if world.card.family != "metaworld"]


def step_of(env: Any, steps: int = 3) -> Steps:
    env.action_space.seed(0)
    last = env.reset(seed=0)[0]
    for _ in range(steps):
        obs, action = last, env.action_space.sample()
        last, reward, _, _, info = env.step(action)
    no = np.zeros(1, dtype=np.bool_)
    return Steps(
        slot=np.zeros(1, np.int64),
        t=np.zeros(1, np.int64),
        obs=add_axis(obs),
        action=add_axis(action),
        next_obs=add_axis(last),
        env_reward=np.array([reward]),
        terminated=no,
        truncated=no,
        info=[info],
    )


def read(name: str) -> tuple[Any, dict[str, Any]]:
    """Return a live env and its features after three random steps."""
    world = WORLDS[f"DenseGym/{name}-v0"]
    env = build(world)
    steps = step_of(env)
    table = {item.name: reader(world.card, item.name)(steps)[0] for item in world.card.features}
    return env, table


def test_no_simulator_is_imported_for_the_cards() -> None:
    code = (
        "import sys; from densegym.envs.robot import cards; assert len(cards.worlds()) == 70; "
        "loaded = {'mujoco', 'metaworld', 'gymnasium_robotics'} & set(sys.modules); "
        "sys.exit(', '.join(loaded) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_ids_are_unique_and_every_card_is_filled_in() -> None:
    assert len(WORLDS) == 70
    for world in WORLDS.values():
        card = world.card
        assert card.goal.endswith("."), card.id
        assert all((card.family, card.success, card.provenance)), card.id
        names = [item.name for item in card.features]
        assert len(names) == len(set(names)), card.id
        assert "action" in names, card.id
        assert world.max_episode_steps, card.id


SHAPED = [*OTHERS, WORLDS["DenseGym/ButtonPress-v0"], WORLDS["DenseGym/StickPush-v0"]]


@pytest.mark.parametrize("world", SHAPED, ids=name_of)
def test_every_feature_reads_its_shape(world: World) -> None:
    env = build(world)
    steps = step_of(env)
    shapes = {item.name: item.shape for item in world.card.features}
    for name in feature_names(world.card):
        value = reader(world.card, name)(steps)
        assert value.shape == (1, *shapes.get(name.removeprefix("prev_"), ())), name
        assert np.isfinite(value).all(), name
    env.close()


@pytest.mark.parametrize("world", OTHERS, ids=name_of)
def test_the_features_cover_the_observation_without_gap_or_overlap(world: World) -> None:
    env = build(world)
    keys = {item.key for item in world.card.features if item.source == "obs"}
    for key in keys:
        space = env.observation_space if key is None else env.observation_space[key]
        covered = [_columns(item) for item in world.card.features if _reads(item, key)]
        # Ant ends in the contact forces on its 13 moving bodies, which no feature names.
        named = 27 if world.card.id.startswith("DenseGym/Ant") else space.shape[0]
        assert sorted(index for run in covered for index in run) == list(range(named))
    action = next(item for item in world.card.features if item.name == "action")
    assert action.shape == env.action_space.shape
    env.close()


def _reads(item: Feature, key: str | None) -> bool:
    return item.source == "obs" and item.key == key


def _columns(item: Feature) -> range:
    assert item.columns is not None
    return range(*item.columns)


@pytest.mark.parametrize("name", [row.removeprefix("DenseGym/")[:-3] for row in WORLDS])
def test_only_tasks_with_a_second_object_list_one(name: str) -> None:
    world = WORLDS[f"DenseGym/{name}-v0"]
    listed = "second_object_position" in {item.name for item in world.card.features}
    assert listed == (name in ("Hammer", "StickPull", "StickPush"))


@pytest.mark.parametrize("name", ["Hammer", "StickPull", "StickPush", "BinPicking", "SweepInto"])
def test_the_second_slot_is_empty_exactly_where_the_card_has_none(name: str) -> None:
    world = WORLDS[f"DenseGym/{name}-v0"]
    env = build(world)
    obs, _ = env.reset(seed=0)
    listed = "second_object_position" in {item.name for item in world.card.features}
    assert bool(obs[11:18].any()) == listed
    env.close()


@pytest.mark.parametrize("name", ["HopperForward", "Walker2dForward", "HalfCheetahForward"])
def test_planar_robots_read_their_joints(name: str) -> None:
    env, table = read(name)
    data = env.held.data
    assert table["torso_height"] == data.qpos[1]
    assert table["torso_pitch"] == data.qpos[2]
    assert np.array_equal(table["joint_angles"], data.qpos[3:])
    assert table["velocity_x"] == pytest.approx(np.clip(data.qvel[0], -10, 10))
    assert table["pitch_rate"] == pytest.approx(
        data.qvel[2] if name == "HalfCheetahForward" else np.clip(data.qvel[2], -10, 10)
    )
    assert table["x_position"] == data.qpos[0]
    env.close()


def test_the_ant_reads_its_free_body() -> None:
    env, table = read("AntWaveLeg")
    data = env.held.data
    assert table["torso_height"] == data.qpos[2]
    assert np.array_equal(table["torso_quaternion"], data.qpos[3:7])
    assert np.array_equal(table["torso_velocity"], data.qvel[:3])
    assert np.array_equal(table["joint_velocities"], data.qvel[6:])
    assert table["foot_height"].shape == (4,)
    env.close()


def test_a_foot_on_the_floor_has_height_zero() -> None:
    env = build(WORLDS["DenseGym/HopperForward-v0"], terminate_on_success=False)
    env.reset(seed=0)
    qpos = env.held.init_qpos.copy()
    for lift in (0.0, 0.3):
        qpos[1] = env.held.init_qpos[1] + lift
        env.held.set_state(qpos, env.held.init_qvel)
        posture = env.posture()
        # Standing upright, the sole of the Hopper's foot is 4 cm above the floor at height 1.25.
        assert posture.foot_height == pytest.approx([0.04 + lift], abs=0.01)
        assert posture.airborne
    qpos[1] = env.held.init_qpos[1] - 0.045
    env.held.set_state(qpos, env.held.init_qvel)
    assert env.posture().foot_height == pytest.approx([0.0], abs=0.01)
    assert env.posture().foot_contact.all()
    assert not env.posture().airborne
    env.close()


def test_fetch_reads_gripper_object_and_goal() -> None:
    env, table = read("FetchPush")
    site = env.held._utils.get_site_xpos
    model, data = env.held.model, env.held.data
    assert table["gripper_position"] == pytest.approx(site(model, data, "robot0:grip"))
    assert table["object_position"] == pytest.approx(site(model, data, "object0"))
    assert table["object_from_gripper"] == pytest.approx(
        table["object_position"] - table["gripper_position"]
    )
    assert np.array_equal(table["achieved_goal"], table["object_position"])
    assert np.array_equal(table["desired_goal"], env.held.goal)
    env.close()


def test_fetch_velocities_are_metres_per_control_step() -> None:
    env = build(WORLDS["DenseGym/FetchReach-v0"])
    read_velocity = reader(WORLDS["DenseGym/FetchReach-v0"].card, "gripper_velocity")
    obs = env.reset(seed=0)[0]
    for _ in range(6):
        before = obs["observation"][:3]
        obs = env.step(np.array([1.0, 0.0, 0.0, 0.0], np.float32))[0]
    steps = step_of(env)._replace(next_obs=add_axis(obs))
    moved = obs["observation"][:3] - before
    assert read_velocity(steps)[0][0] == pytest.approx(moved[0], rel=0.3)
    env.close()


def test_the_maze_reads_the_ball() -> None:
    env, table = read("PointMaze_UMaze")
    data = env.held.point_env.data
    assert np.array_equal(table["position"], data.qpos)
    assert table["velocity"] == pytest.approx(data.qvel)
    assert np.array_equal(table["achieved_goal"], table["position"])
    assert np.array_equal(table["desired_goal"], env.held.goal)
    env.close()


def test_the_hands_read_their_objects() -> None:
    env, table = read("AdroitHandDoor")
    held = env.held
    assert table["door_angle"] == held.data.qpos[held.door_hinge_addrs]
    assert table["latch_angle"] == held.data.qpos[-1]
    assert np.array_equal(table["handle_position"], held.data.site_xpos[held.handle_site_id])
    assert np.array_equal(
        table["palm_from_handle"], table["palm_position"] - table["handle_position"]
    )
    env, table = read("AdroitHandHammer")
    assert np.array_equal(table["hammer_position"], env.held.data.xpos[env.held.obj_body_id])
    env, table = read("AdroitHandPen")
    assert np.array_equal(table["pen_position"], env.held.data.xpos[env.held.obj_body_id])
    assert np.linalg.norm(table["desired_direction"]) == pytest.approx(1.0, abs=0.01)
    assert np.array_equal(
        table["direction_error"], table["pen_direction"] - table["desired_direction"]
    )
    env, table = read("AdroitHandRelocate")
    assert table["ball_from_target"] == pytest.approx(
        table["palm_from_target"] - table["palm_from_ball"]
    )


@pytest.mark.parametrize(
    ("name", "radius", "says"),
    [
        ("Basketball", 0.08, "8 cm"),
        ("DialTurn", 0.07, "7 cm"),
        ("HandlePress", 0.02, "2 cm"),
        ("HandlePressSide", 0.02, "2 cm"),
        ("ButtonPress", 0.02, "2 cm"),
        ("DrawerClose", 0.065, "6.5 cm"),
    ],
)
def test_success_is_the_radius_the_card_states(name: str, radius: float, says: str) -> None:
    env_id = f"DenseGym/{name}-v0"
    assert says in task_card(env_id).success
    env = MetaWorldEnv(WORLDS[env_id].kwargs["task"], terminate_on_success=False)
    expert = expert_policy(env_id)
    obs, _ = env.reset(seed=1)
    inside = []
    for _ in range(150):
        obs, reward, _, _, info = env.step(expert(obs))
        inside.append(info["obj_to_target"] <= radius)
        assert reward == float(inside[-1])
    assert any(inside)
    assert not all(inside)
    env.close()
