"""SPA's grounding, whom to trust, what RUDDER and Diaster make of returns, factors of LaRe."""

from __future__ import annotations

import numpy as np
import pytest

from densegym.errors import RewardError
from densegym.reward_models.credit.fitting.inputs import steps_of
from densegym.reward_models.credit.redistribution.lare import (
    Factors,
    LaReCredit,
    load_factors,
    shipped_factors,
)
from densegym.reward_models.credit.redistribution.sequence import (
    DiasterCredit,
    RudderCredit,
    SPACredit,
)
from densegym.reward_models.types import TaskCard
from tests.reward_models.credit.worlds import PLAIN, drifts, made_credit, played
from tests.toys import CARD

QUICK = {"updates_per_step": 0.1, "min_episodes": 4}


@pytest.mark.parametrize("told", [("action_valid", True, False), ("invalid", "", "no such item")])
def test_only_actions_that_were_carried_out_are_grounded(told):
    key, good, bad = told
    infos = [{key: good}, {key: bad}, {key: good}, {}]
    (credit,) = made_credit(SPACredit, beta=0.5, max_steps=10).finish(
        [played([0.0] * 4, info=infos)]
    )
    np.testing.assert_allclose(credit, [0.05, 0.0, 0.05, 0.0])
    paper = made_credit(SPACredit, beta=0.5, beta_mode="paper")
    (credit,) = paper.finish([played([0.0] * 4, info=infos)])
    assert credit.tolist() == [0.5, 0.0, 0.5, 0.0]
    assert paper.metrics()["credit/grounding_share"] == 1.0


@pytest.mark.parametrize("kind", [SPACredit, RudderCredit])
def test_credits_stay_uniform_until_held_out_returns_are_explained(kind):
    rng = np.random.default_rng(0)
    noise = [played([0.0, float(rng.normal())], seed=k) for k in range(40)]
    options = {"beta": 0.0} if kind is SPACredit else {}
    model = made_credit(kind, **QUICK, **options)
    for credit, one in zip(model.finish(noise), noise, strict=True):
        assert credit.tolist() == [one.env_reward.mean()] * 2
    assert not model.ready
    assert model.metrics()["credit/explained_variance"] < 0.2


@pytest.mark.parametrize("kind", [SPACredit, RudderCredit, DiasterCredit])
def test_steps_are_told_apart_from_returns_alone(kind):
    options = {"beta": 0.0} if kind is SPACredit else {}
    model = made_credit(kind, updates_per_step=0.1, learning_rate=3e-3, hidden=32, **options)
    model.finish(drifts(80, length=20))
    held_out = drifts(20, seed=1, length=20)
    credits = model.judge(held_out)
    assert model.ready
    # Within episodes uniform credits know nothing; RUDDER's first step holds the mean return.
    inside = [(c[1:] - c[1:].mean()) for c in credits]
    hidden = [one.env_reward[1:] - one.env_reward[1:].mean() for one in held_out]
    assert np.corrcoef(np.concatenate(inside), np.concatenate(hidden))[0, 1] > 0.2
    if kind is not DiasterCredit:
        for credit, one in zip(credits, held_out, strict=True):
            assert credit.sum() == pytest.approx(one.env_reward.sum(), abs=1e-3)


def test_factors_are_shipped_or_read_and_finite():
    card = TaskCard(id="Toy/Plain-v0", features=(CARD.features[0],))
    broken = "def factors(position):\n    return {'far': 1.0 / (position[:, 0] * 0.0)}"
    program = Factors(broken, card, "mine.py")
    steps = steps_of(played([1.0, 2.0]))._replace(next_obs=np.ones((2, 3)))
    with pytest.raises(RewardError, match=r"mine\.py: factors far are not finite"):
        program(steps)
    with pytest.raises(RewardError, match="must define factors"):
        Factors("def potential(position):\n    return position[:, 0]", card, "mine.py")
    with pytest.raises(RewardError, match="no factor program ships for Toy/Plain-v0"):
        made_credit(LaReCredit)
    with pytest.raises(RewardError, match="cannot be read as a factor program"):
        load_factors(PLAIN, "/nowhere/factors.py")
    assert "DenseGym/HalfCheetahForward-v0" in shipped_factors()
