"""What guards a run's folder: a lock, signals that stop alike, a full disk in one sentence.

The system lifts the lock when its holder dies, so a killed run can be resumed at once.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from densegym.errors import ResultsError

LOCK = "lock"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder until the block is left; made if need be, and removed if still empty.

    A lock whose holder died, killed or not, is free. The folder may be renamed meanwhile.

    Raises:
        ResultsError: another process holds it; says which.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    with _hold(folder) as descriptor:
        told = {"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(told).encode(), 0)
        try:
            yield
        finally:
            if folder.is_dir() and os.listdir(folder) == [LOCK]:  # refused, and nothing begun
                (folder / LOCK).unlink()
                folder.rmdir()
                with suppress(OSError):  # where another run has begun beside it
                    for path in missing[1:]:
                        path.rmdir()


@contextmanager
def _hold(folder: Path) -> Iterator[int]:
    path = folder / LOCK
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _take(descriptor, folder)
            if _is(path, descriptor):
                yield descriptor
                return
            # Its holder renamed the folder while we waited for the system's answer.
        finally:
            os.close(descriptor)


def _take(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ResultsError(
            f"{folder} is in use by {_holder(descriptor)}. Wait until it has finished, stop it, or "
            "choose another --out or seed."
        ) from None
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        warnings.warn(
            f"the file system of {folder} knows no locks ({error.strerror}): see to it that no "
            "other process works there.",
            RuntimeWarning,
            stacklevel=5,
        )


def _holder(descriptor: int) -> str:
    try:
        told = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {told['pid']} on {told['host']} since {told['since']}"
    except (ValueError, KeyError, TypeError):  # it has only just begun
        return "another process"


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn SIGTERM into KeyboardInterrupt, so that both stop a run alike."""

    def stop(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread: whoever owns the process handles signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def full_disk_told(work: Path) -> Iterator[None]:
    """Turn what is raised where a file cannot grow into one sentence.

    Raises:
        ResultsError: the disk, or this user's share of it, is full.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        cause = _cause(error)
        if cause is None:
            raise
        raise ResultsError(
            f"{work} cannot be written: {cause.strerror}. Nothing that was saved before is lost; "
            "make room, then add --resume to go on."
        ) from error


def _cause(error: BaseException | None) -> OSError | None:
    """Return the error of the system behind one of a library's, if there is no room."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return error
        error = error.__cause__ or error.__context__
    return None
