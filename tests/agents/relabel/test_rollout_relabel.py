"""On-policy relabelling: every cut of episodes by rollouts, bootstraps, tails, all learners."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.vec_env import VecNormalize

from densegym.agents.relabel import attach
from densegym.envs.wrappers.lanes import LaneVecEnv
from densegym.errors import RewardError
from densegym.reward_models.batch import all_true
from densegym.reward_models.model import RewardModel
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Scores
from tests.agents.relabel.scripted import ENDS, Script, Scripted, lanes
from tests.agents.relabel.spy import Spy
from tests.toys import Redistribute

# Rollouts are cut shorter than episodes on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:.* paid zeros for a rollout:RuntimeWarning")


def learn(scripts: list[Script], rollouts: int, rows: int, learner=PPO, reward=None, **kwargs):
    as_dict = kwargs.pop("as_dict", False)
    env = lanes(scripts, reward or Redistribute(), as_dict)
    policy = "MultiInputPolicy" if as_dict else "MlpPolicy"
    if learner is RecurrentPPO:
        policy = policy.replace("Policy", "LstmPolicy")
    options = {} if learner is A2C else {"batch_size": rows * len(scripts), "n_epochs": 1}
    small = {"net_arch": [4]} | ({"lstm_hidden_size": 4} if learner is RecurrentPPO else {})
    model = learner(
        policy, env, n_steps=rows, gamma=0.9, seed=0, device="cpu", policy_kwargs=small, **options
    )
    attach(model, **kwargs)
    spy = Spy()
    model.learn(rollouts * rows * len(scripts), callback=spy)
    return np.concatenate(spy.rewards), spy.bootstraps, model


def uniform_by_hand(script: Script, steps: int, rows: int, told: Any) -> np.ndarray:
    """What uniform credits should be at each step of one lane, rollout by rollout."""
    expected = np.full(steps, np.nan)
    start = 0
    for length, _ in script:
        end = start + length
        cut = (end - 1) // rows * rows  # rows of earlier rollouts keep provisional credits
        if end <= steps:
            expected[max(start, cut) : end] = np.arange(start + 1, end + 1).mean()
        start = end
    return expected


scripts = st.lists(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from(ENDS)), max_size=8),
    min_size=1,
    max_size=3,
)


@given(scripts=scripts, rows=st.integers(2, 7), rollouts=st.integers(1, 4))
def test_every_cut_of_episodes_pays_full_length_credits(scripts, rows, rollouts):
    if rows * len(scripts) == 1:
        rows = 2
    paid, bootstraps, _ = learn(scripts, rollouts, rows)
    for (row, lane), value in bootstraps.items():
        paid[row, lane] -= value
    for lane, script in enumerate(scripts):
        expected = uniform_by_hand(script, len(paid), rows, None)
        known = ~np.isnan(expected)
        np.testing.assert_allclose(paid[known, lane], expected[known], rtol=1e-5, atol=1e-5)


def test_an_unfinished_tail_gets_the_rate_of_finished_episodes_and_never_zero():
    paid, _, _ = learn([[(4, "terminated"), (6, "terminated")]], rollouts=2, rows=6)
    assert paid[:4, 0].tolist() == [2.5] * 4
    assert paid[4:6, 0].tolist() == [2.5, 2.5]  # provisional: the one finished episode's rate
    assert paid[6:10, 0].tolist() == [7.5] * 4  # (5 + ... + 10) / 6
    rate = (2.5 * 4 + 7.5 * 6) / 10
    np.testing.assert_allclose(paid[10:, 0], rate)


def test_an_endless_episode_pays_what_was_paid_until_something_is_known():
    paid, _, _ = learn([[]], rollouts=3, rows=4)
    assert (paid == 0.0).all()


class Exact(Redistribute):
    """Knows the credits of unfinished episodes: the world's reward, doubled."""

    def finish(self, episodes):
        return [2.0 * e.env_reward for e in episodes]

    def estimate(self, prefix):
        return 2.0 * prefix.env_reward


@pytest.mark.parametrize(("mode", "times"), [("replace", 2.0), ("add", 3.0)])
def test_estimates_make_tails_exact_and_add_mode_keeps_the_worlds_reward(mode, times):
    reward = {"model": Exact(), "mode": mode}
    paid, _, _ = learn([[(5, "terminated")], [(11, "terminated")]], 3, 4, reward=reward)
    np.testing.assert_allclose(paid, times * np.repeat(np.arange(1, 13)[:, None], 2, axis=1))


