"""Rewards of other goals equal what the world would have paid, for every function of goals."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import SAC, HerReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv

from densegym.envs.registration import bare_spec
from densegym.envs.tasks import task_card
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv
from densegym.errors import RewardError
from densegym.reward_models.batch import all_true
from densegym.reward_models.model import RewardModel
from densegym.reward_models.spec import build_engine
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Scores, Steps
from densegym.reward_models.world.goals import world_methods

REACH = "DenseGym/FetchReach-v0"


class Squared(RewardModel):
    name = "squared"
    traits = Traits()

    def score(self, steps: Steps) -> Scores:
        goals = self.of_goals(steps.next_obs["achieved_goal"], steps.next_obs["desired_goal"])
        return Scores(goals, all_true(len(goals)))

    def of_goals(self, achieved: Any, desired: Any) -> Any:
        return -((achieved - desired) ** 2).sum(axis=-1)


def host(reward: Any) -> DenseRewardVecEnv:
    lanes = DummyVecEnv([lambda: gym.make(bare_spec(REACH))] * 2)
    return DenseRewardVecEnv(lanes, reward, env_id=REACH)


@pytest.mark.parametrize(
    "reward",
    [
        "env",
        "expert",
        {"model": "expert", "scale": 3.0, "clip": [-0.1, 0.0]},
        [{"model": "env", "scale": 0.5}, "expert"],
        Squared(),
    ],
    ids=lambda reward: getattr(reward, "name", str(reward)),
)
def test_what_is_paid_is_what_hindsight_computes_for_the_same_goals(reward: Any) -> None:
    env = host(reward)
    env.seed(0)
    env.reset()
    for _ in range(5):
        actions = np.stack([env.action_space.sample() for _ in range(2)])
        obs, paid, _, infos = env.step(actions)
        (again,) = env.env_method(
            "compute_reward", obs["achieved_goal"], obs["desired_goal"], infos, indices=[0]
        )
        assert again.dtype == np.float64
        np.testing.assert_allclose(again, paid, rtol=0, atol=1e-12)
        (met,) = env.env_method(
            "compute_reward", obs["desired_goal"], obs["desired_goal"], infos, indices=[0]
        )
        assert (met == 0.0).all(), "a goal that is met pays most"
    env.close()


@pytest.mark.parametrize("reward", ["intrinsic/count-v1", {"model": "delayed"}])
def test_other_rewards_are_refused(reward: Any) -> None:
    engine = build_engine(reward, 1, task=task_card(REACH))
    assert world_methods(engine.reward) is None
    env = host(reward)
    with pytest.raises(RewardError, match="is no function of goals"):
        env.env_method("compute_reward", np.zeros((1, 3)), np.zeros((1, 3)), [{}], indices=[0])
    env.close()


def test_replayed_goals_are_paid_the_distance() -> None:
    env = host("expert")
    model = SAC(
        "MultiInputPolicy",
        env,
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4},
        buffer_size=400,
        learning_starts=300,
        batch_size=32,
        seed=0,
        policy_kwargs={"net_arch": [8]},
    )
    model.learn(240)
    rows = model.replay_buffer.sample(64)
    told = {key: value.numpy() for key, value in rows.next_observations.items()}
    distance = np.linalg.norm(told["achieved_goal"] - told["desired_goal"], axis=1)
    np.testing.assert_allclose(rows.rewards.numpy()[:, 0], -distance, atol=1e-5)
    env.close()
