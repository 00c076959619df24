"""Inputs of unit scale: by what has been seen, and harmless where something new comes.

A number that is not finite was not read: it takes no part in moments and counts as the mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from densegym.reward_models.types import Float

FARTHEST = 10.0  # deviations; a word never read before would else be worth a million
_STILL = 1e-6  # a column that varied less has no scale of its own


def moments(rows: Any) -> tuple[Float, Float]:
    """Return mean and deviation, float64, over the first axis; 1 for what never varied."""
    known = np.isfinite(rows)
    if known.all():
        mean = np.asarray(np.mean(rows, axis=0, dtype=np.float64))
        std = np.std(rows, axis=0, dtype=np.float64)
    else:
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, rows, 0.0).sum(axis=0, dtype=np.float64) / count
        std = np.sqrt(np.square(np.where(known, rows - mean, 0.0)).sum(axis=0) / count)
    return mean, np.where(std > _STILL, std, 1.0)


def standard(rows: Any, mean: Float, std: Float) -> Any:
    """Return rows in deviations from the mean, float32, within ± 10."""
    scaled = np.clip((rows - mean) / std, -FARTHEST, FARTHEST)
    return np.where(np.isfinite(rows), scaled, 0.0).astype("f4")
