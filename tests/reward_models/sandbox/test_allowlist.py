"""The static check: what passes, what it reads off a program, and how it words a refusal."""

from __future__ import annotations

import ast
import itertools
import re
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.reward_models.sandbox import vocabulary
from densegym.reward_models.sandbox.allowlist import inspect_source, inspect_words
from densegym.reward_models.sandbox.namespace import author_line, load_entry
from densegym.reward_models.sandbox.status import Status
from tests.reward_models.sandbox.corpus import body

REWARDS = sorted(Path("densegym/assets/rewards").glob("*.py"))
KNOWN = ("position", "height", "prev_height", "terminated")
WIDE = '''# /// densegym-reward
# name = "any"
# ///
"""Text."""
from __future__ import annotations
import math
import typing
from typing import Any
import numpy as np

SCALE: float = -2.5 * math.pi
LIMITS = (0.0, 1.0)
STEPS = 3


def helper(x, tau=0.1, low=-1):
    """Text."""
    return np.exp(-np.square(x) / tau) + low


def compute_reward(position: np.ndarray, height, terminated: Any) -> tuple:
    total: np.ndarray = np.zeros_like(height)
    terms: dict
    for i in range(STEPS):
        total += helper(position[:, i], tau=0.5) if i > 0 else position[..., i]
    for name, (low, high) in {"a": LIMITS, "b": (0, 2)}.items():
        total = total + np.clip(height, low, high)
    for i, x in enumerate(zip((1, 2), [3, 4], strict=True)):
        if i % 2 == 0 and not x[0] > 3:
            continue
        elif i:
            total **= 2
        else:
            break
    mask = (height > 0.5) & ~terminated | (position[:, 0].astype(bool))
    terms = {"total": SCALE * total, "mask": mask.astype(float)}
    terms["norm"] = np.linalg.norm(position, axis=-1, keepdims=False)
    terms["stack"] = np.stack([height, height], axis=1).sum(axis=1, dtype=np.float64)
    terms["log"] = math.log(10.0, 2) * np.where(mask, height, 0.0)[:]
    x, y = height.shape[1:], len(terms.get("none", {}))
    return terms["total"] + len(x) + y, terms
'''


def parameters(source: str) -> list[str]:
    """The parameter names of an entry, by means of other than the sandbox's."""
    return re.findall(r"\w+", re.search(r"^def \w+\((.*?)\)", source, re.S | re.M)[1])


@pytest.mark.parametrize("path", REWARDS, ids=lambda path: path.stem)
def test_shipped_programs_pass_as_they_are(path):
    source = path.read_text()
    known = parameters(source)
    inspection = inspect_source(source, known=[*known, "other"])
    assert inspection.status is Status.OK, inspection.feedback
    kind = "potential" if "def potential" in source else "compute_reward"
    assert (inspection.kind, inspection.parameters) == (kind, tuple(known))
    assert inspection.nodes == sum(1 for _ in ast.walk(ast.parse(inspection.code)))
    assert "import" not in inspection.code


def test_there_are_shipped_programs():
    assert len(REWARDS) >= 18


def test_the_whole_language_passes():
    inspection = inspect_source(WIDE, known=KNOWN)
    assert inspection.status is Status.OK, inspection.feedback
    assert inspection.parameters == ("position", "height", "terminated")
    assert '"""' not in inspection.code
    assert "ndarray" not in inspection.code


@pytest.mark.parametrize(
    ("source", "kind", "memory"),
    [
        ("def potential(height):\n    return height", "potential", 0),
        ("def factors(height):\n    return {'h': height}", "factors", 0),
        (
            "MEMORY = 3\ndef compute_reward(memory, height):\n    return height, {}, memory",
            "compute_reward",
            3,
        ),
    ],
)
def test_kinds(source, kind, memory):
    inspection = inspect_source(source, known={*KNOWN, "memory"})
    assert inspection.status is Status.OK, inspection.feedback
    assert (inspection.kind, inspection.memory) == (kind, memory)
    assert ("memory" in inspection.parameters) == bool(memory)


def test_memory_must_be_declared_even_if_it_is_known():
    source = "def compute_reward(memory, height):\n    return height, {}, memory"
    assert inspect_source(source, known={*KNOWN, "memory"}).status is Status.STATIC_REJECT


def test_unknown_parameters_name_the_closest():
    told = inspect_source("def potential(prev_heigth):\n    return prev_heigth", known=KNOWN)
    assert told.feedback == (
        'line 1: "prev_heigth" is no feature of this task. Did you mean "prev_height"?'
    )
    told = inspect_source("def potential(zzz):\n    return zzz", known=KNOWN)
    assert told.feedback.endswith("Known: height, position, prev_height, terminated.")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("x = np.arctang(height)", 'Did you mean "np.arctan"?'),
        ("x = np.full(3, 1.0)", "use np.full_like(feature, value)"),
        ("x = heigt", 'Did you mean "height"?'),
        ("while True: pass", "use for over range(...)"),
        ("x = height.summ()", 'Did you mean "sum"?'),
        ("x = np.exp", "to be called"),
        ("break", "outside loop"),
    ],
)
def test_refusals_name_the_authors_line_and_what_to_write(line, says):
    source = '"""Text\nof two lines."""\n\n\n' + body(
        "# a comment", "y: float = (1.0 +", "  2)", line
    )
    told = inspect_source(source, known=KNOWN)
    assert told.status in (Status.STATIC_REJECT, Status.PARSE_ERROR)
    assert told.feedback.startswith("line 9: ")
    assert says in told.feedback
    assert told.nodes > 0
    assert len(told.ast_hash) == 64


