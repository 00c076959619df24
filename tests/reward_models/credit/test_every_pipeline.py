"""What every pipeline keeps: redistributors by gates by refinements, whatever the episodes."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densegym.errors import RewardError
from densegym.reward_models.credit.pipelines.refine import REFINEMENTS
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.model import FunctionReward
from densegym.reward_models.spec import build_engine, build_reward
from densegym.reward_models.types import Episode
from tests.reward_models.credit.pipelines import (
    GATES,
    SPREADERS,
    STAGES,
    made,
    pipeline,
    rested,
)
from tests.reward_models.credit.worlds import PLAIN, played

PAID = st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=8)
EPISODES = st.lists(st.tuples(PAID, st.booleans()), min_size=1, max_size=5)
GATED = st.sampled_from(sorted(GATES))
FEW = settings(max_examples=8)
FEWER = settings(max_examples=3)


def build(base: str, gate: str, stages: Any) -> Any:
    return build_reward(pipeline(rested(base), gate, stages), task=PLAIN)


def seen(paid: list[tuple[list[float], bool]]) -> list[Episode]:
    return [
        played(rewards, seed=i, slot=i, terminated=ended) for i, (rewards, ended) in enumerate(paid)
    ]


def check(model: Any, episodes: list[Episode]) -> list[np.ndarray]:
    credits = model.finish(episodes)
    low, high = model.traits.promises.bounds
    for credit, one in zip(credits, episodes, strict=True):
        total = one.env_reward.sum()
        assert credit.shape == one.env_reward.shape
        assert np.isfinite(credit).all()
        assert (credit >= low - 1e-9).all()
        assert (credit <= high + 1e-9).all()
        if model.traits.promises.conserves == "return":
            assert abs(credit.sum() - total) <= 1e-4 * max(1.0, abs(total))
    return credits


@pytest.mark.parametrize("base", SPREADERS)
@pytest.mark.parametrize("discrete", [False, True])
def test_what_is_tested_here_has_been_fitted(base, discrete):
    model = rested(base, discrete=discrete)
    assert getattr(model, "ready", True)
    assert model.finish([played([1.0, 2.0], discrete=discrete)])[0].any()


@pytest.mark.parametrize("base", SPREADERS)
def test_every_combination_keeps_what_it_declares(base):
    rng = np.random.default_rng(1)
    episodes = [
        played((5 * rng.normal(size=n)).tolist(), seed=i, slot=i, terminated=i % 2 == 0)
        for i, n in enumerate((1, 2, 7))
    ]
    for gate, stage in itertools.product(GATES, [[], *([name] for name in REFINEMENTS)]):
        credits = check(build(base, gate, stage), episodes)
        assert [len(credit) for credit in credits] == [1, 2, 7]


@pytest.mark.parametrize("base", SPREADERS)
@FEW
@given(EPISODES, GATED, STAGES)
def test_any_episodes_in_any_order(base, paid, gate, stages):
    model, episodes = build(base, gate, stages), seen(paid)
    other = copy.deepcopy(model)
    order = list(reversed(range(len(episodes))))
    straight = check(model, episodes)
    turned = check(other, [episodes[i] for i in order])
    for place, i in enumerate(order):
        np.testing.assert_allclose(turned[place], straight[i], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("base", SPREADERS)
@FEW
@given(PAID, st.booleans(), STAGES)
def test_a_closed_gate_leaves_only_the_outcome(base, paid, ended, stages):
    episode = played([*paid, -1e4], terminated=ended)  # below every threshold
    for gate in ("hard", "soft", "judged"):
        (credit,) = build(base, gate, stages).finish([episode])
        assert not credit.any()
        engine = build_engine(["env", pipeline(rested(base), gate, stages)], 1, task=PLAIN)
        assert not engine.reward.finish([episode])[0].any()
    (credit,) = build(base, "punishing", stages).finish([episode])
    assert (credit <= 0.0).all()


@pytest.mark.parametrize("base", SPREADERS)
@pytest.mark.parametrize("stages", [[], ["renorm"]])
def test_one_step_earns_everything_where_returns_are_kept(base, stages):
    model = build(base, "open", stages)
    (credit,) = model.finish([played([3.0])])
    assert credit.shape == (1,)
    if model.traits.promises.conserves == "return":
        assert credit.tolist() == pytest.approx([3.0])


@pytest.mark.parametrize("base", SPREADERS)
@FEWER
@given(st.floats(-10, 10, width=32), st.integers(1, 5), GATED, STAGES)
def test_equal_returns_are_no_trouble(base, paid, length, gate, stages):
    model = build_reward(pipeline(made(base), gate, stages), task=PLAIN)
    episodes = [played([paid] * length, seed=i, slot=i) for i in range(6)]
    for _ in range(2):  # before and after fitting
        credits = check(model, episodes)
    if base == "credit/ircr" and not stages:
        assert not np.concatenate(credits).any()


@pytest.mark.parametrize("base", SPREADERS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_returns_that_are_not_finite_are_refused(base, bad):
    for gate, stage in itertools.product(GATES, [[], *([name] for name in REFINEMENTS)]):
        with pytest.raises(RewardError, match=r"not finite: the world paid -?(nan|inf) in lane 4"):
            build(base, gate, stage).finish([played([0.0, bad, 0.0], slot=4)])


@pytest.mark.parametrize("gate", ["hard", "soft", "judged", "punishing"])
def test_an_outcome_that_is_not_finite_reaches_no_gate(gate):
    steps = FunctionReward("toy/one", lambda steps: {"one": np.ones(len(steps.slot))}, ["one"])
    engine = RewardEngine(build_reward(pipeline(steps, gate), task=PLAIN), 1, shown=True, task="t")
    slot, obs = np.zeros(1, dtype=np.int64), np.zeros((1, 2))
    engine.begin(slot, obs, [{}])
    with pytest.raises(RewardError, match="the world paid nan in lane 0 at step 0"):
        advance(engine, slot, obs, np.zeros((1, 2)), np.array([np.nan]), np.array([True]))


def advance(engine: Any, slot: Any, obs: Any, action: Any, paid: Any, ended: Any) -> Any:
    return engine.advance(
        slot=slot,
        action=action,
        next_obs=obs,
        env_reward=paid,
        terminated=ended,
        truncated=np.zeros(len(slot), dtype=bool),
        info=[{} for _ in slot],
    )


def lanes_played(base: str, gate: str, stages: Any, lengths: list[int], order: Any) -> dict:
    """Step lanes through one episode each, rows in the given order; return credits by lane."""
    spec = ["env", pipeline(rested(base), gate, stages)]
    engine = build_engine(spec, len(lengths), task=PLAIN)
    engine.show()
    rng = np.random.default_rng(3)
    shape = (max(lengths) + 1, len(lengths), 2)
    obs, actions, paid = rng.normal(size=shape), rng.normal(size=shape), rng.normal(size=shape[:2])
    slots = np.array(order)
    engine.begin(slots, obs[0][slots], [{} for _ in slots])
    credits: dict[int, np.ndarray] = {}
    for t in range(max(lengths)):
        rows = np.array([lane for lane in slots if t < lengths[lane]])
        ended = np.array([t + 1 == lengths[lane] for lane in rows])
        told = advance(engine, rows, obs[t + 1][rows], actions[t][rows], paid[t][rows], ended)
        assert told.reward.tolist() == paid[t][rows].tolist()
        credits |= dict(told.credits)
    return credits


@pytest.mark.parametrize("base", SPREADERS)
@FEW
@given(st.lists(st.integers(1, 6), min_size=2, max_size=5), GATED, STAGES, st.randoms())
def test_lanes_may_be_permuted(base, lengths, gate, stages, random):
    straight = list(range(len(lengths)))
    order = straight.copy()
    random.shuffle(order)
    first = lanes_played(base, gate, stages, lengths, straight)
    second = lanes_played(base, gate, stages, lengths, order)
    assert first.keys() == second.keys() == set(straight)
    for lane, credit in first.items():
        np.testing.assert_allclose(second[lane], credit, rtol=1e-4, atol=1e-4)


@FEW
@given(EPISODES)
def test_potential_terms_telescope_whatever_happens_between(paid):
    model = rested("credit/information-gain")
    assert model.traits.promises.conserves == "potential"
    for credit, one in zip(check(model, seen(paid)), seen(paid), strict=True):
        chance = model.probabilities(one)
        outcome = float(one.env_reward.sum() >= 0.0)
        np.testing.assert_allclose(credit.sum(), chance[-1] - chance[0] + outcome, atol=1e-5)


def test_truncation_is_no_termination_to_a_gate():
    for gate, share in (("hard", 0.0), ("judged", 1.0), ("soft", 0.0)):
        model = build("credit/uniform", gate, [])
        (cut,) = model.finish([played([20.0], terminated=False)])
        (ended,) = model.finish([played([20.0], terminated=True)])
        assert cut.tolist() == [20.0 * share]
        assert ended.tolist() == [20.0]
