"""How worker processes are started, and how they end when whoever started them is gone."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Iterator
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