def test_parts_that_pay_at_step_time_keep_their_pay_in_a_sum():
    paid, _, _ = learn([[(3, "terminated")] * 4], 2, 6, reward=["env", Redistribute()])
    credit = np.arange(1.0, 13.0).reshape(4, 3).mean(axis=1).repeat(3)
    np.testing.assert_allclose(paid[:, 0], np.arange(1, 13) + credit)


@pytest.mark.parametrize("learner", [PPO, A2C, RecurrentPPO, MaskablePPO])
@pytest.mark.parametrize("as_dict", [False, True])
def test_every_on_policy_learner_and_dict_observations(learner, as_dict):
    paid, _, model = learn([[(3, "terminated")] * 4], 2, 6, learner=learner, as_dict=as_dict)
    expected = np.arange(1.0, 13.0).reshape(4, 3).mean(axis=1).repeat(3)
    np.testing.assert_allclose(paid[:, 0], expected)
    # The last rollout's returns follow from the corrected rewards, so the learner used them.
    buffer = model.rollout_buffer
    last = np.asarray(buffer.returns).reshape(-1)[-1]
    value = np.asarray(buffer.values).reshape(-1)[-1]
    advantage = np.asarray(buffer.advantages).reshape(-1)[-1]
    np.testing.assert_allclose(last, expected[-1], rtol=1e-5)
    np.testing.assert_allclose(advantage, expected[-1] - value, rtol=1e-4)


def test_lanes_may_be_permuted():
    scripts = [[(3, "terminated"), (4, "truncated")], [(7, "terminated")], [(2, "truncated")] * 5]
    order = [2, 0, 1]
    straight, first, _ = learn(scripts, 2, 5)
    mixed, second, _ = learn([scripts[i] for i in order], 2, 5)
    for (row, lane), value in first.items():
        straight[row, lane] -= value
    for (row, lane), value in second.items():
        mixed[row, lane] -= value
    np.testing.assert_allclose(mixed, straight[:, order], atol=1e-5)


def test_scaled_credits_have_a_discounted_return_of_deviation_one():
    script = [[(5, "terminated")] * 40]
    paid, _, _ = learn(script, 4, 50, normalize=True)
    raw, _, _ = learn(script, 4, 50)
    ratios = (paid / raw).reshape(4, 50)
    np.testing.assert_allclose(ratios, ratios[:, :1].repeat(50, axis=1), rtol=1e-5)
    returns, total = [], 0.0
    for t, reward in enumerate(paid[:50, 0]):
        total = reward + 0.9 * (0.0 if t % 5 == 0 else total)
        returns.append(total)
    assert np.std(returns) == pytest.approx(1.0, rel=0.01)


class Silent(RewardModel):
    """Speaks at the end of an episode, but has nothing to say."""

    traits = Traits(when="episode")

    def score(self, steps):
        return Scores(np.zeros(len(steps.slot)), all_true(len(steps.slot)))


class Wrong(Silent):
    """Returns credits that cannot be paid."""

    def __init__(self, credit: Any) -> None:
        self.credit = credit

    def finish(self, episodes):
        return [self.credit for _ in episodes]


def test_silence_keeps_step_rewards_and_bad_credits_are_refused():
    paid, _, _ = learn([[(3, "terminated")] * 2], 1, 6, reward=Silent())
    assert (paid == 0.0).all()
    for bad in (np.zeros(2), np.array([1.0, np.nan, 1.0]), np.zeros((3, 1))):
        with pytest.raises(RewardError, match="one finite number per step"):
            learn([[(3, "terminated")]], 1, 6, reward=Wrong(bad))


def test_without_relabelling_nobody_is_paid_nothing_silently():
    env = lanes([[(3, "terminated")]], Redistribute())
    with pytest.raises(RewardError, match=r"densegym\.agents\.relabel\.attach"):
        env.reset()


def test_what_would_falsify_relabelling_is_refused():
    from stable_baselines3 import DQN

    scaled = VecNormalize(lanes([[]], Redistribute()))
    with pytest.raises(RewardError, match="norm_reward=False"):
        attach(PPO("MlpPolicy", scaled, device="cpu"))
    plain = LaneVecEnv([lambda: Scripted([])])
    with pytest.raises(RewardError, match="DenseRewardVecEnv"):
        attach(DQN("MlpPolicy", plain, device="cpu"))
