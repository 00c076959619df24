"""Runs reward programs in a worker process that may fail, hang or be hostile."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from densegym.errors import DenseGymError, RewardError
from densegym.reward_models.sandbox.channel import Channel, EndedError, Frame, TooLateError
from densegym.reward_models.sandbox.frames import ProtocolError, Tag, encode, one_line
from densegym.reward_models.sandbox.inspection import Inspection
from densegym.reward_models.sandbox.status import Status
from densegym.reward_models.sandbox.vocabulary import MAX_TERM_CHARACTERS, MAX_TERMS
from densegym.reward_models.types import Float

START_S = 60.0  # importing NumPy on a busy machine
_REPORTED = frozenset({Status.RUNTIME_ERROR, Status.OOM, Status.BAD_SHAPE})


class SandboxError(DenseGymError):
    """A program failed in its worker, or the worker itself did.

    Attributes:
        status: ``RUNTIME_ERROR``, ``TIMEOUT``, ``OOM`` or ``BAD_SHAPE``; for a program that was
            refused before it ran, the status of its inspection.
        feedback: one line for its author, with the author's line number and no paths.
    """

    def __init__(self, status: Status, feedback: str) -> None:
        super().__init__(status, feedback)
        self.status, self.feedback = status, feedback

    def __str__(self) -> str:
        return f"{self.status}: {self.feedback}"


class Outcome(NamedTuple):
    """What a program says of N rows; all arrays belong to the caller.

    Attributes:
        total: (N,) float64, the total or the potential; zeros for ``factors``.
        parts: the terms or factors, (N,) float64 each; empty for a potential.
        memory: (N, M) float64 to hand to the next step, or None.
    """

    total: Float
    parts: dict[str, Float]
    memory: Float | None


class Worker:
    """A process that runs one program at a time; it serves one caller at a time.

    A worker that hangs, runs out of memory or crashes is killed; the next load or call starts a
    new one. On Linux it also dies with the thread that started it.

    Args:
        timeout_s: wall-clock seconds that a load or a call may take.
        memory_bytes: limit of the worker's address space, of which NumPy takes some 0.2 GB.

    Raises:
        SandboxError: no worker process could be started.
        DenseGymError: the system has no such processes (Windows).
    """

    def __init__(self, *, timeout_s: float = 2.0, memory_bytes: int = 2 << 30) -> None:
        if os.name != "posix":
            raise DenseGymError(
                "the sandbox needs the process limits of Linux or macOS; on Windows use WSL"
            )
        self._timeout_s, self._memory_bytes = timeout_s, memory_bytes
        self._program: Inspection | None = None
        self._isolation = ""
        self._channel: Channel | None = None
        self._start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def isolation(self) -> str:
        """``ast+process`` or ``ast+process+ns``, and the limits that could not be set, if any."""
        return self._isolation

    @property
    def cpu_s(self) -> float:
        """Processor seconds of the process so far; 0 where none runs."""
        return self._channel.cpu_s() if self._channel is not None else 0.0

    def close(self) -> None:
        """Kill the process; a later load starts a new one."""
        self._program = None
        self._stop()

    def load(self, inspection: Inspection) -> None:
        """Take a program that passed the static check, in place of the one before.

        Raises:
            SandboxError: it was refused, or its constants fail, hang or take too much memory.
        """
        if inspection.status is not Status.OK:
            raise SandboxError(inspection.status, inspection.feedback)
        self._program = None
        self._load(self._running(), inspection)
        self._program = inspection

    def call(
        self, features: Mapping[str, Any], memory: Float | None = None, *, steps: int = 1
    ) -> Outcome:
        """Score N rows, or the rows of several steps one batch after the other.

        Args:
            features: at least the program's parameters, steps * N rows each, step by step; bool
                stays bool, anything else is sent as float64.
            memory: (N, M) what the program kept at the step before; zeros by default.
            steps: how many batches the rows are; memory goes from each to the next.

        Returns:
            What it says of all rows; ``memory`` has a row for each of them.

        Raises:
            SandboxError: the program failed, hung, took too much memory, or returned something
                that does not follow its contract.
            RewardError: no program is loaded, or a feature is missing or has another N.
        """
        program = self._program
        if program is None:
            raise RewardError("no program is loaded; call load(inspection) first")
        channel = self._running()
        rows, arrays = _arguments(program, features, memory, steps)
        layout = [(array.dtype.char, array.shape) for array in arrays]
        request = encode(Tag.CALL, {"rows": rows, "steps": steps, "arrays": layout}, arrays)
        with self._watched(self._timeout_s) as deadline:
            frame = _ask(channel, request, deadline)
            return _read_outcome(channel, frame, program, rows * steps, deadline)

    def _running(self) -> Channel:
        """Return a live channel that holds the loaded program, if there is one."""
        if self._channel is not None and self._channel.alive:
            return self._channel
        channel = self._start()
        if self._program is not None:
            self._load(channel, self._program)
        return channel

    def _start(self) -> Channel:
        self._stop()
        try:
            self._channel = channel = Channel(self._memory_bytes)
        except OSError as error:
            raise SandboxError(
                Status.RUNTIME_ERROR, f"no worker process could be started: {error.strerror}"
            ) from error
        with self._watched(START_S) as deadline:
            frame = channel.receive(deadline)
            level = frame.text.get("isolation") if isinstance(frame.text, dict) else None
            if frame.header.tag is not Tag.READY or frame.header.body or type(level) is not str:
                raise ProtocolError("it did not say how far it is confined")
        self._isolation = one_line(level)
        return channel

    def _load(self, channel: Channel, program: Inspection) -> None:
        fields = ("kind", "parameters", "memory", "code", "lines")
        request = encode(Tag.LOAD, {field: getattr(program, field) for field in fields})
        with self._watched(self._timeout_s) as deadline:
            frame = _ask(channel, request, deadline)
            if frame.header.body:
                raise ProtocolError("it sent arrays where none belong")

    @contextmanager
    def _watched(self, seconds: float) -> Iterator[float]:
        """Lend a deadline; kill the worker if anything goes wrong before the block ends."""
        try:
            yield time.monotonic() + seconds
        except SandboxError as error:  # reported by the worker, which goes on
            if error.status is Status.OOM:
                self._stop()
            raise
        except TooLateError:
            self._stop()
            raise SandboxError(
                Status.TIMEOUT,
                f"no answer within {seconds:g} s; use array operations, and fewer and shorter "
                "loops",
            ) from None
        except EndedError as error:
            self._stop()
            raise SandboxError(*_ending(error.code)) from None
        except ProtocolError as error:
            self._stop()
            raise SandboxError(
                Status.RUNTIME_ERROR, f"the worker process cannot be understood: {error}"
            ) from None
        except BaseException:  # an interrupted exchange leaves half a frame in the pipe
            self._stop()
            raise

    def _stop(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def _arguments(
    program: Inspection, features: Mapping[str, Any], memory: Float | None, steps: int
) -> tuple[int, list[Any]]:
    """Return the rows of a batch and the program's arguments as arrays, in its order."""
    names = [name for name in program.parameters if name != "memory"]
    missing = [name for name in names if name not in features]
    if missing:
        raise RewardError(f"the program reads {', '.join(missing)}; given: {', '.join(features)}")
    given = {name: _array(features[name]) for name in names}
    total = len(given[names[0]])
    uneven = [name for name, array in given.items() if len(array) != total]
    if uneven:
        raise RewardError(f"{', '.join(uneven)} and {names[0]} differ in their number of rows")
    rows, rest = divmod(total, steps)
    if rest:
        raise RewardError(f"{total} rows are no {steps} steps of equal batches")
    if program.memory:
        given["memory"] = np.zeros((rows, program.memory)) if memory is None else _array(memory)
        if given["memory"].shape != (rows, program.memory):
            shape = given["memory"].shape
            raise RewardError(f"memory has shape {shape}; expected {(rows, program.memory)}")
    return rows, [given[name] for name in program.parameters]


