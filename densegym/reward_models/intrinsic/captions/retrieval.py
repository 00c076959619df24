"""ONI's retrieval head: a caption is worth its label, and nothing without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from densegym.reward_models.intrinsic.annotation.source import LabelSource
from densegym.reward_models.intrinsic.annotation.table import HELPFUL
from densegym.reward_models.types import Float


class Retrieval:
    """Values a caption 1 if its grade is positive; nothing is learned, nothing generalises.

    Args:
        source: who labels.
        graded: pay the grade, divided by its maximum 9, instead of 0 or 1.
    """

    def __init__(self, source: LabelSource, *, graded: bool = False) -> None:
        self._source, self._graded = source, graded

    def update(self, grades: Mapping[str, float]) -> None:
        """Learn nothing; labels are looked up when they are needed."""

    def values(self, captions: Sequence[str]) -> Float:
        """Return the values (B,) of captions; one without a label is worth 0."""
        known = self._source.grades
        grades = np.array([known.get(caption, 0.0) for caption in captions])
        return grades / 9.0 if self._graded else (grades >= HELPFUL).astype(np.float64)

    def moved(self, occurrences: Mapping[str, int], total: int) -> bool:
        """Depend on labels alone."""
        return False

    def metrics(self) -> dict[str, float]:
        """Return nothing; nothing is learned."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return no state; the source keeps the labels."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""
