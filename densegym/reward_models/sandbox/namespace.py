"""The namespace reward programs run in. Imports only NumPy and the standard library."""

from __future__ import annotations

import ast
import builtins
import math
import sys
from collections.abc import Callable, Iterable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from densegym.reward_models.sandbox import vocabulary as words
from densegym.reward_models.sandbox.inspection import Inspection

_FILENAME = "<reward program>"


def load_entry(inspection: Inspection) -> Callable[..., Any]:
    """Run the definitions of an accepted program and return its entry function.

    Tracebacks count the author's lines. Where the caller is not a worker process, the program
    runs with this process's memory and time.

    Args:
        inspection: one with status ``OK``.

    Raises:
        Exception: whatever the program's constants raise.
    """
    tree = ast.parse(inspection.code)
    for node in ast.walk(tree):
        if isinstance(node, ast.expr | ast.stmt | ast.arg | ast.keyword):
            node.lineno = inspection.lines[node.lineno - 1]
            node.end_lineno = inspection.lines[(node.end_lineno or 1) - 1]
    namespace = build_namespace()
    exec(compile(tree, _FILENAME, "exec"), namespace)
    entry: Callable[..., Any] = namespace[inspection.kind]
    return entry


def build_namespace() -> dict[str, Any]:
    """Return fresh globals that hold the words of ``vocabulary`` and nothing else."""
    numpy = _pick(np, {*words.NUMPY, *words.NUMPY_CONSTANTS, *words.DTYPES} - {"linalg.norm"})
    numpy.linalg = _pick(np.linalg, {"norm"})
    names = {name: getattr(builtins, name) for name in words.BUILTINS}
    return {
        "__builtins__": names | {"__import__": _import_numpy},
        "np": numpy,
        "math": _pick(math, {*words.MATH, *words.MATH_CONSTANTS}),
    }


def author_line(error: BaseException) -> int:
    """Return the line of the program that raised an error, or 0 if it came from elsewhere."""
    line, step = 0, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == _FILENAME:
            line = step.tb_lineno
        step = step.tb_next
    return line


def _import_numpy(name: str, *_: Any) -> ModuleType:
    """Return a loaded part of NumPy, whose C code imports through its caller's builtins.

    No program can name this function, as words that start with ``_`` are refused.
    """
    if name.partition(".")[0] != "numpy" or name not in sys.modules:
        raise ImportError(f"{name} cannot be imported")
    return sys.modules[name]


def _pick(module: Any, names: Iterable[str]) -> SimpleNamespace:
    return SimpleNamespace(**{name: getattr(module, name) for name in names})
