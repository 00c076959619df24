"""What the four authors with a language model share: repairs, options, names, hashes."""

from __future__ import annotations

import ast
import re

import pytest

from densegym.errors import DenseGymError, UnknownNameError
from densegym.reward_models.authored.authors import find_author
from densegym.reward_models.llm.types import LLMError
from densegym.reward_models.sandbox.status import Status
from tests.reward_models.authored.fake_context import (
    FakeContext,
    after,
    answer,
    crashing,
    program,
    propose,
    trained,
)

FOUR = ("eureka", "text2reward", "card", "revolve")


@pytest.mark.parametrize("name", FOUR)
def test_one_reply_makes_one_candidate(name):
    context = propose(name, [answer(program()), None], oversample=1.0) if name == "eureka" else None
    context = context or propose(name, [answer(program())])
    (row,) = context.trained
    assert row.source.startswith(program())
    assert row.parents == ()
    assert re.fullmatch(r"[0-9a-f]{16}", row.author["prompt_hash"])
    first = context.asked[0]["messages"]
    assert [turn["role"] for turn in first] == ["system", "user"]
    for part in ("Walk to the goal.", "walker_position", "compute_reward", "JSON", "potential"):
        assert part in context.told(0)


@pytest.mark.parametrize("name", FOUR)
def test_a_failing_program_is_repaired_as_its_child(name):
    replies = [answer(crashing()), answer(crashing(2.0)), answer(program())]
    options = {"oversample": 1.0} if name == "eureka" else {}
    context = propose(name, replies, **options)
    assert [row.id for row in context.submitted] == ["00-00", "00-01", "00-02"]
    assert [row.parents for row in context.submitted] == [(), ("00-00",), ("00-01",)]
    assert [row.id for row in context.trained] == ["00-02"]
    dialogue = context.asked[2]["messages"]
    assert [turn["role"] for turn in dialogue][1:] == ["user", "assistant"] * 2 + ["user"]
    assert dialogue[2]["content"] == replies[0]
    assert dialogue[4]["content"] == replies[1]
    assert "IndexError: walker_position has no axis 7" in dialogue[5]["content"]
    assert dialogue[1] == context.asked[0]["messages"][1]


@pytest.mark.parametrize("name", FOUR)
def test_repairs_end(name):
    turns = 3 if name == "card" else 1
    key = "introspections" if name == "card" else "repair_turns"
    options = {key: turns} | ({"oversample": 1.0} if name == "eureka" else {})
    context = propose(name, [answer(crashing(i)) for i in range(1 + turns)], **options)
    assert len(context.submitted) == 1 + turns
    assert context.trained == []


@pytest.mark.parametrize("name", FOUR)
@pytest.mark.parametrize("text", ["", "I cannot.", answer(program())[:60], "```python\ndef x("])
def test_a_reply_without_a_program_is_kept_and_told_why(name, text):
    options = {"oversample": 1.0} if name == "eureka" else {}
    context = propose(name, [text, answer(program())], **options)
    assert context.submitted[0].source == text
    assert not context.submitted[0].status.passed
    assert context.submitted[0].author["train"] is False
    assert "cannot be used" in context.asked[1]["messages"][-1]["content"]
    assert all(turn["content"] for turn in context.asked[1]["messages"])
    assert [row.id for row in context.trained] == ["00-01"]


@pytest.mark.parametrize("name", FOUR)
def test_a_lost_reply_costs_nothing_else(name):
    assert propose(name, [None] * 9, candidates=6).submitted == []


@pytest.mark.parametrize("name", FOUR)
def test_the_same_ledger_gives_the_same_questions(name):
    rows = [trained(f"00-0{i}", 0.1 * i, 1.0 + i, f"island-{i % 4}") for i in range(6)]
    replies = [answer(program(10.0 + i)) for i in range(9)]
    twice = [propose(name, replies, rows=rows, candidates=6) for _ in range(2)]
    assert twice[0].asked == twice[1].asked
    assert twice[0].submitted == twice[1].submitted


