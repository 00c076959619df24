"""Randomized return decomposition: what it learns from returns alone, its edges, its states."""

from __future__ import annotations

import numpy as np
import pytest

from densegym.errors import RewardError
from densegym.reward_models.credit.fitting.inputs import inputs
from densegym.reward_models.credit.redistribution.rrd import RRDCredit
from densegym.reward_models.types import Episode
from tests.reward_models.credit.worlds import drifts, made_credit


def correlation(model: RRDCredit, seen: list[Episode]) -> float:
    said = np.concatenate([model.estimate(one) for one in seen])
    return float(np.corrcoef(said, np.concatenate([one.env_reward for one in seen]))[0, 1])


@pytest.mark.parametrize("unbiased", [False, True])
def test_single_steps_are_learnt_from_returns_alone(unbiased):
    model = made_credit(RRDCredit, unbiased=unbiased, updates_per_step=0.25, hidden=64)
    model.finish(drifts(80))
    held_out = drifts(20, seed=1)
    assert correlation(model, held_out) > 0.7
    credits = model.finish(held_out)
    rates = [one.env_reward.mean() for one in held_out]
    assert np.corrcoef([credit.mean() for credit in credits], rates)[0, 1] > 0.9


def test_credits_are_uniform_until_enough_episodes_have_ended():
    model = made_credit(RRDCredit, min_episodes=5)
    first = drifts(4)
    for credit, one in zip(model.finish(first), first, strict=True):
        np.testing.assert_allclose(credit, one.env_reward.mean())
    assert model.estimate(first[0]) is None
    few = model.predict(first[0].obs[:3], first[0].action[:3], first[0].obs[1:4])
    np.testing.assert_allclose(few, np.mean([one.env_reward.mean() for one in first]))
    model.finish(drifts(4, seed=2))
    assert model.ready
    assert model.estimate(first[0]) is not None


def test_predictions_are_those_of_single_steps():
    model = made_credit(RRDCredit)
    model.finish(drifts(12))
    one = drifts(1, seed=3)[0]
    whole = model.estimate(one)
    rows = model.predict(one.obs[:-1], one.action, one.obs[1:])
    np.testing.assert_allclose(whole, rows)
    single = model.predict(one.obs[4:5], one.action[4:5], one.obs[5:6])
    np.testing.assert_allclose(single, whole[4:5], rtol=1e-4, atol=1e-5)


def test_one_step_equal_returns_and_short_episodes_are_no_trouble():
    short = drifts(15, length=1)
    flat = [Episode(e.slot, e.obs, e.action, np.ones(1), np.zeros(1), True, e.info) for e in short]
    for unbiased in (False, True):
        model = made_credit(RRDCredit, unbiased=unbiased, updates_per_step=1.0)
        for credit in [*model.finish(flat), *model.finish(short)]:
            assert credit.shape == (1,)
            assert np.isfinite(credit).all()


def test_two_seeds_differ_and_one_repeats():
    def said(seed: int) -> np.ndarray:
        model = made_credit(RRDCredit, seed=seed)
        model.finish(drifts(12))
        return model.estimate(drifts(1, seed=9)[0])

    np.testing.assert_array_equal(said(0), said(0))
    assert (said(0) != said(1)).any()


def test_a_state_brings_back_the_predictions():
    model = made_credit(RRDCredit)
    empty = made_credit(RRDCredit)
    empty.load_state_dict(model.state_dict())
    model.finish(drifts(12))
    again = made_credit(RRDCredit, seed=5)
    again.load_state_dict(model.state_dict())
    one = drifts(1, seed=9)[0]
    np.testing.assert_array_equal(model.estimate(one), again.estimate(one))


def test_pictures_are_refused():
    picture = np.zeros((3, 64, 64, 3), dtype=np.uint8)
    with pytest.raises(RewardError, match="12288 numbers"):
        inputs(picture, np.zeros((3, 2)), picture)
