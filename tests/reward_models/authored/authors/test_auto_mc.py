"""Auto MC-Reward: designer, critic and analyzer; only signs count, memory included."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from densegym.errors import RewardError, UnknownNameError
from densegym.reward_models.authored.authors.auto_mc import AutoMC
from densegym.reward_models.authored.programs.program import build_program, plain_header
from densegym.reward_models.authored.programs.runner import open_runner
from densegym.reward_models.authored.programs.sign import SignConstrained
from densegym.reward_models.authored.writing.dense_sparse import compose, designed
from densegym.reward_models.authored.writing.dialogue import FaultyAnswerError
from densegym.reward_models.features import blank_steps, feature_names
from densegym.reward_models.llm.types import Reply
from densegym.reward_models.model import FunctionReward
from densegym.reward_models.sandbox.allowlist import inspect_source
from densegym.reward_models.sandbox.status import Status
from tests.reward_models.authored.scripted_context import scripted
from tests.toys import CARD

NINE = np.array([0.0, 0.1, -0.1, 0.9, -0.9, 1.0, -1.0, 1.1, -1.1])
DESIGN = """
def dense(height, prev_height):
    return height - prev_height

def sparse(told, position):
    return np.where(told > 1.0, 1.0, 0.0) - (position[:, 0] > 2.0)
"""
MEMORY = """
MEMORY = 2

def dense(height, memory):
    better = height > memory[:, 0]
    kept = np.stack([np.maximum(height, memory[:, 0]), memory[:, 1]], axis=1)
    return better, kept

def sparse(told, memory, least=1.0):
    first = (told > least) & (memory[:, 1] == 0.0)
    return first, np.stack([memory[:, 0], np.maximum(memory[:, 1], 1.0 * first)], axis=1)
