"""The repairs of the 50 Sawyer tasks, against the real simulator."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import densegym
from densegym.envs.registration import bare_spec
from densegym.envs.robot import expert_policy
from densegym.envs.tasks import worlds
from densegym.errors import UnknownNameError

IDS = [world.card.id for world in worlds() if world.card.family == "metaworld"]
TEXT2REWARD = [
    f"DenseGym/{name}-v0"
    for name in (
        "ButtonPress",
        "DoorClose",
        "DoorUnlock",
        "DrawerClose",
        "DrawerOpen",
        "HandlePress",
        "HandlePressSide",
        "SweepInto",
        "WindowClose",
        "WindowOpen",
    )
]


def bare(env_id: str, **kwargs: Any) -> gym.Env:
    return gym.make(bare_spec(env_id), **kwargs)


def episode(env: gym.Env, seed: int | None, steps: int = 12) -> np.ndarray:
    rng = np.random.default_rng(1)
    actions = rng.uniform(-1, 1, (steps, 4)).astype(np.float32)
    return np.array([env.reset(seed=seed)[0], *(env.step(action)[0] for action in actions)])


def test_all_fifty_are_there() -> None:
    assert len(IDS) == 50


@pytest.mark.parametrize("env_id", IDS)
def test_a_seed_decides_the_episode_whatever_came_before(env_id: str) -> None:
    env = bare(env_id)
    first = episode(env, 7)
    unseeded = episode(env, None, 40)
    episode(env, 3, 40)
    again = episode(env, 7)
    assert np.array_equal(first, again)
    assert not np.array_equal(first[0], unseeded[0])
    assert all(env.observation_space.contains(obs) for obs in [*first, *unseeded])
    env.close()


@pytest.mark.parametrize("env_id", TEXT2REWARD)
def test_the_scripted_expert_succeeds_and_success_ends_the_episode(env_id: str) -> None:
    env, expert = bare(env_id), expert_policy(env_id)
    succeeded = 0
    for seed in range(4):
        obs, _ = env.reset(seed=seed)
        ended = False
        while not ended:
            action = expert(obs)
            assert action.dtype == np.float32
            obs, reward, terminated, truncated, info = env.step(action)
            ended = terminated or truncated
            assert reward == info["success_now"]
            assert terminated == (info["success_now"] == 1.0)
        succeeded += int(info["is_success"])
    assert succeeded >= 3
    env.close()


def test_success_is_latched_where_the_episode_goes_on() -> None:
    env = bare("DenseGym/HandlePress-v0", terminate_on_success=False)
    expert = expert_policy("DenseGym/HandlePress-v0")
    obs, _ = env.reset(seed=0)
    seen = []
    for _ in range(150):
        obs, reward, terminated, truncated, info = env.step(expert(obs))
        seen.append((reward, info["is_success"]))
        assert not terminated
    assert truncated
    assert seen[-1] == (0.0, 1.0)  # this expert lets go again: its success does not last
    assert max(reward for reward, _ in seen) == 1.0
    assert [latched for _, latched in seen] == sorted(latched for _, latched in seen)


def test_the_expert_reward_is_upstreams_and_versions_differ() -> None:
    rewards = {}
    for version in ("v1", "v2"):
        env = gym.make("DenseGym/ButtonPress-v0", reward="expert", expert_version=version)
        env.reset(seed=0)
        rewards[version] = [env.step(np.array([0, 1, 0, 1], np.float32))[1] for _ in range(20)]
        env.close()
    assert rewards["v1"] != rewards["v2"]
    assert all(0 <= reward <= 10 for reward in rewards["v2"])


def test_features_are_the_simulators_own_quantities() -> None:
    env = bare("DenseGym/PickPlace-v0")
    obs, _ = env.reset(seed=0)
    sawyer = env.unwrapped.sawyer
    for _ in range(5):
        obs = env.step(env.action_space.sample())[0]
    table = {
        item.name: item for item in densegym.envs.tasks.task_card("DenseGym/PickPlace-v0").features
    }
    truth = {
        "hand_position": sawyer.data.body("hand").xpos,
        "object_position": sawyer.get_body_com("obj"),
        "goal_position": sawyer._target_pos,
    }
    for name, value in truth.items():
        start, stop = table[name].columns
        assert obs[start:stop] == pytest.approx(value)
    start, _ = table["gripper_opening"].columns
    assert 0.0 <= obs[start] <= 1.0


def test_longer_episodes_than_upstream_allows() -> None:
    env = bare("DenseGym/Reach-v0", max_episode_steps=520, terminate_on_success=False)
    env.reset(seed=0)
    action = np.array([0, 0, 1, 0], np.float32)
    flags = [env.step(action)[3] for _ in range(520)]
    assert flags == [False] * 519 + [True]


def test_pictures_are_upright() -> None:
    """The wooden table fills the lower half of the view, the bright floor the upper corners."""
    for camera in ("corner2", "corner3"):
        env = bare(
            "DenseGym/ButtonPress-v0", render_mode="rgb_array", camera=camera, width=96, height=96
        )
        env.reset(seed=0)
        picture = env.render().astype(float)
        assert picture.shape == (96, 96, 3)
        wood = (picture[..., 0] > picture[..., 2] * 1.3) & (picture[..., 1] > 60)
        assert wood[48:].sum() > wood[:48].sum()
        env.close()


@pytest.mark.parametrize(
    ("kwargs", "says"),
    [
        ({"camera": "corner9"}, 'Unknown camera "corner9".*Did you mean'),
        ({"expert_version": "v3"}, "expert_version"),
        ({"task": "button-pres-v3"}, 'Did you mean "button-press-v3"'),
    ],
)
def test_wrong_options_say_what_to_type(kwargs: dict[str, Any], says: str) -> None:
    from densegym.envs.robot.metaworld import MetaWorldEnv

    with pytest.raises(UnknownNameError, match=says):
        MetaWorldEnv(**kwargs)


def test_tasks_without_a_scripted_expert_say_so() -> None:
    with pytest.raises(UnknownNameError, match="scripted expert"):
        expert_policy("DenseGym/HopperBackflip-v0")


def test_the_weld_repair_writes_rows_of_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    import mujoco
    from metaworld.sawyer_xyz_env import SawyerMocapBase

    from densegym.envs.robot import metaworld

    monkeypatch.setattr(SawyerMocapBase, "reset_mocap_welds", SawyerMocapBase.reset_mocap_welds)
    monkeypatch.setattr(mujoco, "mjNEQDATA", 12)
    metaworld._repair_welds()

    class Model:
        eq_type = np.array([mujoco.mjtEq.mjEQ_WELD, mujoco.mjtEq.mjEQ_JOINT])
        eq_data = np.full((2, 12), 9.0)

    held = type("Held", (), {"model": Model})()
    SawyerMocapBase.reset_mocap_welds(held)
    assert Model.eq_data[0].tolist() == [0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 5, 9]
    assert (Model.eq_data[1] == 9.0).all()
