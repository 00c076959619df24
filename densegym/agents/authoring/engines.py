"""Who carries out the jobs of a search: a pool of processes here, or Ray on many machines."""

from __future__ import annotations

import dataclasses
import functools
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from densegym.agents.authoring.candidates import carry_out, failed, finished
from densegym.agents.authoring.crew import Carry, Crew
from densegym.agents.authoring.watch import Limits, cause, guarded, stalled
from densegym.errors import DenseGymError, require, unknown
from densegym.reward_models.authored.search.evaluation import Job, Outcome

ENGINES = ("process", "ray")
_ATTEMPTS = 2  # a worker that dies twice on a job is the job's fault


def check_engine(name: str, workers: int) -> None:
    """Refuse an engine that nobody knows, or none to work.

    Raises:
        UnknownNameError: no such engine; names the closest.
        DenseGymError: fewer than one worker.
        MissingExtraError: Ray is not installed.
    """
    if name not in ENGINES:
        raise unknown("engine", name, ENGINES)
    if workers < 1:
        raise DenseGymError(f"workers is at least 1; given {workers}")
    if name == "ray":
        require("ray", extra="ray")


class _Pool(Protocol):
    """Carries out plain jobs side by side."""

    def run(self, jobs: Sequence[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (index, outcome) as jobs end."""

    def workers(self) -> list[int]:
        """Return the process ids of workers on this machine that are known."""

    def close(self) -> None:
        """Stop the workers."""


class PooledEvaluator:
    """Implements ``evaluation.Evaluator`` on a pool.

    Args:
        root: below which every run has its folder.
        engine: ``"process"`` or ``"ray"``.
        workers: jobs side by side.
        address: of a Ray cluster; None starts one here.
        stall_s: seconds without a step after which a job's process is ended; None is ten minutes.
        memory_bytes: what a job may ask for; None is this machine's memory over the workers.
        carry: carries out a job; ``candidates.carry_out``, but for tests.

    Raises:
        UnknownNameError: no such engine.
        MissingExtraError: Ray is not installed.
    """

    def __init__(
        self,
        root: Path,
        *,
        engine: str = "process",
        workers: int = 2,
        address: str | None = None,
        stall_s: float | None = None,
        memory_bytes: int | None = None,
        carry: Callable[..., dict[str, Any]] = carry_out,
    ) -> None:
        check_engine(engine, workers)
        self._root = root
        limits = Limits.shared(workers, stall_s=stall_s)
        if memory_bytes is not None:
            limits = limits._replace(memory_bytes=memory_bytes)
        job = functools.partial(attend, limits=limits, carry=carry)
        self._pool: _Pool = (
            _Ray(workers, job, limits, address)
            if engine == "ray"
            else _Processes(workers, job, limits)
        )

    def __enter__(self) -> PooledEvaluator:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def workers(self) -> list[int]:
        """Return the process ids of workers on this machine that are known."""
        return self._pool.workers()

    def evaluate(
        self, jobs: Sequence[Job], on_done: Callable[[Job, Outcome], None]
    ) -> list[Outcome]:
        """Carry out jobs side by side and return their outcomes in order."""
        placed = [
            dataclasses.replace(job, folder=str(self._root / job.candidate / f"seed-{job.seed}"))
            for job in jobs
        ]
        outcomes = {index: done for index, job in enumerate(placed) if (done := finished(job))}
        for index, outcome in outcomes.items():
            on_done(placed[index], outcome)
        waiting = [index for index in range(len(placed)) if index not in outcomes]
        for position, plain in self._pool.run([placed[index].as_dict() for index in waiting]):
            index = waiting[position]
            outcomes[index] = Outcome(**plain)
            on_done(placed[index], outcomes[index])
        return [outcomes[index] for index in range(len(placed))]


class _Processes:
    """A crew of clean processes with the heavy imports done; one that dies is replaced."""

    def __init__(self, workers: int, attend: Carry, limits: Limits) -> None:
        self._limits = limits
        self._crew = Crew(
            workers, attend, preload="densegym.agents.authoring.candidates", died=self._died
        )

    def run(self, jobs: Sequence[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
        yield from self._crew.run(jobs)

    def workers(self) -> list[int]:
        return self._crew.workers()

    def close(self) -> None:
        self._crew.close()

    def _died(self, job: dict[str, Any], code: int, deaths: int) -> dict[str, Any] | None:
        folder = Path(job["folder"])
        if deaths < _ATTEMPTS and not stalled(folder):
            return None
        return _ended(folder, code, self._limits)


class _Ray:
    """Ray tasks: its scheduler, its retries. Checkpoints need a folder all machines see."""

    def __init__(self, workers: int, attend: Carry, limits: Limits, address: str | None) -> None:
        self._ray: Any = require("ray", extra="ray")
        if not self._ray.is_initialized():
            try:
                self._ray.init(
                    address=address,
                    num_cpus=None if address else workers,
                    include_dashboard=False,
                    log_to_driver=False,
                )
            except ConnectionError as error:
                raise DenseGymError(
                    f"no Ray cluster answers at {address}: {error}. Start one with `ray start "
                    "--head`, or leave --address out to use this machine."
                ) from error
        self._limits = limits
        self._task = self._ray.remote(num_cpus=1, max_retries=_ATTEMPTS - 1)(attend)

    def run(self, jobs: Sequence[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
        waiting = {self._task.remote(job): index for index, job in enumerate(jobs)}
        while waiting:
            (reference,), _ = self._ray.wait(list(waiting), num_returns=1)
            index = waiting.pop(reference)
            try:
                outcome = self._ray.get(reference)
            except self._ray.exceptions.OutOfMemoryError:
                outcome = _ended(Path(jobs[index]["folder"]), -signal.SIGKILL, self._limits)
            except self._ray.exceptions.WorkerCrashedError:
                outcome = _ended(Path(jobs[index]["folder"]), 1, self._limits)
            yield index, outcome

    def workers(self) -> list[int]:
        return []

    def close(self) -> None:
        self._ray.shutdown()


def attend(
    job: dict[str, Any], *, limits: Limits, carry: Callable[..., dict[str, Any]] = carry_out
) -> dict[str, Any]:
    """Carry out a job under guard; what a hang was the cause of is not tried again.

    Args:
        job: ``evaluation.Job.as_dict()`` with its folder.
        limits: what it may take.
        carry: carries it out; takes the job and ``beat``.
    """
    folder = Path(job["folder"])
    if stalled(folder):
        return _ended(folder, 1, limits)
    with guarded(folder, limits) as beat:
        try:
            return carry(job, beat=beat)
        except (OSError, ImportError):  # a full disk is no candidate's fault
            raise
        except Exception as error:
            return Outcome(**failed(error)).as_dict()


def _ended(folder: Path, code: int, limits: Limits) -> dict[str, Any]:
    status, feedback = cause(folder, code, limits)
    return Outcome(status=str(status), feedback=feedback).as_dict()