def _array(values: Any) -> Any:
    array = np.asarray(values)
    return np.ascontiguousarray(array, dtype=np.bool_ if array.dtype == np.bool_ else np.float64)


def _read_outcome(
    channel: Channel, frame: Frame, program: Inspection, rows: int, deadline: float
) -> Outcome:
    """Read a result into arrays whose size follows from the request."""
    terms = frame.text
    named = isinstance(terms, list) and all(map(_is_term, terms))
    if not named or len(terms) > MAX_TERMS or len(set(terms)) < len(terms):
        raise ProtocolError("its terms have no proper names")
    first = 0 if program.kind == "factors" else 1
    columns = np.empty((first + len(terms), rows))
    memory = np.empty((rows, program.memory))
    if frame.header.body != columns.nbytes + memory.nbytes:
        raise ProtocolError(f"it announced {frame.header.body} bytes of results")
    for array in (columns, memory):
        if array.size:
            channel.read_into(array.data.cast("B"), deadline)
    return Outcome(
        total=columns[0] if first else np.zeros(rows),
        parts=dict(zip(terms, columns[first:], strict=True)),
        memory=memory if program.memory else None,
    )


def _is_term(name: Any) -> bool:
    return type(name) is str and 0 < len(name) <= MAX_TERM_CHARACTERS and name.isprintable()


def _ask(channel: Channel, request: list[memoryview], deadline: float) -> Frame:
    """Return the start of the answer to a request.

    Raises:
        SandboxError: what the worker reports of the program.
    """
    channel.send(request, deadline)
    frame = channel.receive(deadline)
    if frame.header.tag is Tag.RESULT:
        return frame
    text = frame.text if isinstance(frame.text, dict) else {}
    status, feedback = text.get("status"), text.get("feedback")
    proper = frame.header.tag is Tag.FAILED and frame.header.body == 0
    if (
        not proper
        or type(status) is not str
        or status not in _REPORTED
        or type(feedback) is not str
    ):
        raise ProtocolError("its answer is neither a result nor a failure")
    raise SandboxError(Status(status), one_line(feedback))


def _ending(code: int) -> tuple[Status, str]:
    """Return what the end of a worker means: minus its signal, or its exit status."""
    if code == -signal.SIGKILL:
        return Status.OOM, "the system killed the worker process, most likely for its memory"
    if code == -signal.SIGXCPU:
        return Status.TIMEOUT, "the program used up its processor time"
    how = signal.strsignal(-code) if code < 0 else f"status {code}"
    return Status.RUNTIME_ERROR, f"the worker process ended: {how}"
