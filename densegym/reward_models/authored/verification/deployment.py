"""Tries a program as it will run: batches of every size, whole episodes, rare values, the clock.

A row's reward may depend on that row and on its own lane's memory alone. So the same rows are
scored in batches of other sizes, in other orders and beside other rows, and must be paid alike.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from densegym.reward_models.authored.programs.runner import VETTED, Scored
from densegym.reward_models.authored.verification.behaviour import (
    Fault,
    difference,
    explodes,
    rows_of,
)
from densegym.reward_models.authored.verification.trial import Trial
from densegym.reward_models.sandbox.process import SandboxError
from densegym.reward_models.sandbox.status import Status
from densegym.reward_models.types import Float

LANES = (1, 2, 3, 4, 7, 8, 16, 64, 512, VETTED)
"""Batch sizes that every program is tried at; the last is what one passes for."""
EPISODE = 500  # steps of an episode where nobody says how long one is
SLOW_MS = 10.0  # longest step of few lanes, in processor time
SLOWEST_MS = 100.0  # longest step at the most lanes; in between its share
_TAPES = 16
_STEPS, _ROWS = 64, 512  # of the courses on independent rows: at most, and about
_RARE = 256
_COMMON = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 10.0, -10.0, 1e-9, 1e-3, 1e2, -1e2, 1e4, 1e6, -1e6, 1e9)
_HUGE = 1e4  # rows beyond stand beside others, and are compared loosely: they lose digits
_LOOSE = 1e-4


class Courses(Protocol):
    """Scores several batches one after the other; ``runner.WorkerRunner`` does."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The features it reads."""

    @property
    def memory(self) -> int:
        """M, or 0."""

    @property
    def cpu_s(self) -> float:
        """Processor seconds that it has used."""

    def course(
        self, features: Mapping[str, Any], memory: Float | None = None, *, steps: int
    ) -> Scored:
        """Score ``steps`` batches of equal size."""


class Pool(NamedTuple):
    """Rows to draw batches from.

    Attributes:
        features: (R, *shape) by name.
        memory: (R, M) that each row starts from, or None.
        huge: (R,) rows with a feature beyond 1e4.
    """

    features: Mapping[str, Any]
    memory: Float | None
    huge: Any


