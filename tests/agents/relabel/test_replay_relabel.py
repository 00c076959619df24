"""Off-policy relabelling: patched, committed and predicted rewards, and what cannot work."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3 import DQN, SAC, HerReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback

from densegym.agents.relabel import attach
from densegym.agents.relabel import replay as replay_buffers
from densegym.agents.relabel.replay import _draw
from densegym.envs.wrappers.lanes import LaneVecEnv
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv
from densegym.errors import RewardError
from densegym.reward_models.batch import all_true
from densegym.reward_models.model import RewardModel
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Scores
from tests.agents.relabel.scripted import ENDS, Script, lanes
from tests.toys import CARD, Counting, Redistribute


def collect(scripts: list[Script], steps: int, size: int, reward: Any = None, **kwargs) -> Any:
    """Return a DQN that collected ``steps`` steps a lane and never learned."""
    as_dict = kwargs.pop("as_dict", False)
    env = lanes(scripts, reward or Redistribute(), as_dict)
    count = steps * len(scripts)
    policy = "MultiInputPolicy" if as_dict else "MlpPolicy"
    model = DQN(policy, env, buffer_size=size, learning_starts=10**9, train_freq=1, device="cpu")
    attach(model, **kwargs)
    model.learn(count)
    return model


def by_life(batch: Any) -> dict[int, float]:
    """Reward of each sampled step, by the step of the world's life it was (mod 7, see scripted)."""
    after = batch.next_observations
    seen = after["seen"] if isinstance(after, dict) else after
    keys = zip(seen[:, 0].tolist(), seen[:, 1].tolist(), strict=True)
    return dict(zip(keys, batch.rewards[:, 0].tolist(), strict=True))


scripts = st.lists(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from(ENDS)), min_size=1, max_size=6),
    min_size=1,
    max_size=3,
)


@given(scripts=scripts, size=st.integers(3, 40), steps=st.integers(1, 40))
def test_patched_rows_are_ready_exactly_when_their_credit_is_known(scripts, size, steps):
    model = collect(scripts, steps, size * len(scripts), replay="patch")
    buffer = model.replay_buffer
    for lane, script in enumerate(scripts):
        credit = np.full(steps, np.nan)
        start = 0
        for length, _ in script:
            if start + length <= steps:
                mean = np.arange(start + 1, start + length + 1).mean()
                credit[start : start + length] = mean
            start += length
        kept = range(max(0, steps - size), steps)  # what the ring still holds
        for step in kept:
            row = step % size
            assert buffer.ready[row, lane] == (not np.isnan(credit[step]))
            if buffer.ready[row, lane]:
                assert buffer.rewards[row, lane] == np.float32(credit[step])


@pytest.mark.parametrize("as_dict", [False, True])
@pytest.mark.parametrize("replay", ["patch", "commit"])
def test_samples_hold_credits_and_true_ends(replay, as_dict):
    script = [(3, "terminated"), (2, "truncated"), (50, "terminated")]
    model = collect([script], 12, 100, replay=replay, as_dict=as_dict)
    batch = model.replay_buffer.sample(400)
    seen = by_life(batch)
    assert seen == {(1, 1): 2, (2, 2): 2, (3, 3): 2, (1, 4): 4.5, (2, 5): 4.5}
    after = batch.next_observations["seen"] if as_dict else batch.next_observations
    for (t, life), done in zip(after.tolist(), batch.dones[:, 0].tolist(), strict=True):
        assert done == ((t, life) == (3, 3))  # a time limit is no end


def test_commit_takes_episodes_of_many_lanes_whole():
    scripts = [[(3, "terminated")] * 9, [(4, "terminated")] * 9]
    model = collect(scripts, 10, 100, replay="commit")
    buffer = model.replay_buffer
    assert buffer.n_envs == 1
    stored = buffer.rewards[: buffer.pos, 0].tolist()
    assert stored == [2.0] * 3 + [2.5] * 4 + [5.0] * 3 + [6.5] * 4 + [8.0] * 3


@pytest.mark.parametrize("replay", ["patch", "commit"])
def test_an_episode_that_a_second_call_of_learn_dropped_mixes_with_no_other(replay):
    script = [(3, "terminated"), (9, "terminated"), *[(2, "terminated")] * 9]
    model = collect([script], 5, 100, replay=replay)
    model.learn(2)  # resets the world in the second episode
    seen = by_life(model.replay_buffer.sample(400))
    assert seen == {(1, 1): 2.0, (2, 2): 2.0, (3, 3): 2.0, (1, 6): 6.5, (2, 0): 6.5}


