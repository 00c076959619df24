"""Turns what a reward program returned into arrays of the promised shapes."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from densegym.reward_models.sandbox.inspection import Inspection
from densegym.reward_models.sandbox.vocabulary import MAX_TERM_CHARACTERS, MAX_TERMS

Float: TypeAlias = npt.NDArray[np.float64]


class BadShapeError(Exception):
    """The program's result is not what its kind promises."""


class Result(NamedTuple):
    """A checked result.

    Attributes:
        terms: names of the terms or factors, in the program's order.
        columns: float64 arrays: the total or potential (N,) unless ``factors``, every term (N,),
            and the new memory (N, M) where the program keeps one.
    """

    terms: tuple[str, ...]
    columns: tuple[Float, ...]


def check_result(returned: Any, program: Inspection, rows: int) -> Result:
    """Check what an entry function returned for a batch of ``rows`` rows.

    Raises:
        BadShapeError: it is not (total, {term: value}), with the new memory where there is one;
            not {name: value}; or an array has another shape or holds no real numbers.
    """
    if program.kind == "potential":
        return Result((), (_real("potential", returned, (rows,)),))
    if program.kind == "factors":
        parts = _parts(returned, rows, "factors must return {name: value}")
        return Result(tuple(parts), tuple(parts.values()))
    length = 3 if program.memory else 2
    promise = "compute_reward must return (total, {term: value}" + (
        ", new_memory)" if program.memory else ")"
    )
    if type(returned) is not tuple or len(returned) != length:
        size = f" of {len(returned)}" if type(returned) is tuple else ""
        raise BadShapeError(f"{promise}; it returned {type(returned).__name__}{size}")
    columns = [_real("total", returned[0], (rows,))]
    parts = _parts(returned[1], rows, promise)
    columns += parts.values()
    if program.memory:
        columns.append(_real("new_memory", returned[2], (rows, program.memory)))
    return Result(tuple(parts), tuple(columns))


def _parts(values: Any, rows: int, promise: str) -> dict[str, Float]:
    if type(values) is not dict:
        raise BadShapeError(f"{promise}; in place of the dict stands {type(values).__name__}")
    if len(values) > MAX_TERMS:
        raise BadShapeError(f"there are {len(values)} terms; at most {MAX_TERMS} are allowed")
    for term in values:
        named = type(term) is str and 0 < len(term) <= MAX_TERM_CHARACTERS and term.isprintable()
        if not named:
            raise BadShapeError(
                f"a term's name is {type(term).__name__}; expected text of 1 to "
                f"{MAX_TERM_CHARACTERS} printable characters"
            )
    return {term: _real(term, value, (rows,)) for term, value in values.items()}


def _real(term: str, values: Any, shape: tuple[int, ...]) -> Float:
    try:
        column = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise BadShapeError(f"{term} is no array: {error}") from error
    if column.dtype.kind not in "biuf":
        raise BadShapeError(f"{term} holds {column.dtype.name} values; expected real numbers")
    if column.shape != shape:
        advice = " Reduce vectors with axis=1, and keep one number per row."
        raise BadShapeError(
            f"{term} has shape {column.shape} for a batch of {shape[0]} rows; expected {shape}."
            + (advice if len(shape) == 1 else "")
        )
    return np.ascontiguousarray(column, dtype=np.float64)
