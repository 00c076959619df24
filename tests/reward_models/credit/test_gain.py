"""Information gain: telescoping, what is learnt, answers and their shares, groups, refusals."""

from __future__ import annotations

import copy
import functools
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from densegym.errors import RewardError
from densegym.reward_models.credit.redistribution.gain import InformationGainCredit
from densegym.reward_models.credit.redistribution.siop import SIOPCredit, answer_shares
from densegym.reward_models.types import Episode
from tests.reward_models.credit.worlds import made_credit, played

QUICK = {"updates_per_step": 0.2, "min_episodes": 4}
LENGTH = 6


def revealed(count: int, seed: int = 0, products: bool = False) -> tuple[list[Episode], list[int]]:
    """Episodes whose end is settled by one step, after which the state shows it; and that step."""
    rng, made, steps = np.random.default_rng(seed), [], []
    for k in range(count):
        success, when = float(rng.random() < 0.5), int(rng.integers(1, LENGTH - 1))
        seen = np.zeros((LENGTH + 1, 3), dtype=np.float32)
        seen[when + 1 :, 0] = 2.0 * success - 1.0
        seen[:, 1:] = 0.1 * rng.normal(size=(LENGTH + 1, 2))
        info: list[dict[str, Any]] = [{} for _ in range(LENGTH)]
        info[-1] = {"is_success": success, "goal_id": 0}
        if products:
            info[-1]["asin"] = f"B{int(success)}"
        paid = np.zeros(LENGTH)
        paid[-1] = success
        action = np.zeros(LENGTH, dtype=np.int64)
        made.append(Episode(k, seen, action, paid, np.zeros(LENGTH), True, info))
        steps.append(when)
    return made, steps


@functools.cache
def _taught(kind: Any, products: bool, **options: Any) -> Any:
    model = made_credit(kind, **{**QUICK, **options})
    for seed in range(10):
        model.finish(revealed(20, seed, products)[0])
    return model


def taught(kind: Any = InformationGainCredit, products: bool = False, **options: Any) -> Any:
    return copy.deepcopy(_taught(kind, products, **options))


@pytest.mark.parametrize("encoder", ["gru", "mlp"])
def test_the_step_that_settles_success_gains_and_sums_telescope(encoder):
    model = taught(encoder=encoder, alpha=0.5)
    episodes, steps = revealed(30, seed=99)
    found = []
    for one, credit, when in zip(episodes, model.judge(episodes), steps, strict=True):
        chance = model.probabilities(one)
        success = one.info[-1]["is_success"]
        gains = credit - np.eye(LENGTH)[-1] * 0.5 * success
        np.testing.assert_allclose(gains, np.diff(chance), atol=1e-6)
        assert credit.sum() == pytest.approx(chance[-1] - chance[0] + 0.5 * success, abs=1e-6)
        found.append(int(np.argmax(gains if success else -gains)) == when)
        np.testing.assert_allclose(model.estimate(one), gains, atol=1e-6)
    assert np.mean(found) > 0.8


def test_until_the_reader_is_asked_only_the_outcome_is_paid():
    model = made_credit(InformationGainCredit, alpha=2.0)
    for credit, one in zip(model.finish(revealed(3)[0]), revealed(3)[0], strict=True):
        assert credit.tolist() == [0.0] * 5 + [2.0 * one.info[-1]["is_success"]]
    assert model.estimate(revealed(1)[0][0]) is None


def test_shares_of_answers_are_their_mass_and_their_evidence():
    told = answer_shares(["a", "a", "b", None], [False, False, True, False], 0.0)
    np.testing.assert_allclose(told, [2 / 3, 2 / 3, 1 / 3, 0.0])
    weighed = answer_shares(["a", "a", "b", None], [False, True, True, False], 1.0)
    a, b = 2 * np.exp(0.5), np.exp(1.0)
    np.testing.assert_allclose(weighed, np.array([a, a, b, 0.0]) / (a + b))
    assert answer_shares([None], [False], 3.0).tolist() == [0.0]
    assert np.isfinite(answer_shares(["a", "b"], [True, False], 1e4)).all()
    minority = answer_shares([True] + [False] * 7, [True] + [False] * 7, 3.0)
    assert minority[0] > minority[1]  # one success of eight outweighs seven failures


