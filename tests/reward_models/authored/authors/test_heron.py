"""HERON: the order of ranked factors, its fit, and the reward program that holds both."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from densegym.errors import RewardError
from densegym.reward_models.authored.authors import preference
from densegym.reward_models.authored.authors.heron import Heron, Ranked, print_reward
from densegym.reward_models.authored.authors.preference import compare, fit_preference, margins
from densegym.reward_models.authored.programs.runner import open_runner
from densegym.reward_models.authored.screening.bank import Bank
from densegym.reward_models.authored.screening.scoring import score_bank
from densegym.reward_models.features import feature_names
from densegym.reward_models.sandbox.allowlist import inspect_source
from densegym.reward_models.sandbox.status import Status
from tests.reward_models.authored.scripted_context import make_bank, scripted
from tests.toys import CARD

CODE = """def factors(height, told, push):
    return {"high": height, "noise": np.tanh(told), "effort": np.square(push).sum(axis=1)}"""
RANKING = [
    {"name": "high", "better": "larger"},
    {"name": "noise", "better": "smaller"},
    {"name": "effort", "better": "smaller"},
]


def answer(code: str = CODE, ranking=RANKING) -> str:
    return json.dumps({"analysis": "a", "factors": code, "ranking": ranking})


@pytest.fixture(scope="module")
def bank():
    return make_bank(episodes=60)


def propose(replies, bank, worker, **changes):
    context = scripted(replies, bank, worker=worker, **changes)
    Heron().propose(context)
    return context


def slow_verdict(one, other, margin) -> int:
    for a, b, delta in zip(one, other, margin, strict=True):
        if abs(a - b) > delta:
            return 1 if a > b else -1
    return 0


LEVELS = arrays.arrays(np.float64, (6, 3), elements=st.sampled_from([0.0, 0.25, 1.0, 2.0]))


@given(LEVELS, arrays.arrays(np.float64, 3, elements=st.sampled_from([0.0, 0.5, 1.5])))
def test_the_first_level_beyond_its_margin_decides(levels, margin):
    slow = [[slow_verdict(one, other, margin) for other in levels] for one in levels]
    assert compare(levels, margin).tolist() == slow


def test_margins_are_shares_of_the_spread_and_none_for_binary_factors():
    levels = np.array([[0.0, 0.0], [2.0, 1.0]])
    assert margins(levels, np.array([False, True]), 0.5).tolist() == [0.5, 0.0]


def test_gradients_equal_finite_differences():
    rng = np.random.default_rng(3)
    steps = rng.normal(size=(5, preference.STEPS, 3))
    verdicts = compare(steps.mean(axis=1), np.full(3, 0.05))
    network = preference._initial(3, rng)

    def loss(changed) -> float:
        values = changed(steps).mean(axis=1)
        gaps = verdicts * (values[:, None] - values[None, :])
        return float(np.log1p(np.exp(-gaps))[verdicts != 0].mean())

    gradients = preference._gradients(network, steps, verdicts)
    for name in network._fields:
        weights = getattr(network, name)
        direction = rng.normal(size=weights.shape)
        ahead = network._replace(**{name: weights + 1e-6 * direction})
        behind = network._replace(**{name: weights - 1e-6 * direction})
        slope = (loss(ahead) - loss(behind)) / 2e-6
        assert slope == pytest.approx(np.sum(getattr(gradients, name) * direction), abs=1e-7)


def synthetic(seed: int, episodes: int = 120):
    """Trajectories whose order under three factors is known; the second is better small."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(10, 60, episodes).tolist()
    levels = rng.normal(size=(episodes, 3)) * [5.0, 0.1, 30.0]
    spread = np.array([0.5, 0.01, 3.0])
    steps = [
        level + spread * rng.normal(size=(n, 3)) for level, n in zip(levels, lengths, strict=True)
    ]
    return np.concatenate(steps), lengths, levels


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_known_ranking_is_recovered(seed):
    values, lengths, levels = synthetic(seed)
    fit = fit_preference(
        values, lengths, [True, False, True], np.random.default_rng(seed), kappa=0.3
    )
    assert fit.accuracy >= 0.9
    assert fit.decided > 0.95
    rewards = fit.network((values - fit.mean) / fit.scale)
    assert rewards.mean() == pytest.approx(0.0, abs=1e-9)
    assert rewards.std() == pytest.approx(1.0)
    paid = np.array([part.mean() for part in np.split(rewards, np.cumsum(lengths)[:-1])])
    clear = np.abs(levels[:, None, 0] - levels[None, :, 0]) > 3.0
    agree = np.sign(paid[:, None] - paid[None, :]) == np.sign(
        levels[:, None, 0] - levels[None, :, 0]
    )
    assert agree[clear].mean() >= 0.9


def test_the_second_factor_decides_between_equals():
    rng = np.random.default_rng(0)
    levels = np.stack([np.repeat([0.0, 5.0], 40), np.tile([0.0, 1.0], 40)], axis=1)
    values = np.repeat(levels, 20, axis=0) + 0.01 * rng.normal(size=(1600, 2))
    fit = fit_preference(values, [20] * 80, [True, False], rng, kappa=0.3)
    paid = fit.network((levels - fit.mean) / fit.scale)
    low_large, low_small, high_large, high_small = paid[1], paid[0], paid[41], paid[40]
    assert low_large < low_small < high_large < high_small


