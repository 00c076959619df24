"""How worker processes are started, and how they end when whoever started them is gone."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import Any


def worker_context(preload: str) -> Any:
    """Return a start method that forks a clean process with the heavy imports already done.

    Args:
        preload: module imported once for all workers.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([preload])
    return context


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Give new processes one BLAS thread each; several on small matrices only get in the way."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = before or "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]


@contextlib.contextmanager
def worker_pool(workers: int, *, preload: str) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of clean processes of one thread each, which end when this process is gone.

    An exception inside, Ctrl-C among them, ends the workers at once.

    Args:
        workers: processes side by side.
        preload: module imported once for all of them.
    """
    pool = ProcessPoolExecutor(
        workers, mp_context=worker_context(preload), initializer=end_with_parent
    )
    with one_thread():
        try:
            yield pool
        except BaseException:
            stop_workers(pool)
            raise
    pool.shutdown()


def stop_workers(pool: ProcessPoolExecutor) -> None:
    """End a pool whatever its workers are doing."""
    for worker in worker_ids(pool):
        os.kill(worker, signal.SIGTERM)
    pool.shutdown(wait=True, cancel_futures=True)


def worker_ids(pool: ProcessPoolExecutor) -> list[int]:
    """Return the process ids of a pool's workers."""
    # The executor has no public way to name its workers before Python 3.14.
    return list(pool._processes or {})


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, killed or not.

    Otherwise the orphans of a killed command would go on writing where its successor works.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