@pytest.mark.parametrize("name", FOUR)
def test_a_row_that_failed_in_training_is_not_repaired_on_resume(name):
    class Resumed(FakeContext):
        def submit(self, source, **how):
            row = super().submit(source, **how)
            changes = {"status": Status.UNSTABLE, "feedback": "in training"}
            self.submitted[-1] = row.with_(**changes)
            return self.submitted[-1]

    options = {"oversample": 1.0} if name == "eureka" else {}
    context = Resumed([answer(program())], **options)
    find_author(name).propose(context)
    assert len(context.asked) == 1


@pytest.mark.parametrize("name", FOUR)
def test_declared_terms_travel_in_the_source(name):
    terms = [{"name": "near", "intent": "x", "sign": "+", "expected_range": [0, 1]}]
    replies = [answer(program(), components=terms), None]
    context = propose(name, replies)
    assert '# declared: {"name": "near"' in context.submitted[0].source
    assert ast.unparse(ast.parse(context.submitted[0].source)) == ast.unparse(ast.parse(program()))


@pytest.mark.parametrize("name", FOUR)
def test_renamed_features_leave_no_name_in_any_question(name):
    hidden = program().replace("walker_position", "f00").replace("goal_position", "f01")
    bad = crashing().replace("walker_position", "f00").replace("goal_position", "f01")
    options = {"oversample": 1.0} if name == "eureka" else {}
    context = propose(name, [answer(bad), answer(hidden)], renamed=True, **options)
    (row,) = context.trained
    assert row.source.strip() == ast.unparse(ast.parse(program()))
    assert "f00 has no axis 7" in context.told(1)
    later = propose(
        name,
        [answer(hidden), None],
        rows=[after(row.with_(author={"note": "island-0"}), 0.4)],
        renamed=True,
        feedback="the walker_position swings",
        **options,
    )
    for made in (context, later):
        for index in range(len(made.asked)):
            assert "walker_position" not in made.told(index)
            assert "goal_position" not in made.told(index)
    assert "f00" in later.told()
    assert "the f00 swings" in later.told()
    assert "def compute_reward(f00, f01)" in later.told()


@pytest.mark.parametrize("name", FOUR)
def test_blocks_can_be_left_out_and_the_hash_says_so(name):
    whole = propose(name, [answer(program()), None], safety="Go slowly.")
    bare = propose(name, [answer(program()), None], without="safety, rules,role")
    assert "Go slowly." in whole.told(0)
    assert "Go slowly." not in bare.told(0)
    assert "sandbox" not in bare.told(0)
    assert [turn["role"] for turn in bare.asked[0]["messages"]] == ["user"]
    hashes = {made.submitted[0].author["prompt_hash"] for made in (whole, bare)}
    assert len(hashes) == 2


@pytest.mark.parametrize("name", FOUR)
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"oversampel": 2.0}, "oversampel"),
        ({"repair_turns": "two"}, "repair_turns .* int"),
        ({"repair_turns": -1}, "repair_turns"),
        ({"without": "everything"}, "everything"),
        ({"renamed": 1}, "renamed"),
    ],
)
def test_options_that_cannot_be_used_are_refused(name, options, problem):
    with pytest.raises(DenseGymError, match=problem):
        propose(name, [], **options)


def test_a_wrong_block_or_option_names_the_closest():
    with pytest.raises(UnknownNameError, match='Did you mean "example"'):
        propose("eureka", [], without="exampel")
    with pytest.raises(UnknownNameError, match='Did you mean "oversample"'):
        propose("eureka", [], oversampel=1.0)


@pytest.mark.parametrize("name", FOUR)
def test_an_endpoint_that_is_down_is_no_silence(name):
    class Down(FakeContext):
        def ask(self, messages, **how):
            raise LLMError("no budget")

    with pytest.raises(LLMError):
        find_author(name).propose(Down([]))


def test_half_a_character_reaches_no_file():
    context = propose("card", ["I cannot \ud83d", answer(program())])
    assert context.submitted[0].source == "I cannot ?"
