"""Rank statistics of returns against labels."""

from __future__ import annotations

import numpy as np

from densegym.reward_models.types import Bool, Float


def ranks(values: Float) -> Float:
    """Return (N,) ranks from 1; ties share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts).astype(np.float64)
    mean: Float = last - (counts - 1) / 2.0
    return mean[inverse]


def auc(returns: Float, success: Bool) -> float:
    """Return P(return of a success > return of a failure) over all pairs, ties one half.

    NaN where either class is empty.
    """
    good, bad = int(success.sum()), int((~success).sum())
    if not good or not bad:
        return float("nan")
    mine = ranks(returns)[success].sum()
    return float((mine - good * (good + 1) / 2.0) / (good * bad))


def spearman(first: Float, second: Float) -> float:
    """Return Spearman's rank correlation, NaN where either side is constant or has no pair."""
    if len(first) < 2:
        return float("nan")
    a, b = ranks(first), ranks(second)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0.0 else float("nan")
