"""Runs reward programs in this process or in a worker, on batches and on trajectory banks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.sandbox.inspection import Inspection
from densegym.reward_models.sandbox.namespace import author_line, load_entry
from densegym.reward_models.sandbox.process import Worker
from densegym.reward_models.sandbox.results import BadShapeError, Result, check_result
from densegym.reward_models.sandbox.status import Status
from densegym.reward_models.types import Bool, Float

VETTED = 4096  # rows of the largest batch that a program is tried on before it runs here
LIMIT = 1e4  # of a reward or potential; beyond it is clipped and counted
_F8 = np.dtype(np.float64)


class Scored(NamedTuple):
    """What a program says of N rows.

    Attributes:
        total: (N,) float64; zeros for ``factors``.
        parts: named terms or factors, each (N,) float64; the potential itself for a potential.
        memory: (N, M) float64 to hand to the next step, or None.
    """

    total: Float
    parts: Mapping[str, Float]
    memory: Float | None = None


class Runner(Protocol):
    """Scores batches with one program; inputs stay as they are."""

    @property
    def kind(self) -> str:
        """``compute_reward``, ``potential`` or ``factors``."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The features it reads."""

    @property
    def memory(self) -> int:
        """M, or 0 for a program without memory."""

    @property
    def isolation(self) -> str:
        """``ast``, ``ast+process`` or ``ast+process+ns``."""

    def __call__(self, features: Mapping[str, Any], memory: Float | None = None) -> Scored:
        """Score N rows; ``memory`` (N, M) defaults to zeros where the program keeps some.

        Raises:
            SandboxError: the program failed in its worker.
            RewardError: it failed in this process.
        """


class LocalRunner:
    """Runs an inspected program in this process: at full speed, with the allow-list alone.

    Args:
        inspection: a passing inspection.
        name: of the program, for errors.
    """

    isolation = "ast"

    def __init__(self, inspection: Inspection, name: str = "the program") -> None:
        self.name = name
        self.kind, self.memory = inspection.kind, inspection.memory
        self.parameters = tuple(item for item in inspection.parameters if item != "memory")
        self._inspection = inspection
        self._pays = inspection.kind == "compute_reward" and not inspection.memory
        self._call = load_entry(inspection)

    def __call__(self, features: Mapping[str, Any], memory: Float | None = None) -> Scored:
        """Score copies of N rows."""
        arguments = [np.array(features[name]) for name in self.parameters]
        kept = None if memory is None else memory.copy()
        return self.run(arguments, len(arguments[0]), kept)

    def run(self, arguments: list[Any], rows: int, memory: Float | None = None) -> Scored:
        """Score N rows given in the order of ``parameters``; the program may write into them.

        Raises:
            RewardError: the program failed, or its result does not follow the contract.
        """
        if self.memory:
            kept = np.zeros((rows, self.memory)) if memory is None else memory
            arguments.insert(self._inspection.parameters.index("memory"), kept)
        try:
            with np.errstate(all="ignore"):  # what is not finite is counted where it is paid
                returned = self._call(*arguments)
        except Exception as error:
            raise RewardError(
                f"{self.name} failed at line {author_line(error)}: {type(error).__name__}: {error}"
            ) from error
        if self._pays and _is_plain(returned, rows):
            return Scored(returned[0], returned[1])
        try:
            return self._scored(check_result(returned, self._inspection, rows), rows)
        except BadShapeError as error:
            raise RewardError(f"{self.name}: {error}") from error

    def _scored(self, result: Result, rows: int) -> Scored:
        columns = list(result.columns)
        memory = columns.pop() if self.memory else None
        total = np.zeros(rows) if self.kind == "factors" else columns.pop(0)
        parts = dict(zip(result.terms, columns, strict=True))
        return Scored(total, {"potential": total} if self.kind == "potential" else parts, memory)


class WorkerRunner:
    """Runs an inspected program in a worker process, which it loads the program into.

    Args:
        inspection: a passing inspection.
        worker: a started worker, left running.
    """

    def __init__(self, inspection: Inspection, worker: Worker) -> None:
        self.kind, self.memory = inspection.kind, inspection.memory
        self.parameters = tuple(item for item in inspection.parameters if item != "memory")
        self._worker = worker
        worker.load(inspection)

    @property
    def isolation(self) -> str:
        """The level the worker reached."""
        return self._worker.isolation

    @property
    def cpu_s(self) -> float:
        """Processor seconds that the worker has used."""
        return self._worker.cpu_s

    def __call__(self, features: Mapping[str, Any], memory: Float | None = None) -> Scored:
        """Score N rows."""
        return self.course(features, memory, steps=1)

    def run(self, arguments: list[Any], rows: int, memory: Float | None = None) -> Scored:
        """Score N rows given in the order of ``parameters``."""
        return self(dict(zip(self.parameters, arguments, strict=True)), memory)

    def course(
        self, features: Mapping[str, Any], memory: Float | None = None, *, steps: int
    ) -> Scored:
        """Score ``steps`` batches in one exchange; ``Worker.call`` says how they lie."""
        read = {name: features[name] for name in self.parameters}
        outcome = self._worker.call(read, memory, steps=steps)
        parts = {"potential": outcome.total} if self.kind == "potential" else outcome.parts
        return Scored(outcome.total, parts, outcome.memory)


