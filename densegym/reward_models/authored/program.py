"""A reward program: one NumPy function over named features, with a provenance header.

A program file starts with a comment block of TOML between ``# /// densegym-reward`` and
``# ///``, and defines one of

- ``compute_reward(feature, ...) -> (total, {term: value})``: every array has the batch axis N
  first; the terms sum to the total;
- ``potential(feature, ...) -> values``: (N,), paid as shaping γΦ(s') − Φ(s).

The parameter names are features of the task card, ``prev_<feature>`` before the step, or
``terminated``. Programs are pure: no randomness, no state, inputs left as they are.
"""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.base import BasePotential, BaseRewardModel
from densegym.reward_models.batch import all_true
from densegym.reward_models.features import as_steps, blank_steps, reader
from densegym.reward_models.types import Bool, Float, Scores, Starts, Steps, TaskCard

_OPEN, _CLOSE = "# /// densegym-reward", "# ///"
_F8 = np.dtype(np.float64)
_REQUIRED = ("name", "version", "task", "author", "date", "summary")
_OPTIONAL = ("stops_at_success", "notes")


@dataclass(frozen=True, slots=True)
class Header:
    """The provenance of a program.

    Attributes:
        name: full reward name with version, e.g. ``"authored/button-press-v1"``.
        task: the env id it was written for.
        author: who or what wrote it.
        date: ISO date it was written.
        summary: one line for listings.
        stops_at_success: whether training episodes should end at the first success, or None.
        notes: what else a reader should know.
    """

    name: str
    task: str
    author: str
    date: str
    summary: str
    stops_at_success: bool | None = None
    notes: str = ""
    source: str = field(default="", repr=False)


def read_header(source: str, where: str) -> Header:
    """Read the provenance header of a program.

    Args:
        source: the program's text.
        where: its path or name, for errors.

    Raises:
        RewardError: the block is missing, is no TOML, or lacks or adds an entry.
    """
    lines = source.splitlines()
    if not lines or lines[0].strip() != _OPEN or _CLOSE not in lines[1:]:
        raise RewardError(f'{where} must start with a block "{_OPEN}" ... "{_CLOSE}"')
    block = lines[1 : lines.index(_CLOSE, 1)]
    try:
        entries = tomllib.loads("\n".join(line.removeprefix("#").strip() for line in block))
    except tomllib.TOMLDecodeError as error:
        raise RewardError(f"the header of {where} is not TOML: {error}") from error
    missing = [key for key in _REQUIRED if key not in entries]
    foreign = [key for key in entries if key not in (*_REQUIRED, *_OPTIONAL)]
    if missing or foreign:
        raise RewardError(f"the header of {where} lacks {missing} and must not have {foreign}")
    return Header(
        name=f"authored/{entries['name']}-v{int(entries['version'])}",
        task=entries["task"],
        author=entries["author"],
        date=str(entries["date"]),
        summary=entries["summary"],
        stops_at_success=entries.get("stops_at_success"),
        notes=entries.get("notes", ""),
        source=source,
    )


@dataclass(frozen=True, slots=True)
class _Function:
    kind: Literal["compute_reward", "potential"]
    call: Callable[..., Any]
    parameters: tuple[str, ...]


def _load(header: Header) -> _Function:
    namespace: dict[str, Any] = {}
    exec(compile(header.source, f"<{header.name}>", "exec"), namespace)
    found = [kind for kind in ("compute_reward", "potential") if kind in namespace]
    if len(found) != 1:
        raise RewardError(f"{header.name} must define either compute_reward or potential")
    call = namespace[found[0]]
    kind: Literal["compute_reward", "potential"] = (
        "potential" if found[0] == "potential" else "compute_reward"
    )
    return _Function(kind, call, tuple(inspect.signature(call).parameters))


class ProgramReward(BaseRewardModel):
    """Pays what a program's ``compute_reward`` returns."""

    def __init__(self, header: Header, function: _Function, task: TaskCard) -> None:
        self.name = header.name
        self.header = header
        self.stops_at_success = header.stops_at_success
        self._call = function.call
        self._readers = [reader(task, name) for name in function.parameters]
        trial = self.score(blank_steps(task, rows=2))
        self.terms = tuple(trial.parts)

    def score(self, steps: Steps) -> Scores:
        """Return the program's total and terms.

        Raises:
            RewardError: the program failed, or its result is not (total, {term: value}).
        """
        result = _run(self.name, self._call, [read(steps) for read in self._readers])
        rows = len(steps.slot)
        if type(result) is tuple and len(result) == 2 and isinstance(result[1], dict):
            total, parts = result
            columns = (total, *parts.values())
            if all(
                type(c) is np.ndarray and c.dtype == _F8 and c.shape == (rows,) for c in columns
            ):
                return Scores(total, all_true(rows), parts)
            total = _column(self.name, "total", total, rows)
            checked = {term: _column(self.name, term, part, rows) for term, part in parts.items()}
            return Scores(total, all_true(rows), checked)
        raise RewardError(
            f"{self.name}: compute_reward must return (total, {{term: value}}); "
            f"it returned {type(result).__name__}"
        )


class ProgramPotential(BasePotential):
    """Values states with a program's ``potential``; pays through ``compose.Shaped``."""

    def __init__(self, header: Header, function: _Function, task: TaskCard) -> None:
        self.name = header.name
        self.header = header
        self.stops_at_success = header.stops_at_success
        self._call = function.call
        self._task = task
        self._readers = [reader(task, name) for name in function.parameters]
        self.after(blank_steps(task, rows=2))

    def initial(self, starts: Starts) -> tuple[Float, Bool]:
        """Return Φ of the first states; ``prev_`` features equal the current ones there."""
        return self.after(as_steps(starts, self._task))

    def after(self, steps: Steps) -> tuple[Float, Bool]:
        """Return Φ of the successors."""
        rows = len(steps.slot)
        result = _run(self.name, self._call, [read(steps) for read in self._readers])
        return _column(self.name, "potential", result, rows), all_true(rows)


def build_program(header: Header, task: TaskCard) -> ProgramReward | ProgramPotential:
    """Load a vetted program for a task whose card has the features it reads.

    Programs run in this process with full rights, so only reviewed ones may come here.

    Raises:
        UnknownNameError: the program reads a feature the card lacks.
        RewardError: the program is malformed or fails on a batch of zeros.
    """
    function = _load(header)
    if function.kind == "potential":
        return ProgramPotential(header, function, task)
    return ProgramReward(header, function, task)


def _run(name: str, call: Callable[..., Any], arguments: list[Any]) -> Any:
    try:
        return call(*arguments)
    except Exception as error:
        line = error.__traceback__
        while line is not None and line.tb_next is not None:
            line = line.tb_next
        number = line.tb_lineno if line is not None else 0
        raise RewardError(
            f"{name} failed at line {number}: {type(error).__name__}: {error}"
        ) from error


def _column(name: str, term: str, values: Any, rows: int) -> Float:
    if type(values) is np.ndarray and values.dtype == _F8 and values.shape == (rows,):
        return values
    column = np.asarray(values, dtype=np.float64)
    if column.shape != (rows,):
        raise RewardError(
            f"{name}: {term} has shape {column.shape} for a batch of {rows} rows; expected "
            f"({rows},). Reduce vectors with axis=1, and keep one number per row."
        )
    return column