@pytest.mark.parametrize("replay", ["patch", "commit"])
def test_a_step_that_a_callback_kept_from_being_stored_shifts_no_credit(replay):
    class Stop(BaseCallback):
        def _on_step(self) -> bool:
            return self.n_calls != 5

    env = lanes([[(3, "terminated"), (4, "terminated")]], Exactly())
    model = DQN("MlpPolicy", env, buffer_size=100, learning_starts=10**9, device="cpu")
    attach(model, replay=replay)
    model.learn(10, callback=Stop())  # the fifth step, second of its episode, is not stored
    model.learn(3, reset_num_timesteps=False)
    stored = by_life(model.replay_buffer.sample(400))
    first = {(1, 1): 1.0, (2, 2): 2.0, (3, 3): 3.0}
    assert stored == first | {(1, 4): 4.0, (3, 6): 6.0, (4, 0): 7.0}


@pytest.mark.parametrize("replay", ["patch", "commit", "lazy"])
def test_the_book_keeps_no_row_that_no_episode_needs(replay, monkeypatch):
    asked = []
    env = lanes([[(3, "terminated")] * 9], Doubling() if replay == "lazy" else Exactly())
    model = DQN("MlpPolicy", env, buffer_size=20, learning_starts=10**9, device="cpu")
    attach(model, replay=replay)
    monkeypatch.setattr(env.engine.pay, "forget", asked.append)
    model.learn(12)
    assert asked == [*range(1, 13)]


@pytest.mark.parametrize("size", [5, 6])
@pytest.mark.parametrize("stored", [[0, 1, 2, 3, 4], [0, 1, 3, 4, 6, 7, 8], [*range(13)]])
def test_rows_are_found_by_tick(stored, size):
    """Whatever steps were stored nowhere, and however often the ring went round."""
    env = lanes([[(9, "terminated")] * 9], Exactly())
    model = DQN("MlpPolicy", env, buffer_size=size, learning_starts=10**9, device="cpu")
    attach(model, replay="patch")
    buffer, book = model.replay_buffer, env.engine.pay
    obs = env.reset()
    for tick in range(stored[-1] + 1):
        after, reward, done, infos = env.step(np.zeros(1, dtype=np.int64))
        if tick in stored:
            buffer.add(obs, after, np.zeros((1, 1)), reward, done, infos)
        obs = after
        ticks = np.arange(book.tick + 1)
        rows, mine = buffer.rows_of(ticks)
        kept = [one for one in stored if one <= tick][-size:]
        assert ticks[mine].tolist() == kept
        assert buffer.ticks[rows[mine]].tolist() == kept


def test_rows_wait_for_a_sample_or_until_they_are_many(monkeypatch):
    monkeypatch.setattr(replay_buffers, "_MOST_WAITING", 4)
    env = lanes([[]], {"model": Counting(), "deferred": True})
    settings = {"buffer_size": 20, "learning_starts": 10**9, "train_freq": 1, "device": "cpu"}
    model = DQN("MlpPolicy", env, **settings)
    attach(model)
    asked, late = [], env.engine.late
    monkeypatch.setattr(env.engine, "late", lambda: asked.append(env.engine.pay.tick) or late())
    model.learn(10)
    assert asked == [3, 7]
    assert set(model.replay_buffer.sample(200).rewards[:, 0].tolist()) == set(range(1, 11))
    assert asked == [3, 7, 9]


def test_draws_come_from_all_rows_that_are_ready():
    ready = np.zeros((50, 4), dtype=bool)
    ready[7, 1] = ready[49, 3] = True  # so few that draws miss them
    engine = lanes([[]], Exactly()).engine
    np.random.seed(0)  # noqa: NPY002  # as SB3 draws
    for share in (ready, ready | True, ready[:, :2]):
        rows, cols = _draw(share, 3, engine)
        assert (rows.shape, cols.shape) == ((3,), (3,))
        assert share[rows, cols].all()
    slanted = np.arange(50)[:, None] % 4 == np.arange(4)
    rows, cols = _draw(slanted, 200, engine)
    assert (rows % 4).tolist() == cols.tolist()
    rows, cols = _draw(ready, 200, engine)
    assert set(zip(rows.tolist(), cols.tolist(), strict=True)) == {(7, 1), (49, 3)}
    rows, cols = _draw(ready | True, 5000, engine)
    assert (len(set(rows.tolist())), len(set(cols.tolist()))) == (50, 4)
    with pytest.raises(RewardError, match="no episode has ended yet"):
        _draw(ready & False, 3, engine)


class Exactly(Redistribute):
    """Credits every step with what the world paid for it."""

    def finish(self, episodes):
        return [one.env_reward.copy() for one in episodes]


