"""Guards the process that carries out a job: against hanging, against taking all memory.

What ends a guarded process is written beside the job first, by a C thread that needs no Python:
a hang under the interpreter's lock and a crash of a library are told as well.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stable_baselines3.common.callbacks import BaseCallback

from densegym.reward_models.sandbox.status import Status

STALL_S = 600.0  # a job that makes no step for so long hangs
TRACE = "fault.txt"
_CGROUP = Path("/sys/fs/cgroup/memory.max")
_STATUS = Path("/proc/self/status")
_FATAL = re.compile(r"Fatal Python error: (.*)")  # where only the trace knows the signal
_PROGRAM = re.compile(r'File "<reward program>", line (\d+)')


class Limits(NamedTuple):
    """What a job may take.

    Attributes:
        stall_s: seconds without a step of training or evaluation.
        memory_bytes: beyond what its process had at first.
    """

    stall_s: float = STALL_S
    memory_bytes: int = 0

    @staticmethod
    def shared(workers: int, *, stall_s: float | None = None) -> Limits:
        """Return limits under which so many workers cannot exhaust this machine."""
        return Limits(stall_s or STALL_S, _machine_memory() // max(workers, 1))


@contextlib.contextmanager
def guarded(folder: Path, limits: Limits) -> Iterator[Callable[[], None]]:
    """Guard this process for the length of a block, and lend what tells that it goes on.

    Args:
        folder: of the job; holds the trace of a hang or crash afterwards.
        limits: what the block may take.
    """
    folder.mkdir(parents=True, exist_ok=True)
    beaten = [0.0]

    with (folder / TRACE).open("w") as trace:

        def beat() -> None:
            now = time.monotonic()
            if now - beaten[0] > limits.stall_s / 20:  # arming starts a thread
                beaten[0] = now
                faulthandler.dump_traceback_later(limits.stall_s, exit=True, file=trace)

        faulthandler.enable(trace)
        beat()
        try:
            with _memory_limit(limits.memory_bytes):
                yield beat
        finally:
            faulthandler.cancel_dump_traceback_later()
            faulthandler.disable()
    (folder / TRACE).unlink()


def stalled(folder: Path) -> bool:
    """Return whether the last guarded process of a job ended because it hung."""
    return "Timeout (" in _trace(folder)


def cause(folder: Path, code: int, limits: Limits) -> tuple[Status, str]:
    """Return why the process of a job ended: a status, and a sentence for the author.

    Args:
        folder: of the job.
        code: minus the signal that ended the process, or its exit status.
        limits: it ran under.
    """
    trace = _trace(folder)
    line = _PROGRAM.search(trace)
    where = f" at line {line[1]} of the program" if line else ""
    if stalled(folder):
        return Status.TIMEOUT, (
            f"in training it made no step for {limits.stall_s:g} s{where}, so its process was ended"
        )
    if code == -signal.SIGKILL:
        return Status.OOM, "in training the system killed its process, most likely for its memory"
    how = signal.strsignal(-code) if code < 0 else _FATAL.search(trace)
    how = how[1] if isinstance(how, re.Match) else how or f"exit status {code}"
    return Status.RUNTIME_ERROR, f"in training its process ended{where}: {how}"


class Beat(BaseCallback):
    """Tells the guard about every step of training."""

    def __init__(self, beat: Callable[[], None]) -> None:
        super().__init__()
        self._beat = beat

    def _on_step(self) -> bool:
        self._beat()
        return True


class Beating:
    """A policy that tells the guard about every batch it acts on."""

    def __init__(self, policy: Callable[[Any, Any], Any], beat: Callable[[], None]) -> None:
        self._policy, self._beat = policy, beat

    def __call__(self, obs: Any, fresh: Any) -> Any:
        """Return one action per lane."""
        self._beat()
        return self._policy(obs, fresh)


@contextlib.contextmanager
def _memory_limit(memory_bytes: int) -> Iterator[None]:
    """Let this process ask for so much more memory; beyond, it gets a ``MemoryError``."""
    held = _held()
    if not memory_bytes or held is None:
        yield
        return
    import resource  # there where held memory is told: not on Windows

    before = resource.getrlimit(resource.RLIMIT_DATA)
    soft = held + memory_bytes
    hard = before[1]
    bounded = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (bounded, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _held() -> int | None:
    """Return the bytes that count against the limit now, or None where nobody tells (macOS)."""
    if not _STATUS.is_file():
        return None
    found = re.search(r"VmData:\s+(\d+) kB", _STATUS.read_text())
    return int(found[1]) << 10 if found else None


def _machine_memory() -> int:
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # no cgroup, or one without a limit
        whole = min(whole, int(_CGROUP.read_text()))
    return whole


def _trace(folder: Path) -> str:
    path = folder / TRACE
    return path.read_text(errors="replace") if path.is_file() else ""
