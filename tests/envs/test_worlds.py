"""Every registered world through both checkers, its task card against the live env."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import densegym
from densegym.envs.checks import check_dense_env
from densegym.envs.registration import bare_spec
from densegym.envs.tasks import task_card, worlds
from densegym.errors import DenseGymError, MissingExtraError, UnknownNameError
from densegym.reward_models.batch import add_axis
from densegym.reward_models.features import feature_names, reader
from densegym.reward_models.types import Steps
from tests.walks import walk

IDS = [world.card.id for world in worlds()]
WALK = walk(worlds())
FAMILIES = {world.card.id: world.card.family for world in worlds()}
# The slow ones share their code with the rest of their family.
ONE_EACH = [
    "DenseGym/ButtonPress-v0",
    "DenseGym/FetchReach-v0",
    "DenseGym/PointMaze_UMaze-v0",
    "DenseGym/AdroitHandDoor-v0",
    "DenseGym/HopperForward-v0",
    "DenseGym/NetHackScore-v0",
]


@pytest.mark.parametrize("env_id", WALK)
def test_both_checkers_and_ours_are_green(env_id: str) -> None:
    env = gym.make(env_id)
    with warnings.catch_warnings():
        # Positions of objects have no bounds.
        warnings.filterwarnings(
            "ignore", message=".*Box observation space m.*imum value is -?infin"
        )
        check_env(env.unwrapped, skip_render_check=True)
        # SB3 advises on normalising actions, flattening dicts and image sizes; none is an error.
        warnings.filterwarnings("ignore", category=UserWarning, module="stable_baselines3")
        if not isinstance(env.observation_space, spaces.Text):  # SB3 has no text policies
            sb3_check_env(env.unwrapped)
    check_dense_env(env, steps=5)
    env.close()


@pytest.mark.parametrize("env_id", WALK)
def test_every_feature_reads_its_shape_from_the_live_env(env_id: str) -> None:
    env, card = gym.make(env_id), task_card(env_id)
    obs, _ = env.reset(seed=0)
    action = env.action_space.sample()
    next_obs, reward, terminated, truncated, info = env.step(action)
    steps = Steps(
        np.array([0]),
        np.array([0]),
        add_axis(obs),
        add_axis(action),
        add_axis(next_obs),
        np.array([reward]),
        np.array([terminated]),
        np.array([truncated]),
        [info],
    )
    shapes = {item.name: item.shape for item in card.features}
    for name in feature_names(card):
        value = reader(card, name)(steps)
        expected = () if name == "terminated" else shapes[name.removeprefix("prev_")]
        assert value.shape == (1, *expected), name
        assert np.isfinite(value).all(), name
    assert len(card.goal) > 5
    assert len(card.success) > 5
    assert len(card.provenance) > 5
    env.close()


@pytest.mark.parametrize("env_id", ONE_EACH)
def test_the_reward_sees_the_time_limit_and_a_users_own(env_id: str) -> None:
    env = gym.make(env_id, reward={"model": "delayed", "of": "env"}, max_episode_steps=4)
    env.reset(seed=0)
    paid = [env.step(env.action_space.sample()) for _ in range(4)]
    assert [step[1] for step in paid[:3]] == [0.0, 0.0, 0.0]
    assert paid[-1][3] or paid[-1][2]
    assert paid[-1][1] == paid[-1][4]["return/env"]
    env.close()


@pytest.mark.parametrize("env_id", ONE_EACH)
def test_specs_rebuild_the_same_stack(env_id: str) -> None:
    env = gym.make(env_id, max_episode_steps=7)
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert str(again) == str(env)
    assert again.spec.max_episode_steps == 7
    env.close()
    again.close()


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_make_vec_scores_all_lanes_at_once(mode: AutoresetMode) -> None:
    env = densegym.make_vec(
        "DenseGym/ButtonPress-v0", 3, reward="authored", seed=5, autoreset_mode=mode
    )
    single = densegym.make("DenseGym/ButtonPress-v0", reward="authored", seed=5)
    env.reset()
    single.reset(seed=5)
    actions = np.tile(np.array([0.1, 1.0, -0.2, 0.0], np.float32), (3, 1))
    for _ in range(6):
        _, paid, _, _, info = env.step(actions)
        assert paid.dtype == np.float64
        assert paid[0] == single.step(actions[0])[1]
        assert info["reward/dense"][0] == paid[0]
    assert "DenseReward<" not in str(env.env.envs[0]), "lanes carry no second reward wrapper"
    env.close()
    single.close()


def test_an_async_vector_env_pays_the_same() -> None:
    streams = []
    for mode in ("sync", "async"):
        env = densegym.make_vec(
            "DenseGym/HopperForward-v0", 2, reward="expert", seed=1, vectorization_mode=mode
        )
        env.reset()
        streams.append([env.step(np.zeros((2, 3), np.float32))[1].tolist() for _ in range(5)])
        env.close()
    assert streams[0] == streams[1]


def test_unknown_ids_name_the_closest() -> None:
    for make in (densegym.make, densegym.make_vec):
        with pytest.raises(UnknownNameError, match=r'"DenseGym/ButtonPress-v0".*densegym envs'):
            make("DenseGym/ButonPress-v0")


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for module, env_id, extra in (
        ("metaworld", "DenseGym/ButtonPress-v0", "robot"),
        ("gymnasium_robotics", "DenseGym/FetchReach-v0", "robot"),
        ("nle", "DenseGym/NetHackScore-v0", "nethack"),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingExtraError, match=rf"pip install 'densegym\[{extra}\]'"):
            gym.make(env_id)
        monkeypatch.undo()


def test_the_check_catches_worlds_that_break_the_contract() -> None:
    from densegym.envs.wrappers.single import DenseReward
    from tests.toys import CARD, Wander

    class Forgets(Wander):
        def _info(self) -> dict[str, Any]:
            return {"told": 0.0}

    class Unseeded(Wander):
        def reset(self, *, seed=None, options=None):
            return super().reset(seed=None)

    class Spoils(Wander):
        def step(self, action):
            obs, *rest = super().step(action)
            return obs * np.nan, *rest

    cases = {"is_success": Forgets, "seed": Unseeded, "outside": Spoils}
    check_dense_env(DenseReward(Wander(), "env", CARD), steps=5)
    for complaint, broken in cases.items():
        with pytest.raises(DenseGymError, match=complaint):
            check_dense_env(DenseReward(broken(), "env", CARD), steps=5)


@pytest.mark.parametrize("env_id", [i for i in IDS if FAMILIES[i] in ("fetch", "maze")])
def test_goal_worlds_are_ready_for_hindsight(env_id: str) -> None:
    env = gym.make(bare_spec(env_id))
    obs, _ = env.reset(seed=0)
    compute = env.get_wrapper_attr("compute_reward")
    rows = []
    for _ in range(6):
        obs, reward, *_ = env.step(env.action_space.sample())
        rows.append((obs["achieved_goal"], obs["desired_goal"], reward))
    achieved, desired, rewards = (np.array(column) for column in zip(*rows, strict=True))
    assert compute(achieved, desired, {}).tolist() == rewards.tolist()
    met = compute(desired, desired, {})
    assert (met == (0.0 if FAMILIES[env_id] == "fetch" else 1.0)).all()
    env.close()