def test_a_printed_program_pays_what_was_fitted():
    values, lengths, _ = synthetic(5)
    fit = fit_preference(values, lengths, [True, False, True], np.random.default_rng(0), kappa=0.3)
    listed = ", ".join(f'"{name}": position[:, {i}]' for i, name in enumerate("abc"))
    code = f"def factors(position):\n    return {{{listed}}}"
    ranking = [Ranked("a", True), Ranked("b", False), Ranked("c", True)]
    source = print_reward(code, ["position"], ranking, fit)
    inspection = inspect_source(source, known=feature_names(CARD))
    assert inspection.status is Status.OK, inspection.feedback
    with open_runner(inspection, isolated=False) as runner:
        scored = runner({"position": values})
    expected = fit.network((values - fit.mean) / fit.scale)
    assert scored.total == pytest.approx(expected, abs=1e-3)
    assert list(scored.parts) == ["heron"]


def test_eight_factors_fit_into_a_program():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 8))
    fit = fit_preference(values, [20] * 20, [True] * 8, rng, kappa=0.5)
    names = [f"f{i}" for i in range(8)]
    listed = ", ".join(f'"{name}": height + {i}.0' for i, name in enumerate(names))
    source = print_reward(
        f"def factors(height):\n    return {{{listed}}}",
        ["height"],
        [Ranked(n, True) for n in names],
        fit,
    )
    inspection = inspect_source(source, known=feature_names(CARD))
    assert inspection.status is Status.OK, inspection.feedback
    assert inspection.nodes < 3000
    assert len(source) < 10_000


def test_ranked_factors_become_a_reward_that_orders_the_bank(bank, worker):
    context = propose([answer()], bank, worker)
    (row,) = context.trained
    factors = context.submitted[0]
    assert row.parents == (factors.id,)
    assert factors.author["train"] is False
    assert "# Most important first: +high, -noise, -effort" in row.source
    assert row.author["note"].startswith("+high, -noise, -effort: decides ")
    inspection = inspect_source(row.source, known=feature_names(CARD))
    with open_runner(inspection, isolated=False) as runner:
        paid = np.array([scored.total.mean() for scored in score_bank(runner, bank)])
    high = np.array([item.features["height"].mean() for item in bank.trajectories])
    assert np.corrcoef(paid, high)[0, 1] > 0.7


def test_the_same_replies_leave_the_same_programs(bank, worker):
    sources = [
        [row.source for row in propose([answer(), answer()], bank, worker, candidates=2).trained]
        for _ in range(2)
    ]
    assert sources[0] == sources[1]
    assert len(sources[0]) == 2


@pytest.mark.parametrize(
    ("faulty", "problem"),
    [
        (answer(ranking=[{"name": "height", "better": "larger"}]), "height"),
        (answer(ranking=[{"name": 'x"]; import os', "better": "larger"}]), "plain word"),
        (answer(ranking=[{"name": "high", "better": "up"}]), "larger"),
        (answer(ranking=[]), "1 to 8"),
        (answer(ranking="high"), "1 to 8"),
        (answer(CODE.replace("height,", "heights,")), "heights"),
        ("nothing", "must define factors"),
    ],
)
def test_a_faulty_answer_is_given_back(faulty, problem, bank, worker):
    context = propose([faulty, answer()], bank, worker)
    assert len(context.trained) == 1
    assert problem in context.asked[1]["messages"][-1]["content"]


def test_a_factor_that_fails_on_a_step_nobody_verified_is_given_back(bank, worker):
    features = dict(bank.trajectories[0].features)
    features["told"] = np.where(np.arange(len(features["told"])) == 1, 1e3, features["told"])
    rare = Bank(
        task=bank.task,
        gamma=bank.gamma,
        trajectories=(
            dataclasses.replace(bank.trajectories[0], features=features),
            *bank.trajectories[1:],
        ),
    )
    rooted = CODE.replace("np.tanh(told)", "np.sqrt(500.0 - told)")
    context = propose([answer(rooted), answer()], rare, worker)
    assert context.submitted[0].status is Status.OK
    assert "noise is NaN" in context.asked[1]["messages"][-1]["content"]


def test_a_persons_ranking_is_the_ranking(bank, worker):
    swapped = answer(ranking=RANKING[::-1])
    context = propose([swapped], bank, worker, ranking="-effort, +high")
    assert "`effort`: smaller is better" in context.asked[0]["text"]
    (row,) = context.trained
    assert row.author["note"].startswith("-effort, +high: ")
    assert 'np.stack([named["effort"], named["high"]], axis=1)' in row.source


@pytest.mark.parametrize(
    "options",
    [
        {"ranking": "+a,+a"},
        {"ranking": ""},
        {"ranking": ["a b"]},
        {"ranking": 7},
        {"kappa": "x"},
        {"kappa": -1},
    ],
)
def test_options_that_cannot_be_used_are_refused(options, bank, worker):
    with pytest.raises(RewardError, match="given"):
        propose([], bank, worker, **options)


def test_a_bank_whose_pairs_are_never_decided_trains_nothing(bank, worker):
    context = propose([answer(), None], bank, worker, kappa=1e9)
    assert context.trained == []


def test_the_accuracy_of_too_few_trajectories_is_unknown():
    values, lengths, _ = synthetic(0, episodes=4)
    fit = fit_preference(values, lengths, [True] * 3, np.random.default_rng(0), kappa=0.1)
    assert math.isnan(fit.accuracy)


def test_the_next_iteration_sees_factors_order_and_outcome(bank, worker):
    first = propose([answer()], bank, worker)
    rung = {"F_mean": 0.2, "F_std": 0.1, "success": 0.2, "length": 30.0, "training_success": 0.1}
    rung |= {"episodes": 20, "env_steps": 1000, "fraction": 1.0, "seed": 1}
    factors, winner = first.submitted
    context = propose([answer()], bank, worker, rows=[factors, winner.with_(rungs=(rung,))])
    turns = context.asked[0]["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert turns[1]["content"].count("def factors") == 1
    assert "np.array" not in turns[1]["content"]  # the network is not the model's business
    assert winner.author["note"] in turns[2]["content"]
