"""One process at a time in a run's folder: a lock that the system lifts when its holder dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from densegym.errors import ResultsError

FILE = "lock"
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@contextlib.contextmanager
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
            if folder.is_dir() and os.listdir(folder) == [FILE]:  # refused, and nothing begun
                (folder / FILE).unlink()
                folder.rmdir()
                with contextlib.suppress(OSError):  # where another run has begun beside it
                    for path in missing[1:]:
                        path.rmdir()


@contextlib.contextmanager
def _hold(folder: Path) -> Iterator[int]:
    path = folder / FILE
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