@pytest.mark.parametrize("products", [False, True])
def test_the_step_that_settles_the_answer_gains_whatever_the_answer(products):
    model = taught(SIOPCredit, products, group=16)
    episodes, steps = revealed(16, seed=99, products=products)
    credits = model.judge(episodes)
    every = np.concatenate(credits)
    assert abs(every.mean()) < 1e-9
    assert every.std() == pytest.approx(1.0)
    found = [
        int(np.argmax(credit[:-1])) == when for credit, when in zip(credits, steps, strict=True)
    ]
    assert np.mean(found) > 0.9


def test_only_the_latest_episodes_of_a_task_are_compared():
    model = made_credit(SIOPCredit, group=4, min_episodes=1000)
    strangers = [played([1.0], seed=k, info=[{"is_success": 1.0, "goal_id": 7}]) for k in range(9)]
    model.finish(strangers)
    assert model.judge(strangers[:1])[0].tolist() == [0.0]  # one answer, one step, all alike
    own = [
        played([0.0, 0.0], seed=k, info=[{"is_success": 0.0, "goal_id": 1}] * 2) for k in range(2)
    ]
    first = model.finish(own[:1])
    later = model.finish(own[1:])
    share = 0.5  # (1 - lambda) of a share of 1, on the last of every two steps
    expected = (np.array([0.0, share]) - share / 2) / (share / 2)
    np.testing.assert_allclose(first[0], expected)
    np.testing.assert_allclose(later[0], expected)


def test_an_episode_without_an_answer_earns_no_share():
    model = made_credit(SIOPCredit, min_episodes=1000, evidence=0.0)
    bought = [{"asin": ""}, {"asin": "B1", "is_success": 1.0}]
    ran_out = [{"asin": "B1"}, {"asin": "B1", "is_success": 0.0}]
    ends = [played([0.0, 1.0], info=bought), played([0.0, 0.0], info=ran_out, terminated=False)]
    first, second = model.finish(ends)
    assert first[-1] > 0.0
    assert second[0] == second[1] == first[0] < 0.0  # the mean is taken off


def test_products_of_the_real_shop_are_answers_and_goals_are_tasks():
    env = gym.make("DenseGym/ShopChoice-v0").unwrapped
    seen, info = env.reset(seed=0)
    obs, actions, infos, rewards = [seen], [], [], []
    ended = False
    while not ended:
        choices = env.actions
        buy = [k for k, text in enumerate(choices) if "buy now" in text.lower()]
        action = buy[0] if buy else len(infos) % len(choices)
        seen, reward, terminated, truncated, info = env.step(action)
        obs.append(seen)
        actions.append(action)
        infos.append(info)
        rewards.append(reward)
        ended = terminated or truncated
    assert terminated
    whole = {key: np.stack([one[key] for one in obs]) for key in obs[0]}
    paid = np.array(rewards)
    one = Episode(0, whole, np.array(actions), paid, np.zeros(len(paid)), True, infos)
    model = made_credit(SIOPCredit, min_episodes=1)
    ending = model._stored(one).more.ending
    assert ending.answer == info["asin"] != ""
    assert ending.task == info["goal_id"]
    assert model.finish([one])[0].shape == paid.shape


@pytest.mark.parametrize("kind", [InformationGainCredit, SIOPCredit])
def test_a_state_brings_the_reader_back(kind):
    options = {"group": 16} if kind is SIOPCredit else {"encoder": "gru", "alpha": 0.5}
    model, again = taught(kind, **options), made_credit(kind, **{**QUICK, **options}, seed=5)
    again.load_state_dict(model.state_dict())
    fresh = revealed(16, seed=77)[0]
    for first, second in zip(model.judge(fresh), again.judge(fresh), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-12)


def test_what_cannot_be_compared_is_refused():
    for kind in (InformationGainCredit, SIOPCredit):
        with pytest.raises(RewardError, match=r'no step told info\["is_success"\]'):
            made_credit(kind).finish([played([1.0])])
        with pytest.raises(RewardError, match=r'takes "gru" \| "mlp"'):
            made_credit(kind, encoder="lstm")
    with pytest.raises(RewardError, match="alpha of at least 0"):
        made_credit(InformationGainCredit, alpha=-1.0)
    with pytest.raises(RewardError, match="group from 2 up"):
        made_credit(SIOPCredit, group=1)
