"""Eureka: K of many samples, the winner's reflection, a person's feedback."""

from __future__ import annotations

import dataclasses

import pytest

from densegym.errors import RewardError
from densegym.reward_models.sandbox.status import Status
from tests.reward_models.authored.fake_context import (
    CARD,
    answer,
    crashing,
    program,
    propose,
    trained,
)


def test_eureka_trains_the_first_k_that_pass_and_keeps_the_rest():
    replies = ["garbage", *(answer(program(i)) for i in range(1, 6))]
    context = propose("eureka", replies, candidates=4)
    assert context.asked[0]["samples"] == 6
    assert len(context.asked) == 1  # enough passed: nothing is repaired
    assert [row.id for row in context.submitted] == [f"00-0{i}" for i in range(6)]
    assert [row.id for row in context.trained] == ["00-01", "00-02", "00-03", "00-04"]
    for i, row in enumerate(context.submitted[1:], start=1):
        assert f"near = {i} *" in row.source  # nothing has shifted


def test_eureka_repairs_only_until_k_pass():
    replies = [answer(crashing(1)), answer(crashing(2)), answer(program(3)), answer(program(4))]
    context = propose("eureka", replies, candidates=2)
    assert [row.parents for row in context.submitted] == [(), (), (), ("00-00",)]
    assert len(context.trained) == 2


def test_eureka_counts_no_repetition():
    same = [answer(program(1)), answer(program(1, "again")), answer(program(1))]
    context = propose("eureka", [*same, answer(program(2))], candidates=2, oversample=2.0)
    assert [row.duplicate_of for row in context.submitted] == [None, "00-00", "00-00", None]
    assert [row.id for row in context.trained] == ["00-00", "00-03"]


def test_eureka_asks_again_where_nothing_was_trained():
    first = propose("eureka", ["no", "no"], candidates=2, oversample=1.0, repair_turns=0)
    again = propose(
        "eureka",
        [answer(program())] * 2,
        candidates=2,
        oversample=1.0,
        rows=first.submitted,
    )
    assert again.asked[0]["messages"] == first.asked[0]["messages"]


def test_eureka_shows_the_winner_alone_and_what_its_terms_did():
    rows = [trained("00-00", 0.2, 1.0), trained("00-01", 0.9, 2.0), trained("01-00", 0.5, 3.0)]
    context = propose("eureka", [answer(program(4)), None], rows=rows)
    turns = context.asked[0]["messages"]
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user"]
    assert turns[2]["content"] == f"```python\n{program(2.0)}\n```"
    assert turns[:2] == propose("eureka", [None, None]).asked[0]["messages"]
    for part in ("task score 0.9", "`near`: 0.10, 0.50; Max 0.50", "90% of all pairs", "better"):
        assert part in turns[3]["content"]
    assert program(1.0) not in context.told()
    assert context.submitted[0].parents == ("00-01",)


def test_eureka_takes_the_last_iterations_best_if_told_to():
    rows = [trained("00-01", 0.9, 2.0), trained("01-00", 0.5, 3.0)]
    rows += [trained("02-00", 0.0, 4.0).with_(rungs=(), status=Status.TIMEOUT)]
    context = propose("eureka", [answer(program(5)), None], rows=rows, parent="iteration_best")
    assert context.submitted[0].parents == ("01-00",)


def test_a_higher_rung_counts_before_a_higher_score():
    low = trained("00-00", 0.9, 1.0)
    high = trained("00-01", 0.5, 2.0)
    high = high.with_(rungs=(*high.rungs, *high.rungs))
    context = propose("eureka", [None, None], rows=[low, high])
    assert program(2.0) in context.told()


def test_a_person_is_heard_beside_or_instead_of_the_reflection():
    rows = [trained("00-00", 0.2)]
    beside = propose("eureka", [None, None], rows=rows, feedback="it limps").told()
    instead = propose("eureka", [None] * 2, rows=rows, feedback="it limps", human="replace").told()
    silent = propose("eureka", [None] * 2, rows=rows, human="replace").told()
    assert "it limps" in beside
    assert "`near`: 0.10" in beside
    assert "it limps" in instead
    assert "`near`: 0.10" not in instead
    assert "`near`: 0.10" in silent
    alone = propose("eureka", [None, None], feedback="start low").told()
    assert "start low" in alone


@pytest.mark.parametrize(
    "options",
    [{"oversample": 0.5}, {"parent": "worst"}, {"human": "ignore"}, {"oversample": 1e999}],
)
def test_eureka_refuses_what_it_cannot_do(options):
    with pytest.raises(RewardError):
        propose("eureka", [], **options)


def test_the_example_is_of_another_task():
    card = dataclasses.replace(CARD, id="DenseGym/DoorUnlock-v0", goal="Unlock the door.")
    told = propose("eureka", [None, None], card=card, example=True).told()
    assert "An example" in told
    assert "An example" not in propose("eureka", [None] * 2, card=card).told()
    hidden = propose("eureka", [None] * 2, card=card, example=True, renamed=True).told()
    assert "An example" not in hidden
