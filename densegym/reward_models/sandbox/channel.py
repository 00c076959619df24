"""The parent's end of a worker process: start it, exchange frames by a deadline, kill it.

Nothing a worker sends is trusted: every length is bounded before memory is asked for.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from pathlib import Path
from typing import Any, NamedTuple

from densegym.reward_models.sandbox.frames import (
    HEADER_BYTES,
    MAX_PIECES,
    MAX_TEXT,
    Header,
    ProtocolError,
    advance,
    decode_header,
    decode_text,
)

_THREADS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR")
_ENVIRONMENT = {f"{library}_NUM_THREADS": "1" for library in _THREADS} | {
    "VECLIB_MAXIMUM_THREADS": "1"
}
_PROCESS_CLOCK = 2  # Linux: the clock of all threads of a process, by its id
_LINGER_S = 1.0  # a worker that closed its pipe should be gone by then
# The packages' own __init__ would register environments, which takes most of a second.
_BOOTSTRAP = """
import sys, types
for name in ("densegym", "densegym.reward_models", "densegym.reward_models.sandbox"):
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = ["/".join([sys.argv[1], *name.split(".")])]
from densegym.reward_models.sandbox.worker import main
main()
"""


class TooLateError(Exception):
    """The deadline passed before the frame was complete."""


class EndedError(Exception):
    """The worker process ended.

    Attributes:
        code: its exit status, or minus the signal that ended it.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Frame(NamedTuple):
    """The start of an answer; its arrays are still to be read."""

    header: Header
    text: Any


class Channel:
    """A running worker process.

    The process dies with the thread that starts it (Linux), at ``close``, or when this object is
    garbage.

    Args:
        memory_bytes: limit of its address space.
    """

    def __init__(self, memory_bytes: int) -> None:
        folder = tempfile.mkdtemp(prefix="densegym-")  # the worker removes it
        try:
            self._process = subprocess.Popen(
                worker_command(memory_bytes),
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                env=_ENVIRONMENT,
                start_new_session=True,
            )
        except BaseException:
            os.rmdir(folder)
            raise
        pipes = self._process.stdin, self._process.stdout
        self._stdin, self._stdout = (pipe.fileno() for pipe in pipes if pipe is not None)
        _widen(self._stdin, self._stdout)
        os.set_blocking(self._stdin, False)
        self._writable, self._readable = select.poll(), select.poll()
        self._writable.register(self._stdin, select.POLLOUT)
        self._readable.register(self._stdout, select.POLLIN)
        self.close = weakref.finalize(self, _end, self._process, folder, os.getpid())

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.close.alive and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process, which leads a process group of its own."""
        return self._process.pid

    def cpu_s(self) -> float:
        """Return the processor seconds it has used; wall seconds where the system hides them.

        A busy machine stretches the wall clock, which says nothing about a program.
        """
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                return time.clock_gettime((~self._process.pid << 3) | _PROCESS_CLOCK)
        return time.monotonic()

    def send(self, pieces: list[memoryview], deadline: float) -> None:
        """Write a frame. A worker that no longer reads may still have answered: receive next.

        Args:
            pieces: of the frame; none are left afterwards.
            deadline: of ``time.monotonic``.

        Raises:
            TooLateError: the worker did not read it in time.
        """
        with contextlib.suppress(BrokenPipeError):
            while pieces:
                _wait(self._writable, deadline)
                advance(pieces, os.writev(self._stdin, pieces[:MAX_PIECES]))

    def receive(self, deadline: float) -> Frame:
        """Read the start of a frame, up to its arrays.

        Raises:
            TooLateError: it did not come in time.
            EndedError: the process ended instead.
            ProtocolError: what came is no frame, or longer than allowed.
        """
        head = bytearray(HEADER_BYTES)
        self.read_into(memoryview(head), deadline)
        header = decode_header(head)
        if header.text > MAX_TEXT:
            raise ProtocolError(f"it announced {header.text} bytes of text")
        text = bytearray(header.text)
        self.read_into(memoryview(text), deadline)
        return Frame(header, decode_text(text))

    def read_into(self, view: memoryview, deadline: float) -> None:
        """Fill a view of bytes.

        Raises:
            TooLateError: it was not filled in time.
            EndedError: the process ended instead.
        """
        while view:
            _wait(self._readable, deadline)
            count = os.readv(self._stdout, [view])
            if count == 0:
                raise EndedError(self._exit_code())
            view = view[count:]

    def _exit_code(self) -> int:
        try:
            return self._process.wait(_LINGER_S)
        except subprocess.TimeoutExpired:
            return 0


def worker_command(memory_bytes: int) -> list[str]:
    """Return the command line of a worker."""
    root = Path(__file__).parents[3]
    arguments = [str(root), str(os.getpid()), str(memory_bytes)]
    return [sys.executable, "-I", "-B", "-c", _BOOTSTRAP, *arguments]


def _wait(poll: select.poll, deadline: float) -> None:
    remaining = deadline - time.monotonic()
    if remaining <= 0 or not poll.poll(remaining * 1e3):
        raise TooLateError


def _widen(*pipes: int) -> None:
    """Let a whole batch into the pipes, where the system allows it, to save switches."""
    if sys.platform == "linux":
        import fcntl

        for pipe in pipes:
            with contextlib.suppress(OSError):
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)


def _end(process: subprocess.Popen[bytes], folder: str, owner: int) -> None:
    """Kill a worker's process group and reap it, unless this is a fork of its owner."""
    if os.getpid() == owner:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(folder)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