def test_tracebacks_count_the_authors_lines():
    source = "import math\n\n\n# text\n" + body(
        "'''text'''", "y: int", "x = (1 +", "  2)", "z = x / (x - 3)", "return x"
    )
    entry = load_entry(inspect_words(source, known=KNOWN))
    with pytest.raises(ZeroDivisionError) as caught:
        entry(1.0, 2.0)
    assert author_line(caught.value) == 10
    assert author_line(ValueError()) == 0


GAPS = st.sampled_from(["", "\n", "# remark\n", "    # remark\n", "\n\n# γ \u202e\n"])
NOTES = st.sampled_from(["", ": float", ": 'np.ndarray'", ": dict[str, int]"])
SPACES = st.sampled_from([" ", "  ", "\t"])


@given(gaps=st.lists(GAPS, min_size=5, max_size=5), notes=st.tuples(NOTES, NOTES), space=SPACES)
def test_the_hash_ignores_comments_layout_annotations_and_docstrings(gaps, notes, space):
    plain = "A = 1.0\ndef potential(height, position):\n    x = A\n    return height * x\n"
    dressed = (
        f"{gaps[0]}import numpy as np\n{gaps[1]}A{notes[0]} ={space}1.0\n{gaps[2]}"
        f"def potential(height{notes[1]},{space}position) -> float:\n    '''text'''\n{gaps[3]}"
        f"    x{notes[0]} ={space}(A)\n{gaps[4]}    return height{space}*{space}x  # end"
    )
    one, other = inspect_source(plain, known=KNOWN), inspect_source(dressed, known=KNOWN)
    assert one.status is other.status is Status.OK, other.feedback
    assert (one.ast_hash, one.nodes) == (other.ast_hash, other.nodes)
    for change in ("1.5", "-1.0"):
        assert inspect_source(plain.replace("1.0", change), known=KNOWN).ast_hash != one.ast_hash


@given(st.text(max_size=200) | st.binary(max_size=20))
def test_no_text_makes_it_raise(text):
    assert inspect_source(text, known=KNOWN).status is not Status.OK


TOKENS = "height position x np math . ( ) [ ] { } : , = ** * - 1 0.5 'a' for in if else \n \n    "
PIECES = st.sampled_from(
    [*TOKENS.split(" "), "return", "exp", "range", "sum", "_", "def", "\n    "]
)


@given(st.lists(PIECES, max_size=25))
def test_whatever_passes_uses_allowed_words_only(pieces):
    source = body("x = height", " ".join(pieces), "return x, {}")
    inspection = inspect_source(source, known=KNOWN)
    if inspection.status is not Status.OK:
        return
    names = {getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(ast.parse(source))}
    assert not any(name.startswith("_") for name in names)


def test_every_word_of_the_vocabulary_exists_and_no_more_is_there():
    entry = load_entry(inspect_source("def potential(height):\n    return height", known=KNOWN))
    there = entry.__globals__
    numpy = {*vocabulary.NUMPY, *vocabulary.NUMPY_CONSTANTS, *vocabulary.DTYPES}
    assert {*vars(there["np"])} == numpy - {"linalg.norm"} | {"linalg"}
    assert {*vars(there["np"].linalg)} == {"norm"}
    assert {*vars(there["math"])} == {*vocabulary.MATH, *vocabulary.MATH_CONSTANTS}
    assert {*there["__builtins__"]} == {*vocabulary.BUILTINS, "__import__"}
    assert {*there} == {"__builtins__", "np", "math", "potential"}


def test_the_hidden_import_lends_loaded_parts_of_numpy_only():
    entry = load_entry(inspect_source("def potential(height):\n    return height", known=KNOWN))
    lend = entry.__globals__["__builtins__"]["__import__"]
    assert lend("numpy.linalg").__name__ == "numpy.linalg"
    for name in ("os", "numpy.no_such_part", "numpyx", "sys"):
        with pytest.raises(ImportError, match="cannot be imported"):
            lend(name)


def test_it_takes_milliseconds():
    source = REWARDS[0].read_text()
    known = parameters(source)
    times = []
    for _ in range(7):
        started = time.process_time()
        inspect_source(source, known=known)
        times.append(time.process_time() - started)
    assert min(times) < 0.010


def test_no_allowed_function_makes_a_python_number_of_arrays():
    """Stand-ins count on it: a Python integer would grow without bound, an array does not."""
    there = load_entry(inspect_source("def potential(height):\n    return height", known=KNOWN))
    numpy = there.__globals__["np"]
    values = (1.5, 4, np.float64(2.0), np.int64(3), np.array([1.0, 2.0]), np.eye(2), [True, False])
    for name in vocabulary.NUMPY:
        function = numpy.linalg.norm if name == "linalg.norm" else getattr(numpy, name)
        given = [items for k in (1, 2, 3) for items in itertools.product(values, repeat=k)]
        made = [result for items in given if (result := _tried(function, *items)) is not None]
        assert made, name
        if name != "where":  # with one argument it is refused
            assert all(isinstance(result, np.ndarray | np.generic) for result in made), name
            assert all(result.dtype != object for result in made), name
    for name in set(vocabulary.METHODS) - {"astype"}:
        for value, items in itertools.product(values[2:6], ((), (1,), (-1,), (0, 1))):
            made = _tried(getattr(value, name, None), *items)
            assert made is None or isinstance(made, np.ndarray | np.generic), name


def _tried(function, *arguments):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function(*arguments)
        except Exception:
            return None