class VettedRunner:
    """Runs a verified program in this process up to ``VETTED`` rows, in a worker beyond.

    Args:
        inspection: of a program that passed ``verify``.
        name: of the program, for errors.
        isolated: run every batch in a worker, which takes some 0.4 ms a step more.
    """

    def __init__(self, inspection: Inspection, name: str, *, isolated: bool = False) -> None:
        self._inspection, self._isolated = inspection, isolated
        self._here = LocalRunner(inspection, name)
        self._there: WorkerRunner | None = None
        self.kind, self.memory = self._here.kind, self._here.memory
        self.parameters = self._here.parameters

    @property
    def isolation(self) -> str:
        """The level that the last batch ran at."""
        return self._here.isolation if self._there is None else self._there.isolation

    def __call__(self, features: Mapping[str, Any], memory: Float | None = None) -> Scored:
        """Score N rows."""
        arguments = [np.array(features[name]) for name in self.parameters]
        return self.run(arguments, len(arguments[0]), memory)

    def run(self, arguments: list[Any], rows: int, memory: Float | None = None) -> Scored:
        """Score N rows given in the order of ``parameters``.

        Raises:
            RewardError: the program failed in this process.
            SandboxError: it failed in its worker.
        """
        if not self._isolated and rows <= VETTED:
            return self._here.run(arguments, rows, memory)
        if self._there is None:
            self._there = WorkerRunner(self._inspection, Worker())
        return self._there.run(arguments, rows, memory)


@contextmanager
def open_runner(
    inspection: Inspection, *, isolated: bool = True, worker: Worker | None = None
) -> Iterator[Runner]:
    """Lend a runner of one program.

    Args:
        inspection: of the program.
        isolated: whether it runs in a worker process.
        worker: the worker to use and leave running; None starts one and stops it afterwards.

    Raises:
        RewardError: the inspection did not pass.
        SandboxError: the worker could not load the program.
    """
    if inspection.status is not Status.OK:
        raise RewardError(f"the program was refused ({inspection.status}): {inspection.feedback}")
    if not isolated:
        yield LocalRunner(inspection)
    elif worker is not None:
        yield WorkerRunner(inspection, worker)
    else:
        with Worker() as hired:
            yield WorkerRunner(inspection, hired)


class Settled(NamedTuple):
    """What is paid of what a program said.

    Attributes:
        total: (N,) float64, finite and within ``LIMIT``; 0 on invalid rows.
        valid: (N,) bool, where the program's total was finite.
        parts: the terms, 0 on invalid rows.
        clipped: how many totals were beyond ``LIMIT``.
    """

    total: Float
    valid: Bool
    parts: Mapping[str, Float]
    clipped: int


def settle(scored: Scored) -> Settled:
    """Bound a program's totals, and pay nothing where they are not finite."""
    valid = np.isfinite(scored.total)
    total = np.where(valid, scored.total, 0.0)
    parts = {term: np.where(valid, part, 0.0) for term, part in scored.parts.items()}
    clipped = int(np.count_nonzero(np.abs(total) > LIMIT))
    return Settled(np.clip(total, -LIMIT, LIMIT), valid, parts, clipped)


def unroll(runner: Runner, features: Mapping[str, Any], lengths: Sequence[int]) -> Scored:
    """Score episodes that lie one after the other, with memory zero at the start of each.

    Args:
        runner: of any kind.
        features: (sum of lengths, *shape) each.
        lengths: steps of every episode.

    Returns:
        One score for all rows; ``memory`` (rows, M) is what the program kept after each.
    """
    if not runner.memory:
        return runner(features)
    rows, steps = sum(lengths), np.array(lengths, dtype=np.int64)
    starts = np.cumsum(steps) - steps
    total, parts = np.zeros(rows), dict[str, Float]()
    memory, lanes = np.zeros((rows, runner.memory)), np.zeros((len(steps), runner.memory))
    for t in range(int(steps.max(initial=0))):
        alive = np.flatnonzero(steps > t)
        now = starts[alive] + t
        said = runner({name: features[name][now] for name in runner.parameters}, lanes[alive])
        total[now] = said.total
        memory[now] = lanes[alive] = said.memory
        for term, part in said.parts.items():
            parts.setdefault(term, np.zeros(rows))[now] = part
    return Scored(total, parts, memory)


def _is_plain(returned: Any, rows: int) -> bool:
    """Return whether a result needs no conversion: the check that nearly all steps get."""
    if type(returned) is not tuple or len(returned) != 2 or type(returned[1]) is not dict:
        return False
    shape = (rows,)
    for column in (returned[0], *returned[1].values()):
        if type(column) is not np.ndarray or column.dtype is not _F8 or column.shape != shape:
            return False
    return True
