"""Collects in several processes that hand over their episodes in a journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import wait

from densegym.agents.collecting.journal import Journal
from densegym.agents.training.processes import worker_pool

_TELL_S = 0.5  # between two looks at what was written down


def fill(
    journal: Journal,
    jobs: Sequence[Callable[[], None]],
    lanes: int,
    tell: Callable[[int], None],
) -> None:
    """Carry out jobs that write into a journal, the first ones first.

    Args:
        journal: counted while they run.
        jobs: can be pickled.
        lanes: processes side by side.
        tell: told how many episodes are written down.
    """
    with worker_pool(lanes, preload="densegym.agents.collecting.demos") as pool:
        left = {pool.submit(job) for job in jobs}
        while left:
            done, left = wait(left, timeout=_TELL_S)
            for job in done:
                job.result()
            tell(journal.count())
