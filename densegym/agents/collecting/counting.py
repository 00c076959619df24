"""How many steps an expert still needs from the states of an episode: few counted, others between.

A count is an expert's whole way to success in a copy of the world, so most of what demonstrations
cost would be counts of states whose number their neighbours tell.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from densegym.reward_models.types import Bool, Float

_TRUSTED = 17  # states of a stretch whose middle may stand for all of it
_OFF = 2.5  # steps by which a line between two counts may miss the count between them


def count_sparsely(times: Sequence[int], success: Bool, count: Callable[[int], int]) -> Float:
    """Return (T + 1,) steps that are left, 0 where the task is done.

    Counted are the first and the last state, and between two counts the middle one, until a line
    misses the middle by no more than 2.5 steps; what lies between lies on a line.

    Args:
        times: of states that may be counted, in order, the first 0 and the last T.
        success: (T + 1,) whether the success rule held.
        count: how many steps are left at a time; asked once for each, the first first.
    """
    found = {int(t): 0.0 for t in np.flatnonzero(success)}

    def steps(t: int) -> float:
        if t not in found:
            found[t] = float(count(t))
        return found[t]

    open_times = [t for t in times if not success[t]]
    for stretch in _stretches(open_times, success) if open_times else ():
        _refine(stretch, steps)
    known = sorted(found)
    return np.interp(np.arange(len(success)), known, [found[t] for t in known])


def _stretches(times: Sequence[int], success: Bool) -> list[list[int]]:
    """Return runs of times between which the task was never done."""
    runs = [[times[0]]]
    for before, t in itertools.pairwise(times):
        if success[before:t].any():
            runs.append([])
        runs[-1].append(t)
    return runs


def _refine(times: Sequence[int], steps: Callable[[int], float]) -> None:
    """Count the ends of a stretch, and inside as far as a line between them is off."""
    at = [steps(times[0]), steps(times[-1])]
    if len(times) < 3:
        return
    half = len(times) // 2
    line = float(np.interp(times[half], [times[0], times[-1]], at))
    if abs(steps(times[half]) - line) <= _OFF and len(times) <= _TRUSTED:
        return
    _refine(times[: half + 1], steps)
    _refine(times[half:], steps)
