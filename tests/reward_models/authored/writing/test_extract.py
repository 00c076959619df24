"""Code and declared terms out of whatever a language model answers."""

from __future__ import annotations

import json
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.reward_models.authored.programs.declarations import (
    Component,
    declare,
    declared,
    parse_components,
)
from densegym.reward_models.authored.writing import extract
from densegym.reward_models.llm.structured import json_object

PROGRAM = """SCALE = 2.0

def helper(x):
    return SCALE * x

def compute_reward(height):
    rise = helper(height)
    return rise, {"rise": rise}"""
OTHER = 'def compute_reward(height):\n    return height, {"h": height}'
PHI = "def potential(height):\n    return height"


def answer(code: str, **more) -> str:
    return json.dumps({"analysis": "a", "plan": "p", "code": code, **more})


@pytest.mark.parametrize(
    "text",
    [
        answer(PROGRAM),
        f"Here you are:\n```json\n{answer(PROGRAM)}\n```\nGood luck!",
        answer(f"```python\n{PROGRAM}\n```"),
        answer(PROGRAM).replace("\\n", "\n"),  # line breaks inside a JSON string
        f"With {{braces}} before and {{}} between: {answer(PROGRAM)} {{and after",
        f"Thoughts.\n```python\n{PROGRAM}\n```\nDone.",
        f"```\n{PROGRAM}\n```",
        f"~~~python\n{PROGRAM}\n~~~",
        "1. As a list:\n   ```python\n" + PROGRAM.replace("\n", "\n   ").join(["   ", "\n   ```"]),
        PROGRAM,
        f"\n\n{PROGRAM}\n\n",
        f"```python\n{OTHER}\n```\n```python\n{PROGRAM}\n```\nIt is called\n```python\nf(1)\n```",
        f"```python\nprint('first')\n```\n```python\n{OTHER}\n```\n```python\n{PROGRAM}\n```",
        f"```python\ndef compute_reward(x:\n{PROGRAM}{PROGRAM}\n```\n```python\n{PROGRAM}\n```",
        f"```python\n{'def unused(x):' + chr(10) + '    return x' + chr(10)}"
        f"{'# long' * 300}\n```\n```python\n{PROGRAM}\n```",
        answer(PROGRAM) + f"\n```python\n{PROGRAM}\n\ndef more(x):\n    return x\n```",
    ],
)
def test_the_whole_program_is_found(text):
    assert extract.read(text).code == PROGRAM
    assert extract.read(text).reason == ""


HELPER = "def helper(x):\n    return SCALE * x"
ENTRY = PROGRAM[PROGRAM.index("def compute_reward") :]


@pytest.mark.parametrize(
    "text",
    [
        f"<think>First I try\n```python\n{OTHER}\n```\nno.</think>\n```python\n{PROGRAM}\n```",
        f"I try\n```python\n{OTHER}\n```\n</think>\n```python\n{PROGRAM}\n```",
        f"\ufeff{PROGRAM}",
        f"```python\n{OTHER}\n```\nBetter:\n```python\n{PROGRAM}\n```",
        f"```python\n{PROGRAM}\n```\n```python\ndef compute_reward(height):\n    ...\n```",
        answer(PROGRAM).replace("{", "<think>{}</think>{", 1),
    ],
)
def test_reasoning_is_no_answer_and_the_last_whole_program_counts(text):
    assert extract.read(text).code == PROGRAM


def test_helpers_in_other_blocks_are_put_before_the_program():
    text = f"```python\nSCALE = 2.0\n```\n```python\n{HELPER}\n```\n```python\n{ENTRY}\n```"
    found = extract.read(f"{text}\n```python\ndef unused(x):\n    return x\n```").code
    assert [item for item in found.split("\n") if item] == [
        item for item in f"SCALE = 2.0\n{HELPER}\n{ENTRY}".split("\n") if item
    ]


