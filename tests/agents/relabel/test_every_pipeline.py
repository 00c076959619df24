"""Every pipeline through both adapters: what was said of whole episodes is what learners get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sb3_contrib import ARS
from stable_baselines3 import DQN, PPO

from densegym.agents.relabel import attach
from densegym.envs.wrappers.lanes import LaneVecEnv
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv
from densegym.errors import RewardError
from densegym.reward_models.types import Episode
from tests.agents.relabel.scripted import ENDS, Script, Scripted, lanes
from tests.agents.relabel.spy import Spy
from tests.reward_models.credit.pipelines import GATES, SPREADERS, STAGES, pipeline, rested
from tests.toys import CARD

FEW = settings(max_examples=5)
# Rollouts are cut shorter than episodes on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:.* paid zeros for a rollout:RuntimeWarning")

SCRIPTS = st.lists(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from(ENDS)), min_size=1, max_size=5),
    min_size=1,
    max_size=3,
)
GATED = st.sampled_from(sorted(GATES))
MARKOV = [name for name in SPREADERS if rested(name, discrete=True).traits.markov]


class Witness(Spy):
    """Keeps what the world told, what the model said of episodes, and what learners were paid."""

    def __init__(self, env: Any) -> None:
        super().__init__()
        self.said: list[tuple[Episode, np.ndarray]] = []
        self.outcomes: list[list[tuple[float, float]]] = []
        model = env.engine.reward
        finish = model.finish

        def told(episodes: Sequence[Episode]) -> Any:
            credits = finish(episodes)
            # Buffers store lane by lane, whatever order the model was told in.
            self.said += sorted(zip(episodes, credits, strict=True), key=lambda one: one[0].slot)
            return credits

        model.finish = told

    def _on_step(self) -> bool:
        infos = self.locals["infos"]
        self.outcomes.append([(info["reward/env"], info["return/env"]) for info in infos])
        return super()._on_step()

    def check_the_world(self, scripts: list[Script]) -> None:
        """The outcome is the world's own, and ends are what they were."""
        for lane, script in enumerate(scripts):
            ends = np.cumsum([length for length, _ in script]).tolist()
            total = 0.0
            for life, row in enumerate(self.outcomes, start=1):
                total += life
                assert row[lane] == (life, total)
                total = 0.0 if life in ends else total
            mine = [one for one, _ in self.said if one.slot == lane]
            assert len(mine) == sum(end <= len(self.outcomes) for end in ends)
            for one, (length, how) in zip(mine, script, strict=False):
                assert len(one.env_reward) == length
                assert one.terminated == (how == "terminated")

    def credits(self, lane: int) -> list[np.ndarray]:
        """What the model said of a lane's episodes, in order."""
        return [credit for one, credit in self.said if one.slot == lane]


def spec(base: str, gate: str, stages: Any, beside: bool) -> Any:
    own = pipeline(rested(base, discrete=True), gate, stages)
    return ["env", own] if beside else own


