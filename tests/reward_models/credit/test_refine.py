"""Refinements: what they bound, what they conserve, and why repeating a step cannot help."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.errors import RewardError, UnknownNameError
from densegym.reward_models.credit.pipelines import refine

NUMBERS = st.lists(st.floats(-100, 100), min_size=1, max_size=20).map(np.array)


@given(NUMBERS, st.floats(-5, 5))
def test_what_each_keeps(steps, total):
    assert (refine.clip(steps, total, eta=0.5) <= 0.0).all()
    assert refine.delta(steps, total).sum() == pytest.approx(steps[0], abs=1e-9)
    first = steps[0] if len(steps) > 1 else 0.0
    assert refine.delta(steps, total, answer=True).sum() == pytest.approx(first, abs=1e-9)
    bounded = refine.par(steps, total, k=3.0, reference=1.0)
    assert (bounded >= 0.0).all()
    assert (bounded <= 1.0).all()
    weighed = refine.min_form(steps, total).sum()
    assert steps.min() - 1e-9 <= weighed <= steps.mean() + 1e-9
    assert refine.renorm(steps, total).sum() == pytest.approx(total, abs=1e-6)


@given(NUMBERS)
def test_the_return_to_go_of_delta_is_the_score_itself(steps):
    to_go = np.cumsum(refine.delta(steps, 0.0)[::-1])[::-1]
    np.testing.assert_allclose(to_go, steps, atol=1e-9)


@given(st.integers(1, 50))
def test_repeating_a_harmless_step_earns_nothing_once_refined(times):
    """A harmless step scores 0.6: the plain sum grows with it, clip and delta do not, and min-form
    stays below the score of one such step, however often it is repeated."""
    honest = np.array([0.2, 0.9])
    padded = np.concatenate([honest[:1], np.full(times, 0.6), honest[1:]])
    assert padded.sum() > honest.sum()
    for name, options in (("clip", {"eta": 1.0}), ("delta", {})):
        ((_, stage),) = refine.parse([{name: options}])
        assert stage(padded, 0.0).sum() <= stage(honest, 0.0).sum() + 1e-9, name
    assert refine.min_form(padded, 0.0).sum() < 0.6


@given(NUMBERS)
def test_ensembles_lie_between_their_members_and_caution_costs(steps):
    members = np.stack([steps, 2.0 * steps, steps - 1.0])
    for how in ("mean", "median", "min"):
        joined = refine.ensemble(members, how)
        assert (joined <= members.max(axis=0) + 1e-9).all()
        assert (joined >= members.min(axis=0) - 1e-9).all()
    cautious = refine.ensemble(members, "cautious", spread=2.0)
    assert (cautious <= refine.ensemble(members, "mean") + 1e-9).all()


def test_extreme_scores_do_not_overflow():
    with np.errstate(all="raise", under="ignore"):
        assert refine.par(np.array([1e6, -1e6]), 0.0).tolist() == [1.0, 0.0]
        assert np.isfinite(refine.min_form(np.array([1e6, -1e6]), 0.0)).all()


@pytest.mark.parametrize(
    ("stages", "error", "told"),
    [
        ("delta", RewardError, "takes a list"),
        (["delat"], UnknownNameError, "delta"),
        ([{"clip": {"tau": 1.0}}], UnknownNameError, "eta"),
        ([{"clip": {}, "par": {}}], RewardError, "a name or"),
        ([{"min": {"tau": 0.0}}], RewardError, "above 0"),
    ],
)
def test_what_cannot_be_read_is_refused(stages, error, told):
    def carry_out() -> None:
        for _, stage in refine.parse(stages):
            stage(np.ones(2), 1.0)

    with pytest.raises(error, match=told):
        carry_out()
    with pytest.raises(UnknownNameError, match="median"):
        refine.ensemble(np.ones((2, 3)), "medain")
