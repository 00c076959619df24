"""Who carries out the jobs of a search: a pool of processes here, or Ray on many machines."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Protocol

from densegym.agents.authoring.candidates import carry_out, finished
from densegym.agents.training.processes import (
    end_with_parent,
    one_thread,
    stop_workers,
    worker_context,
    worker_ids,
)
from densegym.errors import DenseGymError, require, unknown
from densegym.reward_models.authored.search.evaluation import Job, Outcome
from densegym.reward_models.sandbox.status import Status

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

    Raises:
        UnknownNameError: no such engine.
        MissingExtraError: Ray is not installed.
    """

    def __init__(
        self, root: Path, *, engine: str = "process", workers: int = 2, address: str | None = None
    ) -> None:
        check_engine(engine, workers)
        self._root = root
        self._pool: _Pool = _Ray(workers, address) if engine == "ray" else _Processes(workers)

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
    """A pool of clean processes with the heavy imports done; a pool that breaks is made anew."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._executor = self._start()

    def _start(self) -> ProcessPoolExecutor:
        context = worker_context("densegym.agents.authoring.candidates")
        return ProcessPoolExecutor(self._workers, mp_context=context, initializer=_begin)

    def run(self, jobs: Sequence[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
        left = dict.fromkeys(range(len(jobs)), 0)
        while left:
            with one_thread():
                futures = {self._executor.submit(carry_out, jobs[i]): i for i in left}
            try:
                for future in as_completed(futures):
                    outcome = future.result()
                    del left[futures[future]]
                    yield futures[future], outcome
            except BrokenProcessPool:
                self._executor.shutdown(wait=False)
                self._executor = self._start()
                left = {index: tries + 1 for index, tries in left.items()}
                for index in [i for i, tries in left.items() if tries >= _ATTEMPTS]:
                    del left[index]
                    yield index, _killed("its worker process")

    def workers(self) -> list[int]:
        return worker_ids(self._executor)

    def close(self) -> None:
        stop_workers(self._executor)


def _begin() -> None:
    """Start a worker: Ctrl-C is for the parent, which stops its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


class _Ray:
    """Ray tasks: its scheduler, its retries. Checkpoints need a folder all machines see."""

    def __init__(self, workers: int, address: str | None) -> None:
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
        self._task = self._ray.remote(num_cpus=1, max_retries=_ATTEMPTS)(carry_out)

    def run(self, jobs: Sequence[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
        waiting = {self._task.remote(job): index for index, job in enumerate(jobs)}
        while waiting:
            (reference,), _ = self._ray.wait(list(waiting), num_returns=1)
            index = waiting.pop(reference)
            try:
                outcome = self._ray.get(reference)
            except self._ray.exceptions.WorkerCrashedError:
                outcome = _killed("its Ray worker")
            yield index, outcome

    def workers(self) -> list[int]:
        return []

    def close(self) -> None:
        self._ray.shutdown()


def _killed(what: str) -> dict[str, Any]:
    told = f"{what} was killed {_ATTEMPTS} times, perhaps for want of memory"
    return Outcome(status=str(Status.RUNTIME_ERROR), feedback=told).as_dict()
