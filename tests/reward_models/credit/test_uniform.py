"""Uniform credits: conserved, of either return, and one step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.errors import RewardError
from densegym.reward_models.credit.redistribution.uniform import UniformCredit
from densegym.reward_models.types import Episode, TaskCard
from tests.toys import CARD

PLAIN = TaskCard(id="Toy/Plain-v0")


def episode(rewards: list[float], expert: list[float] | None = None) -> Episode:
    own = np.array(rewards)
    told = [{"expert_reward": value} for value in expert or rewards]
    return Episode(0, None, np.zeros(len(own)), own, np.zeros(len(own)), True, told)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_credits_add_up_to_the_return(rewards):
    (credit,) = UniformCredit(PLAIN).finish([episode(rewards)])
    assert credit.shape == (len(rewards),)
    assert abs(credit.sum() - sum(rewards)) <= 1e-4 * max(1.0, abs(sum(rewards)))
    assert np.ptp(credit) == 0.0


def test_the_return_is_the_one_that_delayed_would_pay():
    one = episode([0.0, 1.0], expert=[4.0, 6.0])
    assert UniformCredit(CARD).finish([one])[0].tolist() == [5.0, 5.0]
    assert UniformCredit(CARD, of="env").finish([one])[0].tolist() == [0.5, 0.5]
    assert UniformCredit(PLAIN).finish([one])[0].tolist() == [0.5, 0.5]


def test_one_step_earns_everything():
    assert UniformCredit(PLAIN).finish([episode([3.0])])[0].tolist() == [3.0]


def test_what_cannot_be_spread_is_refused():
    with pytest.raises(RewardError, match=r'of="env" or of="expert"'):
        UniformCredit(CARD, of="both")
    with pytest.raises(RewardError, match='"of": "env"'):
        UniformCredit(PLAIN, of="expert")
