"""Runs that are stopped and killed at random points, against the same runs left alone."""

from __future__ import annotations

import json
import shutil
import signal
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from densegym.agents.studies.resume.legs import ENDING, STOPPED, TRACE, Leg, carry_out, trace
from densegym.agents.studies.resume.matrix import Cell, cells
from densegym.agents.studies.study import Bar, Monitor, Request, Result
from densegym.agents.training.processes import one_thread, worker_context

if TYPE_CHECKING:
    from rich.console import RenderableType

COMPARED = ("eval", "placements", "credits", "weights", "buffers", "reward", "generators", "final")
_CLOCKS = ("wall_s", "cpu_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How a run that was stopped and killed differs from the same run left alone.

    Attributes:
        cell: what was run.
        stops: the step and the signal of every stop.
        differs: what is not equal bit for bit, out of ``COMPARED``.
        error: why it could not be compared; empty if it could.
    """

    cell: Cell
    stops: Sequence[tuple[int, str]]
    differs: tuple[str, ...] = ()
    error: str = ""

    @property
    def equal(self) -> bool:
        """Whether everything is."""
        return not self.differs and not self.error

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        cell = self.cell
        return {
            "env": cell.env,
            "algo": cell.algo,
            "reward": cell.reward,
            "settings": list(cell.settings),
            "stops": [list(stop) for stop in self.stops],
            "differs": list(self.differs),
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class Resumed(Result):
    """Every run of the matrix.

    Attributes:
        runs: a comparison each.
    """

    runs: Sequence[Compared] = field(default_factory=tuple)

    def as_json(self) -> dict[str, Any]:
        """Return the count of equal runs, and every run."""
        equal = sum(run.equal for run in self.runs)
        return {
            "runs": len(self.runs),
            "equal": equal,
            "different": len(self.runs) - equal,
            "compared": list(COMPARED),
            "matrix": [run.as_json() for run in self.runs],
        }

    def report(self) -> list[RenderableType]:
        """Return the equal runs by learner and world, and a line for every other run."""
        table = Table(title="interrupted and uninterrupted runs that are equal, of all")
        envs = list(dict.fromkeys(run.cell.env for run in self.runs))
        table.add_column("learner")
        for env in envs:
            table.add_column(env.removeprefix("DenseGym/").removesuffix("-v0"), justify="right")
        for algo in dict.fromkeys(run.cell.algo for run in self.runs):
            table.add_row(algo, *(self._share(algo, env) for env in envs))
        others = [run for run in self.runs if not run.equal]
        return [table, *(f"{run.cell.title}: {_complaint(run)}" for run in others)]

    def bars(self) -> list[Bar]:
        """Hold all runs to be equal."""
        equal = sum(run.equal for run in self.runs)
        return [Bar(f"equal bit for bit {equal} of {len(self.runs)}", equal == len(self.runs))]

    def _share(self, algo: str, env: str) -> str:
        those = [run for run in self.runs if (run.cell.algo, run.cell.env) == (algo, env)]
        return f"{sum(run.equal for run in those)}/{len(those)}" if those else ""


def run(request: Request, monitor: Monitor) -> Resumed:
    """Carry out the study ``resume``; its folder holds what differed, and is emptied first."""
    jobs = [(cell, seed) for seed in request.seeds for cell in cells(request.envs)]
    tick = monitor.counter("stopping and resuming", len(jobs))
    shutil.rmtree(request.out, ignore_errors=True)

    def one(number: int) -> Compared:
        cell, seed = jobs[number]
        folder = request.out / f"run-{number}"
        found = compare(cell, folder, seed=seed, steps=request.steps)
        if found.equal:
            shutil.rmtree(folder)
        else:
            monitor.line(f"{cell.title}: {_complaint(found)} (see {folder})")
        tick()
        return found

    with ThreadPoolExecutor(request.workers) as pool:
        return Resumed(list(pool.map(one, range(len(jobs)))))


def compare(cell: Cell, folder: Path, *, seed: int, steps: int) -> Compared:
    """Carry out a run twice, once stopped by SIGINT or SIGTERM and then killed, and compare.

    Args:
        cell: what to run.
        folder: for both.
        seed: of the run and of the points where it is stopped.
        steps: of the run.
    """
    draws = np.random.default_rng([seed, zlib.crc32(cell.title.encode())])
    first, second = sorted(draws.choice(np.arange(2, steps, 2), 2, replace=False).tolist())
    asked = signal.Signals(int(draws.choice([signal.SIGINT, signal.SIGTERM])))
    stops = [(first, asked), (second, signal.SIGKILL)]
    told = [(step, by.name) for step, by in stops]
    config = cell.config(seed, steps).as_dict()
    alone, resumed = folder / "alone" / "run", folder / "resumed" / "run"
    try:
        _run_leg(Leg(config=config, folder=str(alone)), 0)
        for step, by in stops:
            leg = Leg(config=config, folder=str(resumed), stop_at=step, by=by)
            _run_leg(leg, STOPPED if by != signal.SIGKILL else -signal.SIGKILL)
        _run_leg(Leg(config=config, folder=str(resumed)), 0)
    except _LegFailed as error:
        return Compared(cell=cell, stops=told, error=str(error))
    return Compared(cell=cell, stops=told, differs=_differences(alone, resumed))


class _LegFailed(Exception):
    """A process ended otherwise than it should have."""


def _run_leg(leg: Leg, wanted: int) -> None:
    process = worker_context("densegym.agents.studies.resume.legs").Process(
        target=carry_out, args=(leg.as_dict(),)
    )
    with one_thread():
        process.start()
    process.join()
    if process.exitcode != wanted:
        lines = (Path(leg.folder).parent / "log.txt").read_text(encoding="utf-8").splitlines()
        last = lines[-1] if lines else "no output"
        raise _LegFailed(f"exit code {process.exitcode} instead of {wanted}: {last}")


def _differences(alone: Path, resumed: Path) -> tuple[str, ...]:
    one, other = _seen(alone), _seen(resumed)
    return tuple(what for what in COMPARED if one[what] != other[what])


def _seen(folder: Path) -> dict[str, Any]:
    """Return what is compared of a finished run, by name."""
    points, torn = trace(folder.parent / TRACE)
    lines = (folder / "eval.jsonl").read_text(encoding="utf-8").splitlines()
    ending = _read(folder / ENDING)
    return {
        "eval": [_without_clocks(json.loads(line)) for line in lines],
        "placements": _about(points, torn, "placement"),
        "credits": _about(points, torn, "credit"),
        "final": _read(folder / "final.json"),
        **ending,
    }


def _about(points: Mapping[str, str], torn: Sequence[str], what: str) -> Any:
    kept = {at: seen for at, seen in points.items() if at.startswith(what)}
    return kept, [at for at in torn if at.startswith(what)]


def _without_clocks(line: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in _CLOCKS}


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _complaint(run: Compared) -> str:
    stops = ", ".join(f"{by} at {step}" for step, by in run.stops)
    what = run.error or f"different: {', '.join(run.differs)}"
    return f"{what}; {stops}"