def close(seen: Any, expected: Any) -> None:
    np.testing.assert_allclose(seen, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("base", SPREADERS)
@FEW
@given(SCRIPTS, st.integers(2, 7), st.integers(1, 4), GATED, STAGES, st.booleans())
def test_rollouts_hold_what_was_said_at_every_cut(
    base, scripts, rows, rollouts, gate, stages, beside
):
    env = lanes(scripts, spec(base, gate, stages, beside))
    witness, steps = Witness(env), rows * rollouts
    batch = rows * len(scripts)
    small = {"batch_size": batch, "n_epochs": 1, "policy_kwargs": {"net_arch": [4]}}
    model = PPO("MlpPolicy", env, n_steps=rows, gamma=0.9, seed=0, device="cpu", **small)
    attach(model).learn(batch * rollouts, callback=witness)
    witness.check_the_world(scripts)
    paid = np.concatenate(witness.rewards).astype(np.float64)
    ends: set[tuple[int, int]] = set()
    for (row, lane), value in witness.bootstraps.items():
        paid[row, lane] -= value
    for lane, script in enumerate(scripts):
        start = 0
        for (length, how), credit in zip(script, witness.credits(lane), strict=False):
            end = start + length
            ends |= {(end - 1, lane)} if how == "truncated" else set()
            first = max(start, (end - 1) // rows * rows)  # earlier rollouts were learned from
            own = np.arange(first + 1, end + 1) if beside else 0.0
            close(paid[first:end, lane], own + credit[first - start :])
            start = end
        if start < steps:  # a tail that has not ended is paid something finite
            assert np.isfinite(paid[start:, lane]).all()
    assert witness.bootstraps.keys() == ends


def collect(scripts: list[Script], steps: int, size: int, reward: Any, replay: str) -> Any:
    env = lanes(scripts, reward)
    witness = Witness(env)
    model = DQN(
        "MlpPolicy",
        env,
        buffer_size=size * len(scripts),
        learning_starts=10**9,
        train_freq=1,
        seed=0,
        device="cpu",
        policy_kwargs={"net_arch": [4]},
    )
    attach(model, replay=replay).learn(steps * len(scripts), callback=witness)
    witness.check_the_world(scripts)
    return witness, model.replay_buffer


@pytest.mark.parametrize("base", SPREADERS)
@FEW
@given(SCRIPTS, st.integers(2, 30), st.integers(1, 30), GATED, STAGES, st.booleans())
def test_patched_and_committed_rows_hold_what_was_said(
    base, scripts, size, steps, gate, stages, beside
):
    reward = spec(base, gate, stages, beside)
    witness, buffer = collect(scripts, steps, size, reward, "patch")
    for lane in range(len(scripts)):
        every = np.concatenate([*witness.credits(lane), np.zeros(0)])
        every = every + np.arange(1, len(every) + 1) * beside
        for step in range(max(0, steps - size), steps):  # what the ring still holds
            assert buffer.ready[step % size, lane] == (step < len(every))
            if step < len(every):
                close(buffer.rewards[step % size, lane], every[step])
    witness, buffer = collect(scripts, steps, size, spec(base, gate, stages, beside), "commit")
    lives = dict.fromkeys(range(len(scripts)), 0)
    stored = []
    for one, credit in witness.said:
        life = lives[one.slot] + np.arange(1, len(credit) + 1)
        stored += (credit + life * beside).tolist()
        lives[one.slot] += len(credit)
    kept = buffer.buffer_size
    ring = [buffer.rewards[row % kept, 0] for row in range(max(0, len(stored) - kept), len(stored))]
    close(ring, stored[-kept:] if stored else [])


@pytest.mark.parametrize("base", MARKOV)
@FEW
@given(SCRIPTS, st.integers(2, 30))
def test_lazy_rows_hold_what_the_model_says_of_single_steps(base, scripts, steps):
    model = rested(base, discrete=True)
    _, buffer = collect(scripts, steps, 40, model, "lazy")
    batch = buffer.sample(16)
    seen, taken, after = (
        part.numpy() for part in (batch.observations, batch.actions, batch.next_observations)
    )
    said = model.predict(seen, taken[:, 0], after)
    assert batch.rewards[:, 0].tolist() == pytest.approx(said.tolist(), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("replay", ["patch", "commit"])
@pytest.mark.parametrize("base", SPREADERS)
def test_an_endless_episode_is_never_sampled_and_its_tail_is_finite(base, replay):
    witness, buffer = collect([[]], 9, 4, rested(base, discrete=True), replay)
    assert not witness.said
    with pytest.raises(RewardError, match="no episode has ended yet"):
        buffer.sample(4)
    env = lanes([[]], rested(base, discrete=True))
    witness = Witness(env)
    model = PPO("MlpPolicy", env, n_steps=4, batch_size=4, n_epochs=1, seed=0, device="cpu")
    attach(model).learn(12, callback=witness)
    assert np.isfinite(np.concatenate(witness.rewards)).all()


class Careless(Scripted):
    """Pays NaN once."""

    def step(self, action):
        obs, reward, *rest = super().step(action)
        return obs, np.nan if reward == 2.0 else reward, *rest


@pytest.mark.parametrize("base", SPREADERS)
def test_a_world_that_pays_nan_is_refused_before_anything_is_learned(base):
    worlds = LaneVecEnv([lambda: Careless([(3, "terminated")])])
    env = DenseRewardVecEnv(worlds, rested(base, discrete=True), task=CARD)
    model = attach(PPO("MlpPolicy", env, n_steps=4, batch_size=4, device="cpu"))
    before = [p.detach().clone() for p in model.policy.parameters()]
    with pytest.raises(RewardError, match="paid nan in lane 0 at step 1"):
        model.learn(8)
    after = model.policy.parameters()
    assert all(bool((p == q).all()) for p, q in zip(before, after, strict=True))


def test_a_learner_without_a_buffer_is_refused_and_told_which_have_one():
    env = lanes([[(3, "terminated")]], rested("credit/uniform"))
    with pytest.raises(RewardError, match=r"ARS has neither a rollout nor a replay buffer.*PPO"):
        attach(ARS("MlpPolicy", env, device="cpu"))
