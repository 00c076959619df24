"""Two-level advantages: formulas, anchors, and that a learner really uses them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecNormalize

from densegym.agents.extras.attach import attach_extras
from densegym.agents.extras.settings import ExtraSettings, cosine_rise, extra_settings
from densegym.agents.extras.two_level import (
    anchor_groups,
    group_advantages,
    returns_to_go,
    standardized,
)
from densegym.agents.relabel import attach
from densegym.errors import DenseGymError, UnknownNameError
from tests.agents.relabel.scripted import lanes
from tests.toys import Redistribute


class Spy(BaseCallback):
    """Keeps what the learner is about to learn from."""

    def __init__(self) -> None:
        super().__init__()
        self.advantages: list[np.ndarray] = []
        self.returns: list[np.ndarray] = []
        self.rewards: list[np.ndarray] = []
        self.apart: list[np.ndarray] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        buffer = self.model.rollout_buffer
        self.advantages.append(buffer.advantages.copy())
        self.returns.append(buffer.returns.copy())
        self.rewards.append(buffer.rewards.copy())
        if hasattr(buffer, "books"):
            self.apart.append(buffer.books.apart.copy())


def learn(reward, extra: ExtraSettings, *, script=((3, "terminated"),) * 8, rollouts=2, **kwargs):
    env = lanes([list(script), list(script)], reward)
    model = PPO(
        "MlpPolicy",
        env,
        n_steps=12,
        batch_size=24,
        n_epochs=1,
        seed=0,
        device="cpu",
        policy_kwargs={"net_arch": [4]},
        **kwargs,
    )
    if extra.notes_pay:
        attach(model)
    spy = Spy()
    model.learn(24 * rollouts, callback=[spy, *attach_extras(model, extra)])
    return spy, model


def test_credits_join_advantages_and_leave_rewards_and_returns_alone():
    reward = ["env", Redistribute()]
    plain, _ = learn("env", ExtraSettings(), rollouts=1)
    spy, _ = learn(reward, ExtraSettings(step_advantage=0.5), rollouts=1)
    np.testing.assert_array_equal(spy.rewards[0], plain.rewards[0])
    np.testing.assert_allclose(spy.returns[0], plain.returns[0], rtol=1e-6)
    credit = np.arange(1.0, 13.0).reshape(4, 3).mean(axis=1).repeat(3)
    np.testing.assert_allclose(spy.apart[0], np.stack([credit, credit], axis=1))
    expected = standardized(plain.advantages[0]) + 0.5 * standardized(spy.apart[0])
    np.testing.assert_allclose(spy.advantages[0], expected, rtol=1e-5, atol=1e-6)


def test_pay_on_top_of_the_world_fades_along_a_cosine():
    reward = ["env", Redistribute()]
    spy, _ = learn(
        reward, ExtraSettings(fade_updates=2), rollouts=4, script=[(3, "terminated")] * 16
    )
    own = np.arange(1.0, 49.0).reshape(4, 12)
    credit = np.arange(1.0, 49.0).reshape(16, 3).mean(axis=1).repeat(3).reshape(4, 12)
    for update, left in enumerate([1.0, 0.5, 0.0, 0.0]):
        np.testing.assert_allclose(spy.rewards[update][:, 0], own[update] + left * credit[update])


def test_anchors_compare_what_followed_equal_observations():
    spy, _ = learn("env", ExtraSettings(anchor_advantage=1.0), rollouts=1)
    plain, _ = learn("env", ExtraSettings(), rollouts=1)
    added = spy.advantages[0] - standardized(plain.advantages[0])
    # Both lanes play the same script, so every state is met twice with one and the same future.
    np.testing.assert_allclose(added, 0.0, atol=1e-6)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(-5, 5)), min_size=1, max_size=40),
    st.booleans(),
)
def test_group_advantages_are_centred_and_zero_when_alone(rows, by_deviation):
    groups = np.array([group for group, _ in rows])
    values = np.array([value for _, value in rows])
    numbers = np.unique(groups, return_inverse=True)[1]
    got = group_advantages(values, numbers, by_deviation=by_deviation)
    for number in range(numbers.max() + 1):
        mine = values[numbers == number]
        if len(mine) == 1:
            assert got[numbers == number] == 0.0
        else:
            np.testing.assert_allclose(got[numbers == number].mean(), 0.0, atol=1e-6)
            if not by_deviation:
                np.testing.assert_allclose(got[numbers == number], mine - mine.mean())
    assert np.isfinite(got).all()


def test_returns_to_go_stop_where_episodes_do():
    rewards = np.array([[1.0], [2.0], [3.0], [4.0]])
    starts = np.array([[True], [False], [True], [False]])
    got = returns_to_go(rewards, starts, np.array([10.0]), 0.5)
    np.testing.assert_allclose(got[:, 0], [1 + 0.5 * 2, 2.0, 3 + 0.5 * (4 + 5), 4 + 5])


def test_groups_tell_observations_apart_of_any_kind():
    flat = np.array([[[1.0, 2.0]], [[1.0, 2.0]], [[2.0, 1.0]]], dtype=np.float32)
    assert anchor_groups(flat).tolist() == [0, 0, 1]
    both = {"a": flat, "b": np.array([[[0]], [[1]], [[1]]])}
    assert anchor_groups(both).tolist() == [0, 1, 2]


def test_standardizing_equal_values_gives_zeros():
    assert standardized(np.full((3, 2), 7.0)).tolist() == np.zeros((3, 2)).tolist()


def test_the_cosine_rises_from_zero_to_one_and_stays():
    assert [cosine_rise(n, 4) for n in (0, 2, 4, 9)] == [0.0, pytest.approx(0.5), 1.0, 1.0]
    assert cosine_rise(0, 0) == 1.0


def test_wrong_extras_are_refused():
    with pytest.raises(UnknownNameError, match="self_imitation"):
        extra_settings({"selfimitation": 1})
    for bad in (-1, True, "much", 0.5):
        key = "fade_updates" if bad == 0.5 else "step_advantage"
        with pytest.raises(DenseGymError, match=rf"extra\.{key} takes a"):
            extra_settings({key: bad})
    with pytest.raises(DenseGymError, match=r"at most extra\.entropy_high"):
        extra_settings({"entropy_low": 3.0})
    env = lanes([[]], "env")
    with pytest.raises(DenseGymError, match="no such reward"):
        attach_extras(PPO("MlpPolicy", env, device="cpu"), ExtraSettings(step_advantage=1.0))
    scaled = VecNormalize(env, norm_reward=False)
    with pytest.raises(DenseGymError, match="normalize_obs=false"):
        attach_extras(PPO("MlpPolicy", scaled, device="cpu"), ExtraSettings(anchor_advantage=1.0))
    alone = PPO("MlpPolicy", lanes([[]], Redistribute()), device="cpu")
    attach(alone)
    with pytest.raises(DenseGymError, match='"env"'):
        attach_extras(alone, ExtraSettings(step_advantage=1.0))


def test_off_policy_learners_have_no_advantages():
    import gymnasium as gym

    env = gym.make("Pendulum-v1")
    with pytest.raises(DenseGymError, match="on-policy"):
        attach_extras(
            SAC("MlpPolicy", env, device="cpu", buffer_size=10), ExtraSettings(self_imitation=1.0)
        )
