"""How a run takes what stops it: SIGTERM as Ctrl-C, and a full disk in one sentence."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from densegym.errors import ResultsError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
