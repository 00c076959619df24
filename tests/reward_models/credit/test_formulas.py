"""Every credit and refinement against five steps worked out from its paper's formula.

What a network says is read off the network; everything around it is written out here in NumPy.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from densegym.reward_models.credit.catalogue import CATALOGUE
from densegym.reward_models.credit.fitting.store import StoredEpisode
from densegym.reward_models.credit.pipelines import refine
from densegym.reward_models.credit.redistribution.sequence import DiasterCredit
from densegym.reward_models.spec import build_reward
from densegym.reward_models.types import Episode, TaskCard
from tests.reward_models.credit.pipelines import made, resting
from tests.reward_models.credit.worlds import PLAIN, drifts, made_credit, played

REWARDS = [1.0, 0.0, -2.0, 4.0, 2.0]
STEPS, RETURN = 5, 5.0
SCORES = np.array([0.2, 0.9, 0.4, 0.6, 0.5])
TESTED = {
    "uniform", "ircr", "rd", "rrd", "lare", "spa", "rudder", "diaster", "oprl", "prime",
    "information-gain", "siop", "uniform-team", "rrd-team", "lare-team", "pipeline", "channels",
}  # fmt: skip


def five(**more: Any) -> Episode:
    return played(REWARDS, seed=3, **more)


def fitted(name: str, **options: Any) -> Any:
    """A credit that has learned from episodes of many lengths and stands still."""
    model = made(name, **options)
    rng = np.random.default_rng(0)
    model.finish([drifts(1, seed=k, length=int(rng.integers(3, 9)))[0] for k in range(12)])
    model.finish([drifts(1, seed=k, length=5)[0] for k in range(30, 34)])
    assert model.ready
    return resting(model)


def said(model: Any, rows: Any, part: str | None = None) -> Any:
    """What the network says of rows, one after another."""
    network = model._network if part is None else model._network[part]
    with torch.no_grad():
        return network(model._scaled(rows)).numpy()


def in_order(model: Any, rows: Any, part: str | None = None) -> Any:
    """What a reader of prefixes says after each row, (T,) float64."""
    network = model._network if part is None else model._network[part]
    with torch.no_grad():
        return network(model._scaled(rows)[None])[0].numpy().astype(np.float64)


def stored(model: Any, *episodes: Episode) -> list[StoredEpisode]:
    return [model._stored(one) for one in episodes]


def unit(model: Any, one: StoredEpisode) -> float:
    """R / T in the units that RD, RRD, LaRe and SPA are fitted in."""
    return float((one.rate - model._moments["rate_mean"]) / model._moments["rate_std"])


def loss_of(model: Any, drawn: list[StoredEpisode]) -> float:
    return model._loss(drawn).item()


def test_no_credit_is_left_out():
    assert {row.name.removeprefix("credit/") for row in CATALOGUE} == TESTED


def test_uniform_and_ircr():
    """R / T; and (R / T - lowest) / (highest - lowest) of all that was seen."""
    (credit,) = made("credit/uniform").finish([five()])
    np.testing.assert_allclose(credit, RETURN / STEPS)
    model = made("credit/ircr")
    model.finish([played([0.0, -1.0]), played([3.0])])  # rates -0.5 and 3
    (credit,) = model.finish([five()])
    np.testing.assert_allclose(credit, (1.0 - -0.5) / (3.0 - -0.5))


@pytest.mark.parametrize("name", ["credit/rd", "credit/rrd", "credit/lare"])
def test_return_decomposition(name):
    """RD: (R/T - mean r)^2; RRD: the same on K drawn steps; unbiased: less (1 - K/T) s^2 / K."""
    subset = {} if name == "credit/rd" else {"subset": 3}
    model = fitted(name, **subset)
    (one,) = stored(model, five())
    each = said(model, one.inputs)[:, 0].astype(np.float64)
    if name == "credit/rd":
        wanted = (unit(model, one) - each.mean()) ** 2
    else:
        model._random, again = np.random.default_rng(7), np.random.default_rng(7)
        drawn = each[again.choice(STEPS, 3, replace=False)]
        wanted = (unit(model, one) - drawn.mean()) ** 2
        if name == "credit/lare":
            wanted -= (1 - 3 / STEPS) * drawn.var(ddof=1) / 3
    assert loss_of(model, [one]) == pytest.approx(wanted, rel=1e-4, abs=1e-5)
    (credit,) = model.judge([five()])
    scale = model._moments
    np.testing.assert_allclose(credit, scale["rate_mean"] + scale["rate_std"] * each, rtol=1e-5)


def test_spa():
    """(R^ - R)^2; credits c_t + (R - R^) / T, and beta / T_max where the action was carried out."""
    model = fitted("credit/spa", beta=0.5, max_steps=10)
    valid = [{"action_valid": k != 2} for k in range(STEPS)]
    (one,) = stored(model, five())
    each = in_order(model, one.inputs)
    assert loss_of(model, [one]) == pytest.approx((each.mean() - unit(model, one)) ** 2, rel=1e-4)
    scale = model._moments
    contribution = scale["rate_mean"] + scale["rate_std"] * each
    wanted = contribution + (RETURN - contribution.sum()) / STEPS
    wanted += np.where([info["action_valid"] for info in valid], 0.05, 0.0)
    (credit,) = model.finish([five(info=valid)])
    np.testing.assert_allclose(credit, wanted, rtol=1e-4)


def test_rudder():
    """(g_T - R)^2 + 0.1 mean_t (g_t - R)^2; credits g_t - g_{t-1} + (R - g_T) / T."""
    model = fitted("credit/rudder")
    (one,) = stored(model, five())
    scale, raw = model._moments, in_order(model, stored(model, five())[0].inputs)
    target = (RETURN - scale["mean"]) / scale["std"]
    wanted_loss = (raw[-1] - target) ** 2 + 0.1 * np.square(raw - target).mean()
    assert loss_of(model, [one]) == pytest.approx(float(wanted_loss), rel=1e-4)
    values = scale["mean"] + scale["std"] * raw
    wanted = np.diff(values, prepend=0.0) + (RETURN - values[-1]) / STEPS
    (credit,) = model.judge([five()])
    np.testing.assert_allclose(credit, wanted, rtol=1e-4)


def test_diaster():
    """(R_sub(head) + R_sub(tail) - R / scale)^2; steps fit differences, the last prefix being R."""
    model = fitted("credit/diaster")
    (one,) = stored(model, five())
    scale, length = float(model._moments["total_std"]), float(model._moments["length"])
    model._random, again = np.random.default_rng(5), np.random.default_rng(5)
    cut = int(again.integers(1, STEPS + 1))
    assert cut < STEPS
    head = in_order(model, one.inputs[:cut], "whole")[-1]
    tail = in_order(model, one.inputs[cut:], "whole")[-1]
    prefixes = in_order(model, one.inputs, "whole")
    prefixes[-1] = RETURN / scale
    steps = said(model, one.inputs, "step")[:, 0]
    worth = np.diff(prefixes, prepend=0.0) * length
    wanted = (head + tail - RETURN / scale) ** 2 + np.square(steps - worth).mean()
    assert loss_of(model, [one]) == pytest.approx(wanted, rel=1e-4)
    (credit,) = model.judge([five()])
    np.testing.assert_allclose(credit, steps * scale / length, rtol=1e-5)


def test_diaster_tells_steps_apart_whatever_the_lengths():
    def many(count: int, seed: int) -> list[Episode]:
        rng = np.random.default_rng(seed)
        lengths = rng.integers(5, 40, size=count).tolist()
        return [drifts(1, seed=100 * seed + k, length=n)[0] for k, n in enumerate(lengths)]

    model = made_credit(DiasterCredit, updates_per_step=0.1, learning_rate=3e-3, hidden=32)
    model.finish(many(100, 1))
    held_out = many(20, 2)
    told = np.concatenate(model.judge(held_out))
    hidden = np.concatenate([one.env_reward for one in held_out])
    assert np.corrcoef(told, hidden)[0, 1] > 0.85


@pytest.mark.parametrize("name", ["credit/oprl", "credit/prime"])
def test_implicit_rewards(name):
    """beta (log pi - log ref); -log sigma(sum+ - sum-) over pairs, or cross-entropy of the sum."""
    model = fitted(name, threshold=0.0)
    good, bad = stored(model, five(), played([-value for value in REWARDS], seed=4))
    sums, credits = [], []
    for one in (good, bad):
        seen = model._standard(one.more.acts)
        rows = model._scaled(seen.states)
        with torch.no_grad():
            learnt = model._network["learnt"](rows, seen).numpy()
            reference = model._network["reference"](rows, seen).numpy()
        each = 0.05 * (learnt.astype(np.float64) - reference)
        sums.append(each.sum())
        credits.append(np.clip(each, -0.25, 0.25))
    wanted = np.log1p(np.exp(sums[1] - sums[0]))  # one pair
    if name == "credit/prime":
        wanted = np.mean([np.log1p(np.exp(-sums[0])), np.log1p(np.exp(sums[1]))])
    assert loss_of(model, [good, bad]) == pytest.approx(wanted, rel=1e-5)
    np.testing.assert_allclose(model._spread(good), credits[0], rtol=1e-4, atol=1e-7)


def test_information_gain():
    """p_t - p_{t-1}, and alpha times the outcome on the last step."""
    model = fitted("credit/information-gain", threshold=0.0, alpha=2.0)
    (one,) = stored(model, five())
    rows = np.concatenate([one.more.first, one.inputs])
    p = 1.0 / (1.0 + np.exp(-in_order(model, rows)))
    wanted = np.diff(p)
    wanted[-1] += 2.0 * 1.0  # R = 5 is a success
    (credit,) = model.judge([five()])
    np.testing.assert_allclose(credit, wanted, rtol=1e-5, atol=1e-8)


def test_siop():
    """q_c (log p_t - log p_{t-1}), (1 - lambda) q_c more on the last step, all standardised."""
    model = made("credit/siop", threshold=0.0, evidence=1.0, group=2)
    good, bad = five(), played([-value for value in REWARDS], seed=4)
    shares = {True: 1.0, False: np.exp(-1.0)}  # m_c exp(eta (mean success - 1))
    total = sum(shares.values())
    raw = {answer: np.append(np.zeros(4), 0.5 * share / total) for answer, share in shares.items()}
    every = np.concatenate([raw[True], raw[False]])
    credits = model.judge([good, bad])  # p is constant until the reader is asked
    for credit, answer in zip(credits, (True, False), strict=True):
        np.testing.assert_allclose(credit, (raw[answer] - every.mean()) / every.std())


def test_teams():
    """R spread over all steps of all agents; fitted credits r_{i,t} with the rest spread evenly."""
    card = TaskCard(id="Toy/Team-v0", gives=("numbers", "team"))

    def game(number: int, seed: int) -> list[Episode]:
        told = [{"team/game": number, "team/agent": k, "team/size": 2} for k in range(2)]
        pair = [played(REWARDS, seed=seed + k, slot=2 * number + k) for k in range(2)]
        scale = 1.0 + seed
        return [
            replace(one, env_reward=scale * one.env_reward, info=[info] * STEPS)
            for one, info in zip(pair, told, strict=True)
        ]

    team = game(0, 0)
    spread = build_reward("credit/uniform-team", task=card).finish(team)
    np.testing.assert_allclose(np.stack(spread), 2 * RETURN / (2 * STEPS))
    factors = {"factors": lambda steps: np.asarray(steps.next_obs, dtype="f4")}
    for name, options in (("credit/rrd-team", {}), ("credit/lare-team", factors)):
        model = build_reward({"model": name, "min_episodes": 2, **options}, task=card)
        for k in range(1, 10):
            model.finish(game(k, 2 * k))
        one = model._team(team)
        each = model._unscaled(torch.as_tensor(said(model, one.inputs)[:, 0]))
        wanted = each + (2 * RETURN - each.sum()) / (2 * STEPS)
        np.testing.assert_allclose(np.concatenate(model.judge(team)), wanted, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "options", "wanted"),
    [
        ("clip", {"eta": 0.5}, [-0.3, 0.0, -0.1, 0.0, 0.0]),
        ("delta", {}, [0.2 - 0.9, 0.9 - 0.4, 0.4 - 0.6, 0.6 - 0.5, 0.5]),
        ("delta", {"answer": True}, [0.2 - 0.9, 0.9 - 0.4, 0.4 - 0.6, 0.6, 0.0]),
        ("par", {"k": 2.0, "reference": 0.5}, 1.0 / (1.0 + np.exp(-2.0 * (SCORES - 0.5)))),
        ("min", {"tau": 0.1}, SCORES * np.exp(-SCORES / 0.1) / np.exp(-SCORES / 0.1).sum()),
        ("renorm", {}, SCORES - 0.52 + RETURN / STEPS),
    ],
)
def test_refinements(name, options, wanted):
    ((_, stage),) = refine.parse([{name: options}])
    np.testing.assert_allclose(stage(SCORES, RETURN), wanted, atol=1e-12)
    assert set(refine.REFINEMENTS) == {"clip", "delta", "par", "min", "renorm"}


def test_ensembles():
    members = np.stack([SCORES, 2.0 * SCORES])
    np.testing.assert_allclose(refine.ensemble(members, "mean"), 1.5 * SCORES)
    np.testing.assert_allclose(
        refine.ensemble(members, "cautious", spread=2.0), 1.5 * SCORES - 2.0 * 0.5 * SCORES
    )


@pytest.mark.parametrize(("threshold", "opens"), [(5.0, 1.0), (5.1, 0.0)])
def test_gates(threshold, opens):
    """G-RA: r 1[R >= delta], the threshold itself included; soft: (R - low) / (delta - low)."""
    spec = {"model": "credit/pipeline", "base": "credit/uniform", "hindsight_gate": threshold}
    (credit,) = build_reward(spec, task=PLAIN).finish([five()])
    np.testing.assert_allclose(credit, opens * RETURN / STEPS)
    soft = {**spec, "hindsight_gate": {"threshold": 10.0, "soft": 0.0}}
    (credit,) = build_reward(soft, task=PLAIN).finish([five()])
    np.testing.assert_allclose(credit, 0.5 * RETURN / STEPS)


@pytest.mark.parametrize(
    ("threshold", "terminated", "on_truncation", "opens"),
    [
        (5.0, True, "close", 1.0),
        (5.1, True, "open", 0.0),
        (5.0, False, "close", 0.0),
        (5.1, False, "open", 1.0),
        (5.0, False, "judge", 1.0),
        (5.1, False, "judge", 0.0),
    ],
)
def test_channels(threshold, terminated, on_truncation, opens):
    """G-RA: sum_i w_i R_i prod_{j<i} 1[R_j >= delta_j], closed by the clock."""
    spec = {
        "model": "credit/channels",
        "channels": [
            {"reward": "credit/uniform", "threshold": threshold},
            {"reward": {"model": "credit/uniform", "scale": 2.0}, "weight": 0.5},
        ],
        "on_truncation": on_truncation,
    }
    (credit,) = build_reward(spec, task=PLAIN).finish([five(terminated=terminated)])
    np.testing.assert_allclose(credit, RETURN / STEPS * (1.0 + opens))