"""
BROKEN = "def dense(height):\n    return height[:, 9]\n\ndef sparse(told):\n    return 0.0 * told\n"
FINE, STOP = json.dumps({"problems": []}), json.dumps({"problems": ["the sign is wrong"]})


def fenced(code: str) -> str:
    return f"First, think.\n```python\n{code}\n```\nThat is all."


def run(source: str, features, memory=None):
    inspection = inspect_source(source, known=feature_names(CARD))
    assert inspection.status is Status.OK, inspection.feedback
    with open_runner(inspection, isolated=False) as runner:
        return runner(features, memory)


FINITE = st.floats(-1e6, 1e6)


@given(arrays.arrays(np.float64, (7, 5), elements=FINITE | st.just(0.0)))
def test_a_composed_program_emits_the_nine_values_alone(values):
    features = {
        "height": values[:, 0],
        "prev_height": values[:, 1],
        "told": values[:, 2],
        "position": values[:, 2:5],
    }
    scored = run(compose(DESIGN), features)
    assert np.abs(scored.total[:, None] - NINE).min(axis=1).max() < 1e-12
    assert np.array_equal(scored.parts["dense"], 0.1 * np.sign(values[:, 0] - values[:, 1]))
    assert np.array_equal(scored.total, scored.parts["dense"] + scored.parts["sparse"])


@given(arrays.arrays(np.float64, (9, 2), elements=st.floats(allow_nan=False)))
def test_the_wrapper_emits_the_nine_values_alone(values):
    terms = {"dense": values[:, 0], "sparse": values[:, 1], "other": 7.0 * values[:, 0]}
    inner = FunctionReward("toy/any-v1", lambda steps: terms, ("dense", "sparse", "other"))
    with np.errstate(all="ignore"):
        scores = SignConstrained(inner).score(blank_steps(CARD, rows=9))
    assert np.abs(scores.reward[:, None] - NINE).min(axis=1).max() < 1e-12
    assert np.array_equal(np.sign(scores.parts["dense"]), np.sign(values[:, 0]))
    assert np.array_equal(np.sign(scores.parts["sparse"]), np.sign(values[:, 1]))
    assert set(scores.parts) == {"dense", "sparse"}


def test_the_wrapper_refuses_nan_and_models_without_the_terms():
    row = np.array([1.0, np.nan])
    inner = FunctionReward(
        "toy/nan-v1", lambda s: {"dense": row, "sparse": row}, ("dense", "sparse")
    )
    with pytest.raises(RewardError, match=r"dense .* is NaN at row 1 of 2"):
        SignConstrained(inner).score(blank_steps(CARD, rows=2))
    with pytest.raises(RewardError, match="terms dense and sparse"):
        SignConstrained(FunctionReward("toy/one-v1", lambda s: {"dense": row}, ("dense",)))


def test_the_wrapper_changes_nothing_that_is_composed():
    header = plain_header(compose(DESIGN), CARD.id, "toy/design-v1")
    inner = build_program(header, CARD)
    steps = blank_steps(CARD, rows=4)._replace(
        next_obs=np.random.default_rng(0).normal(size=(4, 3))
    )
    plain = inner.score(steps)
    assert np.array_equal(SignConstrained(inner).score(steps).reward, plain.reward)


def test_memory_is_handed_from_step_to_step():
    program = compose(MEMORY)
    heights, told = [1.0, 3.0, 2.0, 4.0], [0.0, 2.0, 2.0, 2.0]
    memory, paid = None, []
    for height, number in zip(heights, told, strict=True):
        scored = run(program, {"height": np.array([height]), "told": np.array([number])}, memory)
        memory = scored.memory
        paid.append(float(scored.total[0]))
    assert paid == pytest.approx([0.1, 1.1, 0.0, 0.1])  # a better height; told once only
    assert memory.tolist() == [[4.0, 1.0]]


def test_a_memory_program_passes_every_check(worker, bank):
    context = scripted([fenced(MEMORY), FINE], bank, worker=worker)
    AutoMC().propose(context)
    assert [row.status for row in context.trained] == [Status.OK]
    assert designed(context.trained[0].source) == MEMORY.strip()


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("def dense(height):\n    return height", "must define sparse"),
        (DESIGN + "def compute_reward(height):\n    return 9.0 * height, {}", "compute_reward"),
        ("def dense(height:\n", "line 1"),
        (MEMORY.replace("MEMORY = 2", ""), "does not set MEMORY"),
        (
            MEMORY.replace("memory, least", "position, least").replace("memory[", "position["),
            "one value",
        ),
        (
            MEMORY.replace(
                "return better, kept", "if True:\n        return better\n    return better, kept"
            ),
            "same form",
        ),
        ("x = " + "(" * 5000 + "1" + ")" * 5000, "parse|nested|line"),
        ("x = 1\0", "parse|null"),
    ],
)
def test_what_cannot_be_composed_is_said(code, problem):
    with pytest.raises(FaultyAnswerError, match=problem):
        compose(code)


def test_the_critic_is_heard_at_most_three_times(worker, bank):
    replies = [fenced(DESIGN), STOP, fenced(DESIGN), STOP, fenced(DESIGN), STOP, fenced(DESIGN)]
    context = scripted(replies, bank, worker=worker)
    AutoMC().propose(context)
    asked = [item["purpose"] for item in context.asked]
    assert asked == ["designer", *["critic", "revision"] * 3]
    assert "the sign is wrong" in context.asked[-1]["text"]
    assert len(context.submitted) == 1
    assert context.trained


def test_the_critic_is_told_what_failed_and_the_design_is_repaired(worker, bank):
    replies = [fenced(BROKEN), FINE, STOP, fenced(DESIGN), FINE]
    context = scripted(replies, bank, worker=worker)
    AutoMC().propose(context)
    first, second = context.submitted
    assert not first.status.passed
    assert second.status is Status.OK
    assert first.feedback in context.asked[2]["text"]


def test_a_critic_that_sees_no_problem_waves_no_error_through(worker, bank):
    replies = [fenced(BROKEN), FINE, FINE, fenced(DESIGN), FINE]
    context = scripted(replies, bank, worker=worker)
    AutoMC().propose(context)
    first, second = context.submitted
    assert second.status is Status.OK
    assert first.feedback in context.asked[3]["messages"][-1]["content"]


def test_what_is_never_composed_is_kept_but_not_trained(worker, bank):
    alone = "def compute_reward(height):\n    return 100.0 * height, {'h': 100.0 * height}"
    context = scripted([fenced(alone)], bank, worker=worker, rounds=0)
    AutoMC().propose(context)
    assert len(context.submitted) == 1
    assert context.trained == []


def test_a_reply_that_never_comes_costs_one_candidate_only(worker, bank):
    replies = [None, fenced(DESIGN), None]
    context = scripted(replies, bank, worker=worker, candidates=2)
    AutoMC().propose(context)
    assert len(context.trained) == 1


def test_the_analyzer_reads_failed_episodes_of_the_winner(worker, bank):
    first = scripted([fenced(DESIGN), FINE], bank, worker=worker)
    AutoMC().propose(first)
    rung = {"F_mean": 0.2, "F_std": 0.1, "success": 0.2, "length": 30.0, "training_success": 0.1}
    rung |= {"episodes": 20, "env_steps": 1000, "fraction": 1.0, "seed": 1}
    winner = first.trained[0].with_(rungs=(rung,))
    own = next(item for item in bank.trajectories if not item.success)
    more = bank.joined([dataclasses.replace(own, source=f"policy:{winner.id}")])
    found = json.dumps({"cause": "it hovers", "request": "pay the climb"})
    context = scripted([found, fenced(DESIGN), FINE], more, worker=worker, rows=[winner])
    context.feedback = "it looks shy"
    AutoMC().propose(context)
    analyzer, designer = context.asked[0], context.asked[1]
    assert [analyzer["purpose"], designer["purpose"]] == ["analyzer", "designer"]
    first_table = analyzer["text"].partition("An episode of")[2].partition("\n")[0]
    assert f"policy:{winner.id}" in first_table
    assert "term dense" in analyzer["text"]
    assert f"{own.features['told'][-1]:.3g}" in analyzer["text"]
    for told in ("it hovers", "pay the climb", "it looks shy", "def dense"):
        assert told in designer["text"]
    assert context.trained[0].parents == (winner.id,)


def test_a_reply_that_was_cut_off_is_no_code(worker, bank):
    cut = Reply(text=fenced(DESIGN), finish="length")
    context = scripted([cut], bank, worker=worker, rounds=0)
    AutoMC().propose(context)
    assert len(context.submitted) == 1
    assert context.trained == []


def test_an_unknown_option_is_refused(worker, bank):
    with pytest.raises(UnknownNameError, match="rounds"):
        AutoMC().propose(scripted([], bank, worker=worker, round=1))


def test_rounds_must_be_a_count(worker, bank):
    with pytest.raises(RewardError, match="rounds"):
        AutoMC().propose(scripted([], bank, worker=worker, rounds="many"))
