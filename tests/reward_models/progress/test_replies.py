"""Replies, prompts and the cache: what counts as an answer, and what must never be paid."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.errors import ResultsError
from densegym.reward_models.llm.types import Reply
from densegym.reward_models.progress.vlm.cache import ReplyCache
from densegym.reward_models.progress.vlm.pictures import changed, fit
from densegym.reward_models.progress.vlm.question import Question
from densegym.reward_models.progress.vlm.replies import (
    expectation,
    read_numbers,
    read_score,
    read_yes,
)
from densegym.reward_models.progress.vlm.template import Template


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("+12%", 0.12),
        ("-3.5 %", -0.035),
        ("<score>0%</score>", 0.0),
        ("12", 0.12),
        ("0.5", 0.5),
        ("0.5%", 0.005),
        ("1", 0.01),
        ("\u22125%", -0.05),
        ("150", 1.0),
        ("-999%", -1.0),
        ("100%%", 1.0),
        ("**+7%**.", 0.07),
        ("<score>+10% or rather +20%</score>", 0.2),
        ("<score>+8%", 0.08),
        ("<think>first 3%, then 9%</think> +6", 0.06),
    ],
)
def test_scores(text, value):
    assert read_score(text) == pytest.approx(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nan",
        "inf",
        "1e9",
        "3.24.0",
        "I cannot compare 2 pictures.",
        "<score></score>",
        "<score>none</score> but 12",
        "between 3 and 4",
        "A",
    ],
)
def test_what_is_no_score(text):
    assert read_score(text) is None


@given(st.text(max_size=60))
def test_a_score_is_always_in_bounds(text):
    value = read_score(text)
    assert value is None or -1.0 <= value <= 1.0


def test_lists_of_numbers():
    assert read_numbers("Sure: [10%, 20.5%]", 2, 0, 100) == [10.0, 20.5]
    assert read_numbers('{"progress": [0, 1]}', 2, 0, 1) == [0.0, 1.0]
    for text in (
        "[1]",
        "[1, 900]",
        "[1, NaN]",
        '[1, "2"]',
        "[true, 1]",
        "no",
        "[1, 2",
    ):
        assert read_numbers(text, 2, 0.0, 100.0) is None


def test_yes_and_no():
    assert read_yes("Yes.") == 1.0
    assert read_yes("0") == 0.0
    assert read_yes("I cannot say yes") is None
    assert read_yes("- Match: Yes\n- Success: No", after="Success") == 0.0


def test_expectation_is_over_whole_answers():
    values = {"A": -1.0, "U": 1.0}
    told = ({"A": math.log(0.3), " U": math.log(0.5), "U": math.log(0.1), "x": math.log(0.1)},)
    assert expectation(told, values) == pytest.approx((0.6 - 0.3) / 0.9)
    assert expectation(({"x": 0.0},), values) is None
    assert expectation((), values) is None


def test_a_task_may_hold_any_character():
    picture = np.zeros((2, 2, 3), np.uint8)
    template = Template("do [[task]]: [[now]] after [[list]].", "test")
    parts = template.fill({"task": "{x} [[now]]", "now": picture, "list": ["a", picture, "b"]})
    assert parts[0] == "do {x} [[now]]: "
    assert parts[1] is picture
    assert parts[2] == " after a"
    assert parts[4] == "b."


def test_keys_hold_everything_that_decides():
    one, other = np.zeros((4, 4, 3), np.uint8), np.ones((4, 4, 3), np.uint8)
    base = Question(("a", one))
    keys = {
        base.key("m"),
        base.key("n"),
        Question(("b", one)).key("m"),
        Question(("a", other)).key("m"),
        Question((one, "a")).key("m"),
        Question(("a", one.reshape(2, 8, 3))).key("m"),
        Question(("a", one), system="s").key("m"),
        Question(("a", one), max_tokens=3).key("m"),
        base.again("again").key("m"),
    }
    assert len(keys) == 9
    assert base.key("m") == Question(("a", one.copy())).key("m")


def test_cache_survives_and_says_what_is_damaged(tmp_path):
    path = tmp_path / "replies.sqlite"
    cache = ReplyCache(str(path))
    cache.put("k", Reply(text="+1%", usd=0.5, alternatives=({"a": -0.5},)))
    cache.close()
    again = ReplyCache(str(path))
    kept = again.get("k")
    assert kept is not None
    assert kept.cached
    assert kept.usd == 0.0
    assert kept.alternatives == ({"a": -0.5},)
    assert again.get("other") is None
    again.close()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(ResultsError, match="no cache of replies"):
        ReplyCache(str(path))


def test_fits():
    wide = np.full((1, 2, 30, 60, 3), 9, np.uint8)
    boxed = fit(wide, 20, "letterbox")
    assert boxed.shape == (1, 2, 20, 20, 3)
    assert (boxed[0, 0, :5] == 0).all()
    assert (boxed[0, 0, 5:15] == 9).all()
    assert fit(wide, 20, "stretch").shape == (1, 2, 20, 20, 3)
    assert fit(wide, 100, "shrink") is wide
    small = fit(wide, 20, "shrink").shape[2:4]
    assert small[0] * small[1] <= 400
    moved = wide.copy()
    moved[0, 0, :3] = 200  # a tenth of one of two views
    assert changed(wide, wide).tolist() == [0.0]
    assert changed(wide, moved).tolist() == pytest.approx([0.05])
