"""Inputs of unit scale, and what fitted credits do with what they first see late."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from densegym.reward_models.credit.fitting.scales import FARTHEST, moments, standard
from densegym.reward_models.credit.redistribution.rrd import RRDCredit
from densegym.reward_models.credit.redistribution.sequence import RudderCredit, SPACredit
from densegym.reward_models.types import Episode
from tests.reward_models.credit.worlds import made_credit, played

NUMBERS = st.floats(-1e6, 1e6, width=32)


@given(arrays(np.float32, (7, 3), elements=NUMBERS), arrays(np.float32, (5, 3), elements=NUMBERS))
def test_nothing_is_farther_than_ten_deviations(seen, new):
    scaled = standard(new, *moments(seen))
    assert scaled.dtype == np.float32
    assert np.abs(scaled).max() <= FARTHEST


def test_what_never_varied_keeps_its_unit():
    mean, std = moments(np.array([[0.0, 1.0], [0.0, 3.0]]))
    assert mean.tolist() == [0.0, 2.0]
    assert std.tolist() == [1.0, 1.0]
    assert standard(np.array([[1.0, 2.0]]), mean, std).tolist() == [[1.0, 0.0]]


def spoken(count: int, words: range, seed: int) -> list[Episode]:
    """Episodes of two steps that show one word of 32 each; action 1 earns 1, whatever is shown."""
    rng, made = np.random.default_rng(seed), []
    for slot in range(count):
        action = rng.integers(2, size=2)
        one = played(action.astype(np.float64), slot=slot)
        shown: Any = np.eye(32, dtype="f4")[rng.choice(words, 3)]
        made.append(replace(one, obs=shown, action=action))
    return made


@pytest.mark.parametrize("kind", [SPACredit, RudderCredit])
def test_words_that_come_late_do_not_drown_what_was_learnt(kind):
    options = {"beta": 0.0} if kind is SPACredit else {}
    model = made_credit(kind, updates_per_step=1.0, learning_rate=3e-3, hidden=32, **options)
    model.finish(spoken(12, range(2), seed=0))
    for seed in range(1, 20):
        model.finish(spoken(8, range(32), seed))
    assert model.ready
    assert model.metrics()["credit/explained_variance"] > 0.5


def test_equal_rates_are_nothing_to_fit_and_the_first_other_one_is():
    model = made_credit(RRDCredit, updates_per_step=0.5)
    alike = [played([0.0, 1.0], seed=k) for k in range(30)]
    for credit in model.finish(alike):
        assert credit.tolist() == [0.5, 0.5]
    assert not model.ready
    model.finish([played([0.0, 2.0], seed=31), *alike])
    assert model.ready
    assert np.abs(model.judge(alike)).max() < 2.0
