"""Threads that run jobs until a deadline and never keep a program from ending."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class _Job(NamedTuple):
    run: Callable[[], None]
    expires: float


class Batch(Generic[T]):
    """Results of jobs that started together, as far as they have come in.

    Args:
        size: number of jobs.
        late: told index and result of jobs that end after the batch was closed.
    """

    def __init__(self, size: int, late: Callable[[int, T], None]) -> None:
        self._results: list[T | None] = [None] * size
        self._late = late
        self._changed = threading.Condition()
        self._missing, self._closed = size, False

    def put(self, index: int, result: T) -> None:
        """Note a result, or pass it on where nobody waits any more."""
        with self._changed:
            late = self._closed
            if not late:
                self._results[index] = result
                self._missing -= 1
                self._changed.notify()
        if late:
            self._late(index, result)

    def close(self, until: float) -> list[T | None]:
        """Wait until every job has ended, at most until a time of the monotonic clock."""
        with self._changed:
            while self._missing:
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            self._closed = True
            return list(self._results)


class Workers:
    """A fixed number of daemon threads.

    The standard library's executor waits for its threads when a program ends, which an endpoint
    that does not answer would draw out for minutes.

    Args:
        count: threads, started as they are needed.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def start(self, run: Callable[[], None], expires: float) -> None:
        """Queue a job; it is dropped if no thread is free before it expires."""
        if len(self._threads) < self._count:
            thread = threading.Thread(target=self._work, daemon=True, name="vision-endpoint")
            self._threads.append(thread)
            thread.start()
        self._jobs.put(_Job(run, expires))

    def close(self) -> None:
        """Let every thread end after its present job."""
        for _ in self._threads:
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if time.monotonic() < job.expires:
                job.run()
