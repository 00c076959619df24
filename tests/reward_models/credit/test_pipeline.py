"""Gates, ordered channels and pipelines: edges of the comparison, truncation, order, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.errors import RewardError
from densegym.reward_models.batch import all_true
from densegym.reward_models.credit.pipelines.channels import (
    CausalChannels,
    Channel,
    HindsightChannels,
)
from densegym.reward_models.credit.pipelines.gates import HindsightGate
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.model import RewardModel
from densegym.reward_models.reward import Reward
from densegym.reward_models.spec import build_engine, build_reward
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Need, Scores
from tests.reward_models.credit.worlds import PLAIN, played

PROCESS = np.array([1.0, -2.0, 3.0])


def judged(gate: HindsightGate, total: float, *, terminated: bool = True) -> list[float]:
    return gate(PROCESS, played([0.0, 0.0, total], terminated=terminated)).tolist()


def test_a_gate_is_open_at_its_threshold_and_closed_below():
    gate = HindsightGate(threshold=0.5)
    assert judged(gate, 0.5) == PROCESS.tolist()
    assert judged(gate, np.nextafter(0.5, 0)) == [0.0, 0.0, 0.0]


def test_a_soft_gate_opens_in_between():
    gate = HindsightGate(threshold=1.0, soft=0.0)
    assert [gate.opening(played([r])) for r in (-1.0, 0.25, 1.0, 2.0)] == [0.0, 0.25, 1.0, 1.0]


@pytest.mark.parametrize(("on", "share"), [("close", 0.0), ("open", 1.0), ("judge", 0.0)])
def test_a_truncated_episode_has_an_unknown_outcome(on, share):
    gate = HindsightGate(threshold=0.5, on_truncation=on)
    assert gate.opening(played([0.1], terminated=False)) == share
    assert (
        HindsightGate(threshold=0.5, on_truncation="judge").opening(played([1.0], terminated=False))
        == 1
    )


def test_penalties_are_held_back_unless_asked_for():
    assert judged(HindsightGate(threshold=1.0), 0.0) == [0.0, 0.0, 0.0]
    assert judged(HindsightGate(threshold=1.0, gate_negatives=False), 0.0) == [0.0, -2.0, 0.0]


def test_a_gate_reads_the_largest_value_an_episode_told():
    info = [{"progression": 0.1}, {"progression": 0.4}, {}]
    one = played([0.0, 0.0, 0.0], info=info)
    assert HindsightGate(key="progression", threshold=0.4).opening(one) == 1.0
    with pytest.raises(RewardError, match="depth"):
        HindsightGate(key="depth", threshold=1).opening(one)


class Told(RewardModel):
    """Pays what the info of a step says under its key."""

    traits = Traits(needs=Need.NOTHING)

    def __init__(self, key: str) -> None:
        self.name = self.key = key

    def score(self, steps):
        worth = np.array([info[self.key] for info in steps.info], dtype=float)
        return Scores(worth, all_true(len(worth)))


PAIRS = st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), min_size=1, max_size=12)


def run(
    model, pairs: list[tuple[int, int]], env: float = 0.0
) -> tuple[list[float], np.ndarray | None]:
    """Step one lane through an episode; return its step pay and its credits."""
    engine = RewardEngine(model, 1, shown=True)
    slot = np.zeros(1, dtype=np.int64)
    obs = np.zeros((1, 3))
    engine.begin(slot, obs, [{}])
    paid, credits = [], None
    for t, (high, low) in enumerate(pairs):
        told = engine.advance(
            slot=slot,
            action=np.zeros((1, 2)),
            next_obs=obs,
            env_reward=np.array([env]),
            terminated=np.array([t == len(pairs) - 1]),
            truncated=np.array([False]),
            info=[{"high": high, "low": low}],
        )
        paid.append(float(told.reward[0]))
        for _, credit in told.credits:
            credits = credit
    return paid, credits


@given(PAIRS, st.integers(-1, 3))
def test_a_lower_channel_pays_only_under_the_higher_ones_sum(pairs, threshold):
    channels = [Channel(Told("high"), threshold), Channel(Told("low"), weight=0.5)]
    high, low = np.array(pairs, dtype=float).T
    paid, credits = run(HindsightChannels(channels), pairs)
    assert paid == [0.0] * len(pairs)
    open_ = high.sum() >= threshold
    np.testing.assert_allclose(credits, high + 0.5 * low * open_)
    causal, none = run(CausalChannels(channels), pairs)
    assert none is None
    np.testing.assert_allclose(causal, high + 0.5 * low * (np.cumsum(high) >= threshold))


@given(PAIRS)
def test_a_pipeline_pays_step_models_in_hindsight_stage_by_stage(pairs):
    low = np.array(pairs, dtype=float)[:, 1]
    model = build_reward({"model": "credit/pipeline", "base": Told("low")}, task=PLAIN)
    paid, credits = run(model, pairs)
    assert paid == [0.0] * len(pairs)
    np.testing.assert_allclose(credits, low)
    refined = build_reward(
        {"model": "credit/pipeline", "base": Told("low"), "refine": ["delta", "renorm"]},
        task=PLAIN,
    )
    _, credits = run(refined, pairs)
    assert credits.sum() == pytest.approx(0.0, abs=1e-9)  # the world paid nothing
    assert refined.traits.promises.conserves == "return"


def test_a_closed_gate_leaves_only_the_outcome():
    spec = ["env", {"model": "credit/pipeline", "base": "credit/uniform", "hindsight_gate": 2.0}]
    engine = build_engine(spec, 1, task=PLAIN)
    (poor,) = engine.reward.finish([played([0.0, 1.0])])
    (rich,) = engine.reward.finish([played([0.0, 2.0])])
    assert poor.tolist() == [0.0, 0.0]
    assert rich.tolist() == [1.0, 1.0]


def test_ensembles_join_bases():
    model = build_reward(
        {"model": "credit/pipeline", "base": ["credit/uniform", "credit/ircr"], "ensemble": "min"},
        task=PLAIN,
    )
    (credit,) = model.finish([played([4.0, 0.0])])
    assert credit.tolist() == [0.0, 0.0]  # IRCR's, of the only episode


class Costly(Told):
    """Knows what it cost."""

    def metrics(self):
        return {"model_calls": 2.0, "loss": 1.0}


def test_numbers_of_several_bases_say_whose_they_are_and_costs_add_up():
    one = build_reward({"model": "credit/pipeline", "base": Costly("low")}, task=PLAIN)
    assert one.metrics() == {"model_calls": 2.0, "loss": 1.0}
    bases = {"model": "credit/pipeline", "base": [Costly("low"), Costly("high"), Costly("low")]}
    told = {"model_calls": 6.0, "low.loss": 1.0, "high.loss": 1.0, "low-2.loss": 1.0}
    assert build_reward(bases, task=PLAIN).metrics() == told


class Mute(Told):
    """Abstains."""

    def score(self, steps):
        return Scores(np.full(len(steps.slot), 9.0), np.zeros(len(steps.slot), dtype=bool))


@pytest.mark.parametrize("causal", [False, True])
def test_a_part_that_abstains_counts_zero_unless_a_fallback_stands_in(causal):
    for part, worth in ((Mute("low"), 0.0), (Reward.of(Mute("low"), fallback="env"), 2.0)):
        channels = [Channel(part), Channel(Told("high"))]
        model = CausalChannels(channels) if causal else HindsightChannels(channels)
        paid, credits = run(model, [(1, 0), (3, 0)], env=2.0)
        assert (paid if causal else credits.tolist()) == [1.0 + worth, 3.0 + worth]


def test_states_survive_and_hindsight_is_refused_at_step_time():
    spec = {"model": "credit/pipeline", "base": "credit/ircr", "hindsight_gate": 0.0}
    model, again = (build_reward(spec, task=PLAIN) for _ in range(2))
    model.finish([played([float(r)]) for r in range(5)])
    again.load_state_dict(model.state_dict())
    episode = played([2.0])
    assert model.finish([episode])[0].tolist() == again.finish([episode])[0].tolist()
    with pytest.raises(RewardError, match="cannot be paid at step time"):
        RewardEngine(model, 1).begin(np.zeros(1, np.int64), np.zeros((1, 3)), [{}])
    with pytest.raises(RewardError, match='"causal": false'):
        CausalChannels([Channel(model), Channel(Told("low"))])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"hindsight_gate": {"treshold": 1.0}}, "threshold"),
        ({"hindsight_gate": {"threshold": 1.0, "soft": 2.0}}, "below its threshold"),
        ({"hindsight_gate": {"threshold": 1.0, "on_truncation": "maybe"}}, "judge"),
        ({"base": []}, "needs a"),
    ],
)
def test_what_cannot_be_read_says_what_to_write(options, told):
    with pytest.raises(RewardError, match=told):
        build_reward({"model": "credit/pipeline", **options}, task=PLAIN)
    with pytest.raises(RewardError, match="two rewards or more"):
        build_reward({"model": "credit/channels"}, task=PLAIN)
    with pytest.raises(RewardError, match="reward, threshold and weight"):
        build_reward({"model": "credit/channels", "channels": [{"a": 1}, {}]}, task=PLAIN)