def try_lanes(
    runner: Courses, trial: Trial, memory: Float | None, source: str
) -> tuple[Fault | None, dict[str, float]]:
    """Return how a row's value depends on its batch, or that steps are slow; and ms per step.

    Args:
        runner: of the program.
        trial: rows that it was judged on.
        memory: (rows, M) that each of them starts from, or None.
        source: the program, whose numbers are tried as values.
    """
    rng = np.random.default_rng(1)
    pool = _pool(trial, memory, source, rng)
    base = runner.course(pool.features, pool.memory, steps=1)
    clocks: dict[str, float] = {}
    for lanes in LANES:
        steps = int(np.clip(_ROWS // lanes, 1, _STEPS))
        rows = rng.permutation(np.resize(rng.permutation(len(pool.huge)), steps * lanes))
        try:
            # Independent rows: each step starts from memories of its own.
            fault, spent = _try_batches(runner, pool, base, rows, steps)
        except SandboxError as error:
            return Fault(error.status, f"on a batch of {_rows(lanes)}: {error.feedback}"), clocks
        if fault is not None:
            return fault, clocks
        clocks[str(lanes)] = spent
        limit = max(SLOW_MS, SLOWEST_MS * lanes / LANES[-1])
        if spent > limit:
            told = f"a step of {lanes} rows takes {spent:.0f} ms, at most {limit:.0f} are"
            return Fault(Status.TIMEOUT, f"{told} allowed; do less, or use array operations"), {}
    return None, clocks


def try_episode(runner: Courses, trial: Trial, steps: int) -> Fault | None:
    """Return how a program with memory fails over an episode, or pays by who shares it.

    The same lanes are played alone, in other orders, and beside lanes that began earlier.

    Args:
        runner: of the program.
        trial: rows that lanes walk through.
        steps: of an episode.
    """
    rng = np.random.default_rng(2)
    first = rng.integers(trial.judged, size=_TAPES)
    walks = (first + np.arange(steps)[:, None]) % trial.judged  # (steps, tapes)
    base = _played(runner, trial, walks, None)
    assert base.memory is not None
    if explodes(base.memory[-_TAPES:] if not trial.real else base.memory, trial.real):
        return Fault(Status.UNSTABLE, "the memory leaves its bounds within a long episode; clip it")
    for lanes in (1, 3, 7):
        chosen = rng.permutation(_TAPES)[:lanes]
        told = difference(_taken(base, walks, chosen), _played(runner, trial, walks[:, chosen]))
        if told:
            return _coupled(f"in an episode of {_rows(lanes)} and in one of {_TAPES}", told)
    begun = rng.integers(1, max(steps // 2, 2), size=_TAPES)
    begun[::4] = 0
    rest = np.arange(steps - begun.max())[:, None]
    kept = np.where((begun > 0)[:, None], _at(base.memory, begun - 1, np.arange(_TAPES)), 0.0)
    late = _played(runner, trial, walks[rest + begun, np.arange(_TAPES)], kept)
    places = ((rest + begun) * _TAPES + np.arange(_TAPES)).ravel()
    told = difference(rows_of(base, places), late)
    return _coupled("beside lanes that began earlier", told) if told else None


def _played(runner: Courses, trial: Trial, walks: Any, memory: Float | None = None) -> Scored:
    taken = {name: trial.features[name][walks.ravel()] for name in runner.parameters}
    return runner.course(taken, memory, steps=len(walks))


def _taken(base: Scored, walks: Any, chosen: Any) -> Scored:
    places = np.arange(len(walks))[:, None] * _TAPES + chosen
    return rows_of(base, places.ravel())


def _at(memory: Float, steps: Any, lanes: Any) -> Float:
    taken: Float = memory[steps * _TAPES + lanes]
    return taken


def _try_batches(
    runner: Courses, pool: Pool, base: Scored, rows: Any, steps: int
) -> tuple[Fault | None, float]:
    """Score rows in batches; return who is paid otherwise than in ``base``, and ms per step."""
    lanes = len(rows) // steps
    features = {name: values[rows] for name, values in pool.features.items()}
    started = runner.cpu_s
    if pool.memory is None:
        scored = runner.course(features, steps=steps)
    else:
        parts = [
            runner.course({n: v[span] for n, v in features.items()}, pool.memory[rows[span]],
                          steps=1)
            for span in (slice(i, i + lanes) for i in range(0, min(len(rows), 16 * lanes), lanes))
        ]  # fmt: skip
        scored, steps = _joined(parts), len(parts)
        rows = rows[: steps * lanes]
    spent = (runner.cpu_s - started) * 1e3 / steps
    expected, huge = rows_of(base, rows), pool.huge[rows]
    near, far = np.flatnonzero(~huge), np.flatnonzero(huge)
    told = difference(rows_of(expected, near), rows_of(scored, near)) or difference(
        rows_of(expected, far), rows_of(scored, far), rtol=_LOOSE, atol=_LOOSE * _HUGE
    )
    return (_coupled(f"in a batch of {_rows(lanes)} and in a larger one", told) if told else None,
            spent)  # fmt: skip


def _joined(parts: list[Scored]) -> Scored:
    memories = [part.memory for part in parts if part.memory is not None]
    terms = {term: np.concatenate([part.parts[term] for part in parts]) for term in parts[0].parts}
    return Scored(
        np.concatenate([part.total for part in parts]),
        terms,
        np.concatenate(memories) if memories else None,
    )


def _pool(trial: Trial, memory: Float | None, source: str, rng: np.random.Generator) -> Pool:
    """Return the trial's rows, and copies of some with rare values in one or all features."""
    values = np.array([*_COMMON, *_numbers(source)])
    picked = rng.integers(trial.judged, size=_RARE)
    chosen = rng.integers(len(trial.features), size=_RARE)
    everywhere = rng.random(_RARE) < 0.5
    features = {}
    for i, (name, column) in enumerate(trial.features.items()):
        rare = column[picked].copy()
        if rare.dtype != np.bool_:
            hit = everywhere | (chosen == i)
            rare[hit] = rng.choice(values, rare[hit].shape)
        features[name] = np.concatenate([column, rare])
    with np.errstate(invalid="ignore"):
        huge = np.zeros(len(trial) + _RARE, dtype=np.bool_)
        for column in features.values():
            huge |= (np.abs(column.reshape(len(column), -1)) > _HUGE).any(axis=1)
    kept = None if memory is None else np.concatenate([memory, memory[picked]])
    return Pool(features, kept, huge)


def _numbers(source: str) -> list[float]:
    """Return the numbers written in a program, and what lies just beside them."""
    found = {
        float(node.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float)
    }
    return [value + gap for value in sorted(found)[:64] for gap in (0.0, 1e-6, -1e-6, 1.0)]


def _coupled(where: str, told: str) -> Fault:
    return Fault(
        Status.BAD_SHAPE,
        f"equal rows differ in {told} {where}. A row's value must not depend on the others: "
        "reduce vectors with axis=1, never over the batch axis",
    )


def _rows(lanes: int) -> str:
    return "one row" if lanes == 1 else f"{lanes} rows"
