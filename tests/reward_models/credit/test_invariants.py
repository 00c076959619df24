"""What every credit keeps, whatever the episodes: sums, edges, order, states, refusals."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from densegym.errors import RewardError
from densegym.reward_models.credit.catalogue import CREDITS
from densegym.reward_models.credit.properties import Properties, properties_of
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.spec import build_reward
from densegym.reward_models.types import Need
from tests.reward_models.credit.worlds import PLAIN, drifts, played

SMALL = {"updates_per_step": 0.05, "min_episodes": 4, "hidden": 8}
BY_RETURN = {**SMALL, "success": "return", "threshold": 0.0}  # these worlds tell no success
OPTIONS = {
    "credit/uniform": {},
    "credit/ircr": {},
    "credit/lare": {**SMALL, "factors": lambda steps: np.asarray(steps.next_obs, dtype="f4")},
    "credit/oprl": BY_RETURN,
    "credit/prime": BY_RETURN,
    "credit/information-gain": BY_RETURN,
    "credit/siop": {**BY_RETURN, "group": 3},
}
SPREADERS = [f"credit/{name}" for name, *_ in CREDITS]
EPISODES = st.lists(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12), min_size=1, max_size=6)
FEW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def made(name: str, seed: int = 0, **options):
    spec = {"model": name, **OPTIONS.get(name, SMALL), **options}
    return build_reward(spec, task=PLAIN, seed=seed)


def fitted(name: str, **options):
    model = made(name, **options)
    model.finish(drifts(10))
    return model


def resting(model):
    """Let a fitted credit judge without learning on."""
    if hasattr(model, "_rate"):
        model._rate = 0.0
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
            declared: Properties = model.properties
            total = one.env_reward.sum()
            assert credit.shape == one.env_reward.shape
            assert np.isfinite(credit).all()
            assert (credit >= declared.bounds[0]).all()
            assert (credit <= declared.bounds[1]).all()
            if declared.conserves == "return":
                assert abs(credit.sum() - total) <= 1e-4 * max(1.0, abs(total))


@pytest.mark.parametrize("name", SPREADERS)
def test_one_step_of_a_conserving_credit_earns_everything(name):
    model = fitted(name, **({"beta": 0.0} if name == "credit/spa" else {}))
    (credit,) = model.finish([played([3.0], seed=5)]) if _fits(name) else [np.array([3.0])]
    if model.properties.conserves == "return":
        np.testing.assert_allclose(credit, [3.0])
    assert credit.shape == (1,)


def _fits(name: str) -> bool:
    return name not in ("credit/lare",)  # its factors are as wide as the observation


@pytest.mark.parametrize("name", SPREADERS)
def test_equal_returns_are_no_trouble(name):
    model = made(name)
    episodes = [played([1.0, 1.0], seed=i, slot=i) for i in range(12)]
    for _ in range(2):
        for credit in model.finish(episodes):
            assert np.isfinite(credit).all()
            if name == "credit/ircr":
                assert not credit.any()


@pytest.mark.parametrize("name", SPREADERS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_returns_that_are_not_finite_are_refused(name, bad):
    with pytest.raises(RewardError, match=r"lane 7 at step 1"):
        made(name).finish([played([0.0, bad], slot=7)])


@pytest.mark.parametrize("name", SPREADERS)
def test_the_order_of_episodes_does_not_matter(name):
    model = resting(fitted(name))
    other = copy.deepcopy(model)
    episodes = drifts(5, seed=3)
    order = [3, 1, 4, 0, 2]
    straight = model.finish(episodes)
    shuffled = other.finish([episodes[i] for i in order])
    for place, i in enumerate(order):
        np.testing.assert_allclose(shuffled[place], straight[i], atol=1e-6)


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


@pytest.mark.parametrize("name", SPREADERS)
def test_credits_of_whole_episodes_are_refused_at_step_time(name):
    model = made(name)
    assert properties_of(model).level == "episode"
    assert Need.EPISODE in model.needs
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
        Properties("step", causal=False)
