"""Judges that value a state instead of comparing two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from densegym.reward_models.progress.accumulate import Fusion
from densegym.reward_models.progress.judge import Seen, Verdict, hop_between
from densegym.reward_models.progress.judges.vision import LookingJudge
from densegym.reward_models.types import Frames

Attempt: TypeAlias = list[Frames]
"""Pictures (H, W, 3) of one attempt in order: its start, maybe a state before, and the state."""


class AbsoluteJudge(LookingJudge):
    """Shows the start and the state, and makes hops of the progress it is told.

    The hop from the start is the progress itself, so ``fusion="forward"`` asks once per picture.
    """

    fusion: Fusion = "forward"

    def values(self, attempts: Sequence[Attempt], text: Sequence[str]) -> list[list[float] | None]:
        """Return the progress in [0, 1] at every picture of each attempt, or None."""
        raise NotImplementedError(f"{type(self).__name__} must define values(...)")

    def hop(
        self, before: Seen, after: Seen, start: Seen, goal: Seen | None, text: Sequence[str]
    ) -> Verdict:
        """Judge B pairs through the first camera."""
        first = [np.array_equal(b, s) for b, s in zip(before[:, 0], start[:, 0], strict=True)]
        attempts = [
            [start[row, 0], after[row, 0]]
            if first[row]
            else [start[row, 0], before[row, 0], after[row, 0]]
            for row in range(len(after))
        ]
        told = self.values(attempts, text)
        value, valid = np.zeros(len(told)), np.array([one is not None for one in told], dtype=bool)
        for row, one in enumerate(told):
            if one is not None:
                value[row] = one[-1] if first[row] else _hop(one[-2], one[-1])
        return Verdict(value, valid)


def regrouped(
    attempts: Sequence[Attempt], said: Sequence[float | None]
) -> list[list[float] | None]:
    """Return values per attempt, of one answer per picture after each first one, which is 0.

    An attempt with a missing answer is None.
    """
    told: list[list[float] | None] = []
    at = 0
    for attempt in attempts:
        own = said[at : at + len(attempt) - 1]
        at += len(own)
        known = [one for one in own if one is not None]
        told.append([0.0, *known] if len(known) == len(own) else None)
    return told


def _hop(before: float, after: float) -> float:
    return float(hop_between(np.array([before]), np.array([after]))[0])
