"""Pools end with whoever started them, and at once when something goes wrong."""

from __future__ import annotations

import os
import time

import pytest

from densegym.agents.training.processes import worker_ids, worker_pool


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_pool_gives_its_processes_one_thread_and_back_what_they_return():
    with worker_pool(2, preload="json") as pool:
        assert list(pool.map(os.getenv, ["OMP_NUM_THREADS"])) == ["1"]
        assert pool.submit(os.getpid).result() in worker_ids(pool)


def interrupted(error: type[BaseException], workers: list[int]) -> None:
    with worker_pool(2, preload="json") as pool:
        pool.submit(os.getpid).result()
        pool.submit(time.sleep, 600)
        workers.extend(worker_ids(pool))
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_exception_ends_workers_in_the_midst_of_a_job(error):
    started, workers = time.monotonic(), []
    with pytest.raises(error):
        interrupted(error, workers)
    assert time.monotonic() - started < 60
    assert workers
    assert not any(alive(worker) for worker in workers)
