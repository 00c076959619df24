"""What every credit keeps while it learns: sums and bounds, states, refusals, prefixes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from densegym.errors import RewardError
from densegym.reward_models.credit.fitting.fitted import FittedCredit
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.options import options_of
from densegym.reward_models.registry import find_reward
from densegym.reward_models.traits import Promises
from tests.reward_models.credit.pipelines import SPREADERS, made, resting
from tests.reward_models.credit.worlds import drifts, played

EPISODES = st.lists(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12), min_size=1, max_size=6)
FEW = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))


def fitted(name: str, **options):
    model = made(name, **options)
    model.finish(drifts(10))
    return model


@pytest.mark.parametrize("name", SPREADERS)
@FEW
@given(EPISODES, st.booleans())
def test_credits_are_finite_and_keep_what_is_declared(name, paid, terminated):
    model = made(name)
    for _ in range(3):  # before and after fitting begins
        episodes = [
            played(rewards, seed=i, slot=i, terminated=terminated) for i, rewards in enumerate(paid)
        ]
        for credit, one in zip(model.finish(episodes), episodes, strict=True):
            declared: Promises = model.traits.promises
            total = one.env_reward.sum()
            assert credit.shape == one.env_reward.shape
            assert np.isfinite(credit).all()
            assert (credit >= declared.bounds[0]).all()
            assert (credit <= declared.bounds[1]).all()
            if declared.conserves == "return":
                assert abs(credit.sum() - total) <= 1e-4 * max(1.0, abs(total))


@pytest.mark.parametrize("name", SPREADERS)
def test_a_state_brings_back_the_credits(name):
    model, empty = fitted(name), made(name)
    empty.load_state_dict(made(name).state_dict())  # nothing fitted yet
    again = made(name, seed=5)
    again.load_state_dict(model.state_dict())
    resting(model), resting(again)
    episodes = drifts(3, seed=9)
    for first, second in zip(model.finish(episodes), again.finish(episodes), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-12)


def blinded(episodes):
    """Return the episodes with a number in the first two observations that nobody could read."""
    unread = [one.obs.copy() for one in episodes]
    for obs, bad in zip(unread, (np.nan, np.inf, -np.inf) * len(unread), strict=False):
        obs[:2, 0] = bad
    return [replace(one, obs=obs) for one, obs in zip(episodes, unread, strict=True)]


@pytest.mark.filterwarnings("ignore:.*credit/unread")
@pytest.mark.parametrize("name", SPREADERS)
def test_numbers_that_cannot_be_read_spoil_nothing(name):
    model, clean = made(name), drifts(3, seed=9)
    for seed in range(3):  # first, in the middle and last
        model.finish(blinded(drifts(6, seed=seed)))
        for credit in [*model.finish(drifts(6, seed=10 + seed)), *model.finish(blinded(clean))]:
            assert np.isfinite(credit).all()
    if isinstance(model, FittedCredit):
        assert model.metrics()["credit/unread"] > 0
    told = model.finish(clean)
    assert all(np.isfinite(credit).all() for credit in told)
    if isinstance(model, FittedCredit):
        assert model.ready
        assert any(len(set(np.round(credit, 9))) > 2 for credit in told)  # by more than the mean


@pytest.mark.parametrize("name", SPREADERS)
def test_weights_are_read_with_the_options_they_were_fitted_with(name):
    entry = find_reward(name)
    model = made(name)
    if not isinstance(model, FittedCredit):
        assert "options" not in model.state_dict()
        return
    state = model.state_dict()
    listed = {option.name for option in options_of(entry)}
    assert {"hidden", "learning_rate", "of"} <= set(state["options"]) <= listed
    again = made(name, hidden=model.options.hidden + 1)
    with pytest.raises(
        RewardError, match=rf"given hidden={model.options.hidden + 1}\. Write"
    ) as said:
        again.load_state_dict(state)
    remedy = json.loads(str(said.value).partition("Write ")[2].removesuffix("."))
    assert remedy == {"model": name, "hidden": model.options.hidden}
    made(name, hidden=remedy["hidden"]).load_state_dict(state)
    del state["options"]  # as checkpoints were before
    again.load_state_dict(state)


@pytest.mark.parametrize("name", SPREADERS)
def test_credits_of_whole_episodes_are_refused_at_step_time(name):
    model = made(name)
    assert model.traits.promises.level == "episode"
    assert model.traits.when == "episode"
    engine = RewardEngine(model, 1)
    with pytest.raises(RewardError, match=r"cannot be paid at step time.*densegym train"):
        engine.begin(np.arange(1), np.zeros((1, 3)), [{}])


@pytest.mark.parametrize("name", SPREADERS)
def test_an_endless_episode_is_estimated_or_left_to_the_mean_rate(name):
    model, fresh = fitted(name), made(name)
    prefix = drifts(1, seed=11, length=500)[0]
    assert fresh.estimate(prefix) is None
    known = model.estimate(prefix)
    assert known is None or np.isfinite(known).all()


def test_what_is_not_causal_cannot_declare_the_step_level():
    with pytest.raises(ValueError, match="not causal"):
        Promises("step", causal=False)
