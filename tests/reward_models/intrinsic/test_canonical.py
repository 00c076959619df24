"""The canonical form of captions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.errors import RewardError
from densegym.reward_models.intrinsic.canonical import (
    canonical,
    canonical_captions,
    step_captions,
)


@pytest.mark.parametrize(
    ("line", "sentences"),
    [
        ("", ()),
        ("   ", ()),
        ("It's a wall.", ("it's a wall.",)),
        ("You hit it.  You kill it!--More--", ("you hit it.", "you kill it!")),
        ("$ - 23 gold pieces.", ("# gold pieces.",)),
        ("x - a key (in use).", ("a key (in use).",)),
        ("You see here a key named The Master Key.", ("you see here a key named x",)),
        ("The dog called Fido bites 12 times!", ("the dog called x",)),
        ("What do you want to eat? [bc or ?*]", ("what do you want to eat?",)),
        ("You  have a    little trouble.", ("you have a little trouble.",)),
        ("caf\xe9 \xff\xfe", ()),
        ("#$%^&*()!!", ()),
        ("zz;;;;;;;zz", ()),
        ("Really attack?  [yn] (n) ", ("really attack?",)),
    ],
)
def test_rules(line: str, sentences: tuple[str, ...]) -> None:
    assert canonical(line) == sentences


@given(st.text(alphabet=st.characters(codec="latin-1"), max_size=120))
def test_any_line_gives_tidy_sentences_and_the_form_is_final(line: str) -> None:
    for sentence in canonical(line):
        assert sentence == sentence.strip().lower() != ""
        assert sentence.isascii()
        assert not any(c.isdigit() for c in sentence)


def test_a_step_keeps_order_and_each_sentence_once() -> None:
    lines = ("You hit it.  The dog bites!", "You hit it.", "12 bolts.", "7 bolts.")
    assert canonical_captions(lines) == ("you hit it.", "the dog bites!", "# bolts.")
    assert step_captions({"captions": lines}) == canonical_captions(lines)
    assert step_captions({"captions": ()}) == ()


def test_worlds_without_captions_are_named() -> None:
    with pytest.raises(RewardError, match="DenseGym/NetHack"):
        step_captions({"is_success": 0.0})
