"""LaRe: sampled, merged, verified and repaired factor programs."""

from __future__ import annotations

import json

import pytest

from densegym.errors import RewardError
from densegym.reward_models.authored.authors.lare import LaRe
from densegym.reward_models.llm.types import Reply
from densegym.reward_models.sandbox.status import Status
from tests.reward_models.authored.scripted_context import scripted

GOOD = 'def factors(height, told):\n    return {"height": height, "told": np.tanh(told)}'
WIDE = 'def factors(position):\n    return {"place": position}'
NAN = 'def factors(height):\n    return {"root": np.sqrt(height - 100.0)}'
STILL = 'def factors(height):\n    return {"zero": 0.0 * height}'
TWINS = 'def factors(height):\n    return {"one": height, "two": 3.0 * height}'
REWARD = 'def compute_reward(height):\n    return height, {"height": height}'


def answer(code: str) -> str:
    return json.dumps({"understand": "u", "analyze": "a", "functions": code})


def propose(replies, bank, worker, **options):
    context = scripted(replies, bank, worker=worker, candidates=6, **options)
    LaRe().propose(context)
    return context


def test_five_candidates_are_merged_into_one_that_passes(bank, worker):
    candidates = [answer(code) for code in (GOOD, WIDE, NAN, STILL, TWINS)]
    context = propose([*candidates, answer(GOOD)], bank, worker)
    (row,) = context.submitted
    assert row.status is Status.OK
    assert row.author["train"] is False
    assert row.author["prompt_hash"]
    sampling, merging = context.asked
    assert (sampling["samples"], sampling["temperature"]) == (5, 1.0)
    assert (merging["samples"], merging["temperature"]) == (1, 0.3)
    for code in (GOOD, WIDE, NAN, STILL, TWINS):
        assert code in merging["text"]
    assert "the action" in sampling["text"]  # what the toy's card says of push


def test_a_wrong_shape_is_repaired(bank, worker):
    context = propose([answer(WIDE), answer(GOOD)], bank, worker, n=1)
    assert [row.status for row in context.submitted] == [Status.BAD_SHAPE, Status.OK]
    assert [item["purpose"] for item in context.asked] == ["factors", "repair"]  # n=1: no merge
    assert context.submitted[0].feedback in context.asked[1]["text"]


@pytest.mark.parametrize(
    "code", [NAN, STILL, TWINS, REWARD, "def factors(nothing):\n    return {}"]
)
def test_what_no_decoder_can_use_is_given_back(code, bank, worker):
    context = propose([answer(code), answer(GOOD)], bank, worker, n=1)
    assert len(context.submitted) == 2
    assert context.submitted[-1].status is Status.OK


def test_five_repairs_and_only_the_newest_fault_in_the_dialogue(bank, worker):
    faulty = [answer(WIDE), answer(NAN), answer(STILL), answer(TWINS), answer(REWARD), answer(WIDE)]
    context = propose(faulty, bank, worker, n=1)
    assert len(context.submitted) == 6
    assert len(context.asked) == 6
    last = [turn["content"] for turn in context.asked[-1]["messages"]]
    assert len(last) == 3
    assert last[1] == answer(REWARD)
    assert "must define factors" in last[2]


def test_answers_that_are_no_json_still_count(bank, worker):
    context = propose([f"Here:\n```python\n{GOOD}\n```"], bank, worker, n=1)
    assert context.submitted[0].status is Status.OK
    context = propose(["I cannot.", answer(GOOD)], bank, worker, n=1)
    assert context.submitted[0].status is Status.PARSE_ERROR
    assert context.submitted[1].status is Status.OK


def test_what_was_cut_off_is_asked_for_again(bank, worker):
    cut = Reply(text=answer(GOOD), finish="length")
    context = propose([cut, answer(GOOD)], bank, worker, n=1)
    assert len(context.submitted) == 1
    assert "cut off" in context.asked[1]["messages"][-1]["content"]


def test_lost_replies_cost_nothing_else(bank, worker):
    context = propose([None, answer(GOOD), None, None, None, answer(GOOD)], bank, worker)
    assert len(context.submitted) == 1
    assert propose([None] * 5, bank, worker).submitted == []


@pytest.mark.parametrize("n", [0, "five", 2.5])
def test_n_must_be_a_count(n, bank, worker):
    with pytest.raises(RewardError, match="n is a whole number"):
        propose([], bank, worker, n=n)
