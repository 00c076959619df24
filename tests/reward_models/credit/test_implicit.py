"""Implicit process rewards: their losses by hand, what they learn, references, bounds, refusals."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np
import pytest
import torch

from densegym.errors import RewardError, UnknownNameError
from densegym.reward_models.credit.fitting.policies import acts, acts_of, joined, policy
from densegym.reward_models.credit.redistribution.implicit import OPRLCredit, PRIMECredit, pair_loss
from densegym.reward_models.spec import build_reward
from densegym.reward_models.types import Episode
from tests.reward_models.credit.worlds import PLAIN, made_credit, played

BOTH = [OPRLCredit, PRIMECredit]
QUICK = {"updates_per_step": 0.1, "min_episodes": 4}


def errands(
    count: int, kind: str = "numbers", seed: int = 0, tasks: int = 1
) -> tuple[list[Episode], np.ndarray]:
    """Episodes that succeed where enough actions suit their states; and which actions did."""
    rng, made, suited = np.random.default_rng(seed), [], []
    for k in range(count):
        length = int(rng.integers(4, 9))
        seen = rng.normal(size=(length + 1, 3)).astype(np.float32)
        taken = rng.integers(4, size=length)
        good = taken == np.where(seen[:-1, 0] > 0, 1, 2)
        success = float(good.mean() > 0.3)
        obs: Any = seen
        action: Any = taken
        if kind == "vector":
            action = np.where(good, 1.0, -1.0)[:, None] + 0.5 * rng.normal(size=(length, 2))
        if kind == "choice":  # the candidates' only feature says what they are
            order = np.argsort(rng.random(size=(length + 1, 4)), axis=1)
            obs = {
                "page": seen,
                "cands": np.eye(4, dtype=np.float32)[order],
                "mask": np.ones((length + 1, 4), dtype=np.int8),
            }
            action = np.argmax(order[:-1] == taken[:, None], axis=1)
        info: list[dict[str, Any]] = [{} for _ in range(length)]
        info[-1] = {"is_success": success, "goal_id": k % tasks}
        paid = np.zeros(length)
        paid[-1] = success
        made.append(Episode(k, obs, action, paid, np.zeros(length), True, info))
        suited.append(good)
    return made, np.concatenate(suited)


@functools.cache
def _taught(kind: Any, acts: str) -> Any:
    model = made_credit(kind, **QUICK)
    for seed in range(10):
        model.finish(errands(20, acts, seed)[0])
    return model


def taught(kind: type = OPRLCredit, acts: str = "numbers") -> Any:
    return copy.deepcopy(_taught(kind, acts))


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("acts", ["numbers", "vector", "choice"])
def test_outcomes_teach_which_actions_were_good(kind, acts):
    model = taught(kind, acts)
    held_out, good = errands(40, acts, seed=99)
    credit = np.concatenate(model.judge(held_out))
    assert model.ready
    assert np.corrcoef(credit, good)[0, 1] > 0.6
    assert np.abs(credit).max() <= 5 * 0.05
    one = held_out[0]
    before = {k: v[:-1] for k, v in one.obs.items()} if acts == "choice" else one.obs[:-1]
    np.testing.assert_allclose(model.predict(before, one.action, None), model.judge([one])[0])
    np.testing.assert_allclose(model.estimate(one), model.judge([one])[0])


def test_pairs_are_all_successes_against_all_failures_of_one_task():
    model = made_credit(OPRLCredit)
    stored = [model._stored(one) for one in errands(12, tasks=3)[0]]
    endings = [one.more.ending for one in stored]
    for i, first in enumerate(endings):
        for j, second in enumerate(endings):
            expected = first.success and not second.success and first.task == second.task
            assert model.pairs(stored)[i, j] == expected
    ranked = made_credit(OPRLCredit, success="return", margin=1.0, task_key=None)
    three = [ranked._stored(played([total])) for total in (0.0, 1.0, 2.5)]
    assert np.argwhere(ranked.pairs(three)).tolist() == [[2, 0], [2, 1]]


def test_the_loss_of_pairs_sums_over_steps_and_reaches_the_learnt_policy():
    model = taught()
    drawn = [model._stored(one) for one in errands(8, seed=5)[0]]
    loss = model._loss(drawn)
    sums = [part.sum().item() for part in model.ratios([one.more[:2] for one in drawn])]
    success = [one.more.ending.success for one in drawn]
    by_hand = [
        np.log1p(np.exp(-(sums[i] - sums[j])))
        for i in range(8)
        for j in range(8)
        if success[i] and not success[j]
    ]
    assert loss.item() == pytest.approx(np.mean(by_hand), rel=1e-5)
    model._network.zero_grad()
    torch.autograd.backward(loss)
    assert all(p.grad.abs().sum() > 0 for p in model._network["learnt"].parameters())
    assert all(p.grad is None for p in model._network["reference"].parameters())


def test_the_loss_of_prime_is_cross_entropy_of_the_sum():
    model = taught(PRIMECredit)
    drawn = [model._stored(one) for one in errands(8, seed=5)[0]]
    sums = np.array([part.sum().item() for part in model.ratios([o.more[:2] for o in drawn])])
    success = np.array([one.more.ending.success for one in drawn])
    chance = 1.0 / (1.0 + np.exp(-sums))
    by_hand = -np.log(np.where(success, chance, 1.0 - chance)).mean()
    assert model._loss(drawn).item() == pytest.approx(by_hand, rel=1e-5)


def test_without_a_pair_the_loss_is_zero_and_credits_are_uniform():
    assert float(pair_loss(torch.ones(3), torch.zeros(3, 3, dtype=torch.bool))) == 0.0
    failures = [one for one in errands(16)[0] if not one.env_reward.any()]
    alone = [Episode(e.slot, e.obs, e.action, e.env_reward - 0.1, e.dense_reward, True, e.info)
             for e in failures]  # fmt: skip
    for kind in BOTH:
        model = made_credit(kind, **QUICK)
        for _ in range(2):
            credits = model.finish(alone)
        assert not model.ready
        for credit, one in zip(credits, alone, strict=True):
            np.testing.assert_allclose(credit, max(one.env_reward.mean(), -0.25))
    strangers = made_credit(OPRLCredit, **QUICK)  # both outcomes, but every episode of its own task
    strangers.finish(errands(40, tasks=40)[0])
    assert not strangers.ready
    familiar = made_credit(OPRLCredit, **QUICK, task_key=None)
    familiar.finish(errands(40, tasks=40)[0])
    assert familiar.ready


@pytest.mark.parametrize("kind", BOTH)
def test_an_episode_is_paid_before_it_is_learned_from(kind):
    model = taught(kind)
    fresh = errands(20, seed=50)[0]
    expected = model.judge(fresh)
    paid = model.finish(fresh)
    for before, said, after in zip(expected, paid, model.judge(fresh), strict=True):
        np.testing.assert_array_equal(said, before)
        assert (said != after).any()


@pytest.mark.parametrize("acts", ["numbers", "vector"])
def test_an_agents_own_log_probabilities_replace_the_reference(acts):
    model = taught(acts=acts)
    (one, *_), _ = errands(1, acts, seed=3)
    seen = acts_of(one)
    with torch.no_grad():
        rows = model._scaled(seen.states)
        cloned = model._network["reference"](rows, model._standard(seen)).numpy()
    if acts == "vector":
        cloned = cloned - np.log(model._moments["action_std"]).sum()  # a density in its own unit
    told = [{**info, "log_prob": float(p)} for info, p in zip(one.info, cloned, strict=True)]
    same = Episode(0, one.obs, one.action, one.env_reward, one.dense_reward, True, told)
    np.testing.assert_allclose(model.judge([same])[0], model.judge([one])[0], atol=1e-5)
    likelier = [{**info, "log_prob": info["log_prob"] + 1.0} for info in told]
    other = Episode(0, one.obs, one.action, one.env_reward, one.dense_reward, True, likelier)
    gap = [(b - a).item() for a, b in zip(*(model.ratios([
        (seen, torch.tensor([i["log_prob"] for i in e.info]))])[0] for e in (other, same)),
        strict=True)]  # fmt: skip
    np.testing.assert_allclose(gap, 0.05, atol=1e-6)
    broken = [{**info, "log_prob": np.nan} for info in told]
    with pytest.raises(RewardError, match=r"log_prob.*is nan in lane 0 at step 0"):
        model.judge([Episode(0, one.obs, one.action, one.env_reward, one.env_reward, True, broken)])


@pytest.mark.parametrize("acts", ["numbers", "vector", "choice"])
def test_policies_are_distributions(acts):
    (one, *_), _ = errands(1, acts, seed=2)
    seen = acts_of(one)
    module = policy(seen.kind, seen.states.shape[1], seen.size, 8)
    rows = torch.as_tensor(seen.states)
    if acts == "vector":
        grid = np.stack(np.meshgrid(*[np.arange(-8, 8, 0.1)] * 2), axis=-1).reshape(-1, 2)
        wide = np.repeat(seen.states[:1], len(grid), axis=0)
        likely = module(torch.as_tensor(wide), seen._replace(taken=grid.astype("f4")))
        assert likely.exp().sum().item() * 0.01 == pytest.approx(1.0, abs=1e-3)
        return
    number = 4 if acts == "choice" else 128
    every = [module(rows, seen._replace(taken=np.full_like(seen.taken, k))) for k in range(number)]
    np.testing.assert_allclose(sum(p.exp().detach().numpy() for p in every), 1.0, rtol=1e-5)


def test_candidates_are_scored_whatever_their_order_and_masked_ones_may_be_taken():
    model = taught(acts="choice")
    (one, *_), _ = errands(1, "choice", seed=4)
    order = np.array([2, 0, 3, 1])
    turned = {**one.obs, "cands": one.obs["cands"][:, order]}
    where = np.argsort(order)[one.action]
    other = Episode(0, turned, where, one.env_reward, one.dense_reward, True, one.info)
    np.testing.assert_allclose(model.judge([other])[0], model.judge([one])[0], atol=1e-6)
    masked = {**one.obs, "mask": np.zeros_like(one.obs["mask"])}
    alone = acts({k: v[:-1] for k, v in masked.items()}, one.action)
    assert alone.counts.tolist() == [1] * len(one.action)
    assert joined([alone, alone]).options.shape == (2 * len(one.action), 4)


def test_several_whole_numbers_are_independent():
    actions = np.array([[1, 2, 300], [0, 1, 2]])
    seen = acts(np.zeros((2, 3)), actions)
    assert seen.taken.tolist() == [[1, 2, 300 % 128], [0, 1, 2]]
    assert policy("numbers", 3, 3, 4)(torch.zeros(2, 3), seen).shape == (2,)


def test_a_state_brings_both_policies_back():
    model = taught(acts="choice")
    again = made_credit(OPRLCredit, **QUICK, seed=7)
    again.load_state_dict(model.state_dict())
    fresh, _ = errands(3, "choice", seed=8)
    for first, second in zip(model.judge(fresh), again.judge(fresh), strict=True):
        np.testing.assert_array_equal(first, second)
    assert again.metrics()["credit/ready"] == 1.0


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(RewardError, match=r'no step told info\["is_success"\] for "credit/oprl"'):
        made_credit(OPRLCredit).finish([played([1.0])])
    with pytest.raises(RewardError, match=r"cannot judge an episode by is_success = \[nan\]"):
        made_credit(PRIMECredit).finish([played([1.0], info=[{"is_success": np.nan}])])
    with pytest.raises(RewardError, match="text"):
        acts(np.zeros((1, 3)), ["click[buy]"])
    with pytest.raises(RewardError, match="beta above 0"):
        made_credit(PRIMECredit, beta=0.0)
    with pytest.raises(RewardError, match="margin of at least 0"):
        made_credit(OPRLCredit, margin=-1.0)
    with pytest.raises(RewardError, match="12288 numbers"):
        acts(np.zeros((1, 64, 64, 3), dtype=np.uint8), np.zeros(1))


def test_options_are_those_that_a_credit_names_and_reach_it():
    model = build_reward(
        {"model": "credit/oprl", "hidden": 8, "task_key": None}, task=PLAIN, seed=3
    )
    assert (model.options.hidden, model.options.task_key, model._seed) == (8, None, 3)
    for refused in ("task_key", "seed", "learning_rat"):
        with pytest.raises(UnknownNameError, match=f'option of reward "credit/prime" "{refused}"'):
            build_reward({"model": "credit/prime", refused: 1}, task=PLAIN)
    with pytest.raises(UnknownNameError, match="learning_rate"):
        made_credit(PRIMECredit, answer="asin")
