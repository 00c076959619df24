"""Processes of our own, one job each at a time: when one dies, it is known on which job.

A job goes in and its outcome comes out as JSON, so nothing that a candidate made is unpickled.
"""

from __future__ import annotations

import json
import signal
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from densegym.agents.training.processes import end_with_parent, one_thread, worker_context
from densegym.errors import DenseGymError

Carry = Callable[[dict[str, Any]], dict[str, Any]]
_LINGER_S = 10.0


class Member:
    """One process.

    Args:
        carry: what it does with a job; a function of a module.
        preload: module imported before.
    """

    def __init__(self, carry: Carry, preload: str) -> None:
        context = worker_context(preload)
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, carry))
        with one_thread():
            self.process.start()
        theirs.close()

    def give(self, job: dict[str, Any]) -> None:
        """Hand a job over."""
        self.connection.send_bytes(json.dumps(job).encode())

    def take(self) -> dict[str, Any] | None:
        """Return the outcome that is ready, or None where the process died."""
        try:
            if not self.connection.poll():
                return None
            answer: dict[str, Any] = json.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            return None
        return answer

    def end(self) -> int:
        """End the process whatever it does; return its exit code."""
        if self.process.is_alive():
            self.process.terminate()
            self.process.join(_LINGER_S)
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.connection.close()
        return int(self.process.exitcode or 0)

    def died(self) -> int:
        """Reap a process that has died; return its exit code."""
        self.process.join(_LINGER_S)
        return self.end()


class Crew:
    """Carries out jobs side by side.

    Args:
        workers: processes.
        carry: what they do with a job.
        preload: module imported once for all.
        died: told a job, the exit code of its process and how often that happened; returns the
            outcome that stands in, or None to try once more.
    """

    def __init__(
        self,
        workers: int,
        carry: Carry,
        *,
        preload: str,
        died: Callable[[dict[str, Any], int, int], dict[str, Any] | None],
    ) -> None:
        self._workers, self._carry, self._preload, self._died = workers, carry, preload, died
        self._members: list[Member] = []
        self.close = weakref.finalize(self, _end_all, self._members)

    def workers(self) -> list[int]:
        """Return the process ids."""
        return [member.process.pid for member in self._members if member.process.pid]

    def run(self, jobs: Sequence[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (index, outcome) as jobs end.

        Raises:
            DenseGymError: a process could not do its work for reasons of its own, such as a full
                disk.
        """
        waiting, deaths = deque(range(len(jobs))), dict.fromkeys(range(len(jobs)), 0)
        running: dict[Member, int] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self._workers:
                    member = self._free(running)
                    running[member] = waiting.popleft()
                    member.give(jobs[running[member]])
                for member in self._ready(running):
                    index = running.pop(member)
                    outcome = member.take()
                    if outcome is None:
                        self._members.remove(member)
                        deaths[index] += 1
                        outcome = self._died(jobs[index], member.died(), deaths[index])
                    if outcome is None:
                        waiting.appendleft(index)
                    elif "broken" in outcome:
                        raise DenseGymError(f"a training process failed: {outcome['broken']}")
                    else:
                        yield index, outcome
        finally:
            for member in running:  # the caller gave up: what runs is of no use to anybody
                self._members.remove(member)
                member.end()

    def _free(self, running: dict[Member, int]) -> Member:
        for member in [item for item in self._members if item not in running]:
            if member.process.is_alive():
                return member
            self._members.remove(member)
            member.end()
        self._members.append(Member(self._carry, self._preload))
        return self._members[-1]

    def _ready(self, running: dict[Member, int]) -> list[Member]:
        handles: dict[Any, Member] = {}
        for member in running:
            handles[member.connection] = handles[member.process.sentinel] = member
        return list(dict.fromkeys(handles[handle] for handle in wait(list(handles))))


def _end_all(members: list[Member]) -> None:
    for member in members:
        member.end()
    members.clear()


def _serve(connection: Connection, carry: Carry) -> None:
    """Carry out jobs until the parent hangs up; Ctrl-C is for the parent, which ends its crew."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    while True:
        try:
            job = json.loads(connection.recv_bytes())
        except EOFError:
            return
        try:
            answer = carry(job)
        except (OSError, ImportError) as error:  # no fault of the candidate's
            answer = {"broken": f"{type(error).__name__}: {error}"}
        connection.send_bytes(json.dumps(answer).encode())