class Doubling(RewardModel):
    """A Markov model that learns: twice the step's number in its episode, times ``weight``."""

    traits = Traits(when="episode", markov=True)
    weight = 1.0

    def score(self, steps):
        return Scores(np.zeros(len(steps.slot)), all_true(len(steps.slot)))

    def predict(self, obs, action, next_obs):
        return self.weight * 2.0 * np.asarray(next_obs, dtype=np.float64)[:, 0]


def test_lazy_rewards_are_as_fresh_as_the_model():
    model = collect([[(3, "terminated")] * 4], 12, 100, reward=Doubling())
    first = by_life(model.replay_buffer.sample(300))
    assert {(t, r) for (t, _), r in first.items()} == {(1, 2.0), (2, 4.0), (3, 6.0)}
    model.get_env().engine.reward.terms[0].model.weight = 10.0
    later = by_life(model.replay_buffer.sample(300))
    assert {(t, r) for (t, _), r in later.items()} == {(1, 20.0), (2, 40.0), (3, 60.0)}


def test_an_endless_episode_cannot_be_sampled_and_says_so():
    for replay in ("patch", "commit"):
        model = collect([[]], 9, 100, replay=replay)
        with pytest.raises(RewardError, match="no episode has ended yet"):
            model.replay_buffer.sample(4)


class Goal(gym.Env):
    """A goal world with a time limit of its own."""

    box = gym.spaces.Box(-1, 1, (2,), np.float32)
    observation_space = gym.spaces.Dict(
        {"observation": box, "achieved_goal": box, "desired_goal": box}
    )
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def _obs(self):
        return {key: np.zeros(2, np.float32) for key in self.observation_space}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._obs(), {}

    def step(self, action):
        return self._obs(), 0.0, False, False, {}

    def compute_reward(self, achieved, desired, info):
        return np.zeros(len(achieved))


def test_what_would_undo_relabelling_is_refused():
    env = DenseRewardVecEnv(LaneVecEnv([Goal]), Redistribute(), task=CARD)
    her = SAC("MultiInputPolicy", env, replay_buffer_class=HerReplayBuffer, device="cpu")
    with pytest.raises(RewardError, match="plain replay buffer"):
        attach(her)
    steps = DQN("MlpPolicy", lanes([[]], Redistribute()), n_steps=3, device="cpu")
    with pytest.raises(RewardError, match="n_steps=1"):
        attach(steps)
    frugal = DQN(
        "MlpPolicy",
        lanes([[]], Redistribute()),
        optimize_memory_usage=True,
        replay_buffer_kwargs={"handle_timeout_termination": False},
        device="cpu",
    )
    with pytest.raises(RewardError, match="optimize_memory_usage=False"):
        attach(frugal)
    plain = DQN("MlpPolicy", lanes([[]], Redistribute()), device="cpu")
    with pytest.raises(RewardError, match="patch"):
        attach(plain, replay="lazy")
    with pytest.raises(RewardError, match="replay is one of"):
        attach(plain, replay="later")


def test_learning_must_not_start_before_an_episode_can_have_ended():
    def limited():
        return gym.wrappers.TimeLimit(gym.make("CartPole-v1").unwrapped, 50)

    env = DenseRewardVecEnv(LaneVecEnv([lambda: gym.make("CartPole-v1")] * 2), Redistribute())
    model = DQN("MlpPolicy", env, learning_starts=100, device="cpu")
    with pytest.raises(RewardError, match="learning_starts=1000"):
        attach(model)


class Effort(RewardModel):
    """A Markov model that says which actions it was shown."""

    traits = Traits(when="episode", markov=True)

    def score(self, steps):
        return Scores(np.zeros(len(steps.slot)), all_true(len(steps.slot)))

    def finish(self, episodes):
        return [np.abs(episode.action[:, 0]).astype(np.float64) for episode in episodes]

    def predict(self, obs, action, next_obs):
        return np.abs(action.reshape(len(action))).astype(np.float64)


def test_markov_models_are_shown_the_actions_that_the_world_took():
    worlds = LaneVecEnv([lambda: gym.make("Pendulum-v1")])  # torques in [-2, 2]
    env = DenseRewardVecEnv(worlds, Effort(), task=CARD)
    model = SAC("MlpPolicy", env, buffer_size=100, learning_starts=1000, seed=0, device="cpu")
    attach(model)
    model.learn(60)
    batch = model.replay_buffer.sample(64)
    np.testing.assert_allclose(batch.rewards.numpy(), 2.0 * batch.actions.abs().numpy(), rtol=1e-5)
    assert float(batch.rewards.max()) > 1.0
