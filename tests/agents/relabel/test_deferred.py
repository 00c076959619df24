"""Deferred scoring: bit-equal to scoring step by step, in few calls, under every learner."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecMonitor

from densegym.agents.relabel import attach
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv
from densegym.errors import RewardError
from densegym.reward_models.model import RewardModel
from densegym.reward_models.reward import Reward
from densegym.reward_models.shaping import Shaped
from densegym.reward_models.types import Starts, Steps
from tests.agents.relabel.scripted import lanes
from tests.agents.relabel.test_rollout_relabel import scripts
from tests.toys import Counting, Height, Redistribute


class Tall(Height):
    """Counts how often it is asked; ``values`` answers everything at once."""

    def __init__(self, abstains: bool = False) -> None:
        super().__init__(abstains)
        self.asked = 0

    def _value(self, obs):
        return np.tanh(obs[:, 0]) + 0.3 * obs[:, 1]

    def value(self, event):
        self.asked += 1
        return super().value(event)

    def values(self, events):
        self.asked += 1
        return [super(Tall, self).value(event) for event in events]


class Spy(BaseCallback):
    """Keeps what was paid: at step time, and before advantages."""

    def __init__(self) -> None:
        super().__init__()
        self.at_once: list[np.ndarray] = []
        self.rewards: list[np.ndarray] = []

    def _on_step(self) -> bool:
        self.at_once.append(self.locals["rewards"].copy())
        return True

    def _on_rollout_end(self) -> None:
        self.rewards.append(self.model.rollout_buffer.rewards.copy())


def spec(model, deferred, mode=None, fallback="zero"):
    said = {"model": model, "deferred": deferred, "fallback": fallback}
    return said if mode is None else said | {"mode": mode}


def learn(scripts, reward, rows=5, rollouts=3):
    env = lanes(scripts, reward)
    model = PPO(
        "MlpPolicy",
        VecMonitor(env),
        n_steps=rows,
        batch_size=rows * len(scripts),
        n_epochs=1,
        seed=0,
        device="cpu",
        policy_kwargs={"net_arch": [4]},
    )
    attach(model)
    spy = Spy()
    model.learn(rows * len(scripts) * rollouts, callback=spy)
    return np.concatenate(spy.rewards), np.array(spy.at_once), env.engine


@given(
    scripts=scripts,
    rows=st.integers(2, 6),
    abstains=st.booleans(),
    fallback=st.sampled_from(["zero", "env", "last"]),
)
def test_deferred_pay_is_bit_equal_to_pay_at_step_time(scripts, rows, abstains, fallback):
    for make, mode in ((Tall, None), (Counting, "replace"), (Counting, "add")):
        if fallback == "env" and mode != "replace":
            with pytest.raises(RewardError, match="pay the world twice"):
                lanes(scripts, spec(make(abstains), True, mode, fallback))
            continue
        now, _, first = learn(scripts, spec(make(abstains), False, mode, fallback), rows)
        late, at_once, second = learn(scripts, spec(make(abstains), True, mode, fallback), rows)
        np.testing.assert_array_equal(now, late)
        sums, later = first.pop_sums(), second.pop_sums()
        assert sums == pytest.approx(later, abs=1e-9)
        assert first.usage.steps == second.usage.steps
        assert first.usage.abstentions == second.usage.abstentions
        assert (at_once == 0.0).all()


def test_a_potential_is_asked_once_per_rollout():
    model = Tall()
    learn([[(3, "terminated")] * 4] * 2, spec(model, True), rows=6, rollouts=2)
    assert model.asked == 2


def test_sums_scales_and_gates_are_judged_at_once_as_they_score():
    parts = [
        {"model": Tall(), "scale": 0.5},
        {"model": Counting(), "clip": [0, 2]},
        {"model": Counting(), "gate": Counting(), "gate_threshold": 2.0},
    ]
    now, _, _ = learn([[(4, "truncated")] * 4], parts)
    parts = [
        {"model": Tall(), "scale": 0.5, "deferred": True},
        {"model": Counting(), "clip": [0, 2]},
        {"model": Counting(), "gate": Counting(), "gate_threshold": 2.0},
    ]
    late, at_once, engine = learn([[(4, "truncated")] * 4], parts)
    assert engine.reward.traits.when == "rollout"
    assert (at_once == 0.0).all()
    np.testing.assert_array_equal(now, late)


def test_a_rollout_that_a_callback_cut_short_does_not_shift_the_next():
    class Stop(BaseCallback):
        def _on_step(self) -> bool:
            return self.n_calls != 3

    env = lanes([[]], spec(Counting(), True))
    model = PPO("MlpPolicy", env, n_steps=6, batch_size=6, n_epochs=1, seed=0, device="cpu")
    attach(model)
    model.learn(6, callback=Stop())
    spy = Spy()
    model.learn(6, callback=spy, reset_num_timesteps=False)
    assert spy.rewards[0][:, 0].tolist() == [4, 5, 6, 7, 8, 9]


def test_a_replay_buffer_finds_its_rows_after_a_callback_cut_collecting_short():
    class Stop(BaseCallback):
        def _on_step(self) -> bool:
            return self.n_calls != 4

    env = lanes([[]], spec(Counting(), True))
    model = DQN("MlpPolicy", env, buffer_size=50, learning_starts=100, seed=0, device="cpu")
    attach(model)
    model.learn(10, callback=Stop())  # the fourth step is taken, but never stored
    model.learn(3, reset_num_timesteps=False)
    model.replay_buffer.settle()
    stored = model.replay_buffer.rewards[: model.replay_buffer.pos, 0].tolist()
    assert stored == [step for step in range(1, len(stored) + 2) if step != 4]


def test_replay_buffers_settle_before_they_are_sampled():
    env = lanes([[(3, "terminated")] * 50, [(4, "truncated")] * 50], spec(Counting(), True))
    model = DQN(
        "MlpPolicy",
        env,
        buffer_size=40,
        learning_starts=20,
        train_freq=4,
        batch_size=8,
        seed=0,
        device="cpu",
        policy_kwargs={"net_arch": [4]},
    )
    attach(model)
    model.learn(120)
    model.replay_buffer.settle()
    rewards, dones = model.replay_buffer.rewards, model.replay_buffer.dones
    assert set(np.unique(rewards[:, 0])) == {1.0, 2.0, 3.0}
    assert set(np.unique(rewards[:, 1])) == {1.0, 2.0, 3.0, 4.0}
    np.testing.assert_array_equal(dones[:, 0], rewards[:, 0] == 3.0)


def test_memory_before_learning_starts_is_bounded():
    env = lanes([[]], spec(Counting(), True))
    model = DQN("MlpPolicy", env, buffer_size=2000, learning_starts=1500, device="cpu")
    attach(model)
    model.learn(1200)
    assert model.replay_buffer.waiting < 512
    assert model.replay_buffer.rewards[:1024, 0].tolist() == list(range(1, 1025))


def test_whole_episodes_are_not_deferred_as_well():
    with pytest.raises(RewardError, match='Leave out "deferred"'):
        lanes([[]], [spec(Counting(), True), Redistribute()])


def test_without_a_learner_that_relabels_nothing_is_deferred():
    env = lanes([[]], spec(Counting(), True))
    env.reset()
    assert [float(env.step(np.array([0]))[1][0]) for _ in range(3)] == [1.0, 2.0, 3.0]
    assert isinstance(env, DenseRewardVecEnv)


class Squared(Reward):
    """Overrides what a reward says of steps, one by one and at once."""

    def score(self, steps):
        return self._squared(super().score(steps))

    def score_many(self, events):
        return [self._squared(scores) for scores in super().score_many(events)]

    def _squared(self, scores):
        return scores._replace(reward=np.square(scores.reward))


def test_a_subclass_with_scores_of_its_own_is_not_judged_as_its_base():
    now, _, _ = learn([[(4, "truncated")] * 4], spec(Squared.of(Counting(), scale=2.0), False))
    late, _, _ = learn([[(4, "truncated")] * 4], spec(Squared.of(Counting(), scale=2.0), True))
    assert set(now[:, 0].tolist()) >= {4.0, 16.0, 36.0}
    np.testing.assert_array_equal(now, late)
    with pytest.raises(TypeError, match="overrides score of Reward, which also defines score_many"):
        type("Half", (Reward,), {"score": Squared.score})


def test_a_potential_of_single_states_is_asked_one_by_one():
    starts = Starts(np.array([0]), np.zeros((1, 3)), [{}])
    steps = Steps(
        np.array([0]),
        np.array([0]),
        np.zeros((1, 3)),
        np.zeros(1),
        np.ones((1, 3)),
        np.ones(1),
        np.zeros(1, bool),
        np.zeros(1, bool),
        [{}],
    )
    one_by_one, at_once = Tall(), Tall()
    (got,) = RewardModel.score_many(Shaped(one_by_one), [starts, steps])
    (again,) = Shaped(at_once).score_many([starts, steps])
    assert got.reward == again.reward != 0.0
    assert (one_by_one.asked, at_once.asked) == (2, 1)
    (single,) = Shaped(Height()).score_many([starts, steps])
    alone = Shaped(Height())
    alone.begin(starts)
    assert single.reward == alone.score(steps).reward != 0.0


def test_the_command_line_takes_it(tmp_path):
    from densegym.agents.training.config import resolve
    from densegym.agents.training.learner import build_learner
    from tests.small import SMALL

    reward = json.loads('{"model": "authored", "deferred": true}')
    config = resolve("DenseGym/HopperForward-v0", reward=reward, steps=128, overrides=SMALL)
    learner = build_learner(config)
    try:
        learner.model.learn(128)
        assert learner.engine.reward.traits.when == "rollout"
        assert learner.engine.payer == "late"
        assert learner.model.rollout_buffer.books.dense.any()
    finally:
        learner.close()
