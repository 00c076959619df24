"""Self-imitation: what is kept over rollout edges, the curriculum, and what it gains."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO

from densegym.agents.extras.attach import attach_extras
from densegym.agents.extras.imitation import SelfImitation, imitation_loss
from densegym.agents.extras.settings import ExtraSettings
from densegym.agents.relabel import attach
from densegym.envs.wrappers.lanes import LaneVecEnv
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv
from tests.agents.relabel.scripted import lanes
from tests.toys import CARD, Redistribute


def run(script, steps, *, kind=PPO, reward="env", threshold=1.0, **kwargs):
    env = lanes([list(script)], reward)
    model = kind(
        "MlpPolicy",
        env,
        n_steps=8,
        batch_size=8,
        n_epochs=2,
        seed=0,
        device="cpu",
        policy_kwargs={"net_arch": [4]},
    )
    if reward != "env":
        attach(model)
    imitation = SelfImitation(weight=1.0, threshold=threshold, **kwargs)
    model.learn(steps, callback=imitation)
    return imitation, model


def test_episodes_are_joined_over_the_edges_of_rollouts():
    imitation, _ = run([(3, "terminated"), (11, "truncated"), (2, "terminated")], 16, threshold=-9)
    assert list(imitation.returns) == [6.0, sum(range(4, 15)), 15.0 + 16.0]
    kept = [one for one in imitation.kept if len(one) == 11]
    # The first episode of all has nothing to be compared with and counts zero.
    assert len(kept) == 1
    np.testing.assert_array_equal(kept[0].obs[:, 0], np.arange(11))
    assert kept[0].total == sum(range(4, 15))


def test_only_episodes_far_above_the_median_are_kept_and_none_for_long():
    imitation, _ = run([(1, "terminated")] * 7 + [(17, "terminated")] + [(1, "terminated")] * 8, 32)
    assert [len(one) for one in imitation.kept] == [17]
    imitation.age = -1
    imitation._imitate()
    assert not imitation.kept


def test_credits_decide_where_a_model_speaks_at_the_end():
    imitation, _ = run([(4, "terminated")] * 4, 16, reward=Redistribute())
    np.testing.assert_allclose(list(imitation.returns), [10.0, 26.0, 42.0, 58.0])


def test_the_weight_rises_with_the_learners_updates():
    imitation, model = run([(4, "terminated")] * 4, 16, rise=4)
    assert imitation.updates == 2
    assert imitation.current_weight() == pytest.approx(0.5)
    model._n_updates = 8
    assert imitation.current_weight() == 1.0


def test_equal_returns_are_no_reason_to_imitate():
    imitation, _ = run([], 16)
    imitation.returns.extend([3.0, 3.0, 3.0])
    assert imitation.advantage(3.0) == 0.0


def test_the_loss_is_the_clipped_one_without_the_most_covariant_steps():
    log_prob = torch.tensor([-1.0, -1.0, -0.2, -3.0], requires_grad=True)
    old = torch.tensor([-1.0, -2.0, -0.2, -3.0])
    worth = torch.tensor([2.0, 2.0, 4.0, 2.0])
    plain = imitation_loss(log_prob, old, worth, 0.2, 0.0)
    assert float(plain.detach()) == pytest.approx(-(2.0 + 2.4 + 4.0 + 2.0) / 4)
    spared = imitation_loss(log_prob, old, worth, 0.2, 0.25)
    spared.backward()
    assert float(spared.detach()) == pytest.approx(-(2.0 + 2.4 + 2.0) / 3)
    assert log_prob.grad[2] == 0.0  # the most covariant
    assert log_prob.grad[1] == 0.0  # clipped


def test_maskable_policies_imitate_under_their_masks():
    script = [(1, "terminated")] * 7 + [(17, "terminated")] + [(1, "terminated")] * 8
    imitation, _ = run(script, 48, kind=MaskablePPO)
    assert imitation.kept
    assert "action_masks" in imitation.kept[0].rows


class Lock(gym.Env):
    """Pays 1 only where five actions in a row are all 1, else nothing; ends after five."""

    observation_space = gym.spaces.Box(0, 5, (1,), np.float32)
    action_space = gym.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.right = 0, 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.t, self.right = self.t + 1, self.right + int(action == 1)
        won = self.right == 5
        return np.full(1, self.t, np.float32), float(won), self.t == 5, False, {}


def opened(weight: float, seed: int) -> float:
    env = DenseRewardVecEnv(LaneVecEnv([Lock] * 8), "env", task=CARD)
    model = PPO("MlpPolicy", env, n_steps=40, batch_size=320, n_epochs=4, seed=seed, device="cpu")
    callbacks = attach_extras(model, ExtraSettings(self_imitation=weight, self_imitation_updates=1))
    model.learn(320 * 25, callback=callbacks)
    obs, total = env.reset(), 0.0
    for _ in range(50):
        obs, reward, _, _ = env.step(model.predict(obs, deterministic=False)[0])
        total += float(reward.sum())
    return total / 80


def test_rare_wins_are_learnt_sooner():
    plain = np.mean([opened(0.0, seed) for seed in range(3)])
    imitating = np.mean([opened(1.0, seed) for seed in range(3)])
    assert imitating > plain + 0.1
