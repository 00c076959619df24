"""EMPG and EPO: formulas by hand, gradients, and learners that run with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from densegym.agents.extras.attach import attach_extras
from densegym.agents.extras.entropy import (
    EntropySmoothing,
    modulated,
    smoothed,
    step_entropies,
    turns_of,
)
from densegym.agents.extras.settings import ExtraSettings
from densegym.errors import DenseGymError
from tests.agents.relabel.scripted import lanes


def learner(kind=PPO, policy="MlpPolicy", **kwargs):
    env = lanes([[(3, "terminated")] * 20, [(5, "truncated")] * 20], "env")
    options = {"n_steps": 12, "batch_size": 8, "n_epochs": 2, "seed": 0, "device": "cpu"}
    return kind(policy, env, policy_kwargs={"net_arch": [4]}, **options, **kwargs)


def test_sure_steps_weigh_more_and_earn_the_step_before_a_bonus():
    advantages = np.array([[1.0], [1.0], [-1.0], [-1.0]])
    entropy = np.array([[0.0], [2.0], [1.0], [0.0]])
    starts = np.array([[True], [False], [False], [True]])
    got = modulated(advantages, entropy, starts, k=1.0, future=0.1)
    sure = np.exp(-np.array([0.0, 1.0, 0.5, 0.0]))
    bonus = np.array([sure[1], sure[2], 0.0, 0.0])  # the last two end an episode, or the rollout
    expected = advantages[:, 0] * sure / sure.mean() + 0.1 * bonus
    np.testing.assert_allclose(got[:, 0], expected - expected.mean())
    assert got.mean() == pytest.approx(0.0, abs=1e-12)


def test_equal_entropies_change_nothing_but_the_mean():
    advantages = np.array([[2.0, -1.0], [0.5, -1.5]])
    same = modulated(advantages, np.full((2, 2), 0.7), np.ones((2, 2), bool), k=1.0, future=0.1)
    np.testing.assert_allclose(same, advantages - advantages.mean())


def test_entropies_outside_the_bounds_are_pulled_back_by_a_gradient():
    entropy = torch.tensor([0.1, 1.0, 5.0, 3.0], requires_grad=True)
    past = np.array([1.0, 1.0, 1.0, np.nan])
    got = smoothed(entropy, past, 0.5, 0.5, 2.0)
    np.testing.assert_allclose(
        got.detach().numpy(), [0.1 - 0.5 * 0.4, 1.0, 5.0 - 0.5 * 3.0, 3.0], rtol=1e-6
    )
    got.sum().backward()
    np.testing.assert_allclose(entropy.grad.numpy(), [1.5, 1.0, 0.5, 1.0])


def test_turns_go_on_over_the_edge_of_a_rollout():
    starts = np.array([[False, True], [True, False], [False, False]])
    assert turns_of(starts, np.array([6, 2])).tolist() == [[7, 0], [0, 1], [1, 2]]


@pytest.mark.parametrize(("kind", "policy"), [(PPO, "MlpPolicy"), (MaskablePPO, "MlpPolicy")])
def test_learners_learn_with_modulated_advantages(kind, policy):
    model = learner(kind, policy)
    seen = []

    class Spy(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            seen.append(self.model.rollout_buffer.advantages.copy())

    callbacks = attach_extras(model, ExtraSettings(entropy_modulation=1.0))
    model.learn(48, callback=[Spy(), *callbacks])
    assert len(seen) == 2
    assert all(abs(rows.mean()) < 1e-6 for rows in seen)


def test_smoothing_acts_from_the_second_update_on_with_the_rows_drawn():
    model = learner(ent_coef=0.01)
    (smoothing,) = attach_extras(model, ExtraSettings(entropy_smoothing=0.1))
    assert isinstance(smoothing, EntropySmoothing)
    model.learn(24, callback=smoothing)
    buffer = model.rollout_buffer
    obs = torch.as_tensor(buffer.observations[:8])
    actions = torch.as_tensor(buffer.actions[:8]).long().flatten()
    buffer.drawn = np.arange(8)
    plain = smoothing._evaluate(obs, actions)[2]
    assert torch.equal(model.policy.evaluate_actions(obs, actions)[2], plain)
    model.learn(24, callback=smoothing, reset_num_timesteps=False)
    smoothing._bounds[:] = 10.0  # every entropy is now below half the past mean
    buffer.drawn = np.arange(8)
    pulled = model.policy.evaluate_actions(obs, actions)[2]
    plain = smoothing._evaluate(obs, actions)[2]
    assert (pulled < plain).any()


def test_the_past_mean_of_a_turn_is_the_mean_over_updates():
    model = learner(ent_coef=0.01)
    smoothing = EntropySmoothing(model, beta=0.1, low=0.5, high=2.0)
    smoothing._take_in(np.array([[1.0], [3.0]]), np.array([[0], [1]]))
    smoothing._take_in(np.array([[2.0], [4.0]]), np.array([[0], [2]]))
    assert smoothing._past.tolist() == [1.5, 3.0, 4.0]
    assert smoothing._bounds.tolist() == [1.0, 3.0]


def test_entropies_are_those_of_the_policy():
    model = learner()
    model.learn(24)
    buffer = model.rollout_buffer
    buffer.observations = buffer.observations.reshape(2, 12, 2).swapaxes(0, 1)
    got = step_entropies(model, buffer)
    obs = torch.as_tensor(buffer.observations[5])
    with torch.no_grad():
        one = model.policy.get_distribution(obs).entropy()
    np.testing.assert_allclose(got[5], one.numpy(), rtol=1e-6)


def test_where_entropy_says_nothing_it_is_refused():
    import gymnasium as gym

    gaussian = PPO("MlpPolicy", gym.make("Pendulum-v1"), device="cpu")
    with pytest.raises(DenseGymError, match="discrete"):
        attach_extras(gaussian, ExtraSettings(entropy_modulation=1.0))
    with pytest.raises(DenseGymError, match=r"ent_coef=0\.001"):
        attach_extras(learner(), ExtraSettings(entropy_smoothing=0.1))
    with pytest.raises(DenseGymError, match="recurrent"):
        attach_extras(learner(RecurrentPPO, "MlpLstmPolicy"), ExtraSettings(self_imitation=0.1))