def test_a_potential_is_a_reward_program_and_factors_are_not():
    assert extract.read(f"```python\n{PHI}\n```").code == PHI
    factors = 'def factors(height):\n    return {"h": height}'
    assert extract.read(f"```python\n{factors}\n```").code is None
    assert extract.code(f"```python\n{factors}\n```") == factors
    assert extract.code("```python\ndef any(x):\n    return x\n```") is not None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("  \n ", "empty"),
        ("I am sorry, I cannot help with that.", "no Python function"),
        ("42", "no Python function"),
        ("{}", "no Python function"),
        (answer(PROGRAM)[:-40], "parse|no Python"),  # half a JSON object
        (answer("def compute_reward(height:\n    pass"), "does not parse: line 1"),
        (f"```python\n{PROGRAM[:-20]}", "does not parse"),  # a block that never ends
        (f"```python\n{PROGRAM}", "does not parse"),
        ("```python\ndef reward(x):\n    return x\n```", "no Python function named compute_reward"),
        (answer("class A:\n    def compute_reward(self):\n        return 0"), "top level"),
        ("def compute_reward(x): return " + "(" * 5000 + ")" * 5000, "does not parse"),
        ("def compute_reward(x): return " + "-" * 100_000 + "1", "does not parse"),
        ("def compute_reward(x): return x" + " + 1" * 1000, "nested too deeply"),
        ("def compute_reward(x):\n    return '\0'", "does not parse"),
        ("def compute_reward(x):\n    return '\ud800'", "does not parse"),
    ],
)
def test_what_holds_no_program_says_why(text, reason):
    found = extract.read(text)
    assert found.code is None
    assert any(part in found.reason for part in reason.split("|")), found.reason


@given(st.text(alphabet=st.characters(), max_size=200) | st.text(alphabet='{}"`\n:defx([,\\d '))
def test_garbage_never_raises(text):
    found = extract.read(text)
    assert (found.code is None) == bool(found.reason)
    assert extract.code(text) is None or extract.code(text)
    assert json_object(text) is None or isinstance(json_object(text), dict)


def test_escapes_in_foreign_code_warn_nobody():
    code = 'def compute_reward(height):\n    "\\d"\n    return height, {"h": height}'
    assert extract.read(f"```python\n{code}\n```").code == code


@pytest.mark.parametrize("text", ['{"a":' * 20_000, "{" * 200_000, "```\n" * 20_000, "`" * 50_000])
def test_hostile_replies_take_no_time(text):
    started = time.perf_counter()
    assert extract.read(text).code is None
    assert time.perf_counter() - started < 5.0


def test_the_longest_object_is_the_answer():
    text = 'First {"a": 1}, then {"problems": ["x", "y"], "more": {"a": {}}} and {}.'
    assert json_object(text) == {"problems": ["x", "y"], "more": {"a": {}}}
    assert json_object("no braces") is None
    assert json_object("[1, 2]") is None


def test_declared_terms_are_read_and_malformed_ones_are_not():
    entries = [
        {"name": "rise", "intent": "up", "sign": "+", "expected_range": [0, 2]},
        {"name": "fall", "sign": "−", "expected_range": [1, 0]},
        {"name": "", "sign": "+"},
        {"intent": "nameless"},
        "text",
        {"name": "odd", "sign": "up", "expected_range": ["a", None]},
        {"name": "wild", "expected_range": [0, 1e999]},
    ]
    found = extract.read(answer(PROGRAM, components=entries)).components
    assert found is not None
    assert found[0] == Component("rise", "up", "+", 0.0, 2.0)
    assert [item.name for item in found] == ["rise", "fall", "odd", "wild"]
    assert (found[1].sign, found[2].sign) == ("-", "±")
    assert all(math.isinf(item.low) for item in found[1:])
    for garbage in (None, {}, "x", [], [1], [{"name": 3}]):
        assert parse_components(garbage) is None
    assert extract.read(answer(PROGRAM)).components is None


NAMES = st.text(min_size=1, max_size=20)


@given(st.lists(st.tuples(NAMES, st.text(max_size=50), st.sampled_from("+-±")), max_size=5))
def test_declarations_survive_in_comments_and_change_no_code(entries):
    terms = tuple(Component(name, intent, sign, -1.0, 2.0) for name, intent, sign in entries)
    source = declare(PROGRAM, terms)
    assert declared(source) == terms
    assert extract.code(source) == source.strip()
    namespace: dict = {}
    exec(source, namespace)
    assert namespace["compute_reward"](3.0)[0] == 6.0


def test_foreign_comments_are_no_declarations():
    assert declared("# declared: not JSON\n# declared: [1]\nx = 1") == ()
