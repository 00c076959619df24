"""Statistics of benchmark tables: IQM, stratified bootstrap, profiles, paired comparisons.

Definitions follow Agarwal et al. 2021 (Deep RL at the Edge of the Statistical Precipice). The
generator is always passed in, so every interval can be reproduced.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from densegym.errors import DenseGymError
from densegym.reward_models.types import Float

Statistic = Callable[[Float], Float]
Z95 = 1.959963984540054


def _finite(scores: Float, what: str = "scores") -> Float:
    array = np.asarray(scores, dtype=np.float64)
    if array.size == 0:
        raise DenseGymError(f"{what} are empty; a statistic needs at least one")
    if not np.isfinite(array).all():
        raise DenseGymError(f"{what} hold {int((~np.isfinite(array)).sum())} non-finite numbers")
    return array


def iqm(scores: Float) -> float:
    """Return the interquartile mean: drop floor(N/4) from each end, average the rest.

    Args:
        scores: (runs,) or (runs, tasks).

    Raises:
        DenseGymError: empty or non-finite scores.

    Example:
        >>> iqm([0.0, 1.0, 2.0, 9.0])
        1.5
    """
    return float(_iqm_rows(_finite(scores).reshape(1, -1))[0])


def _iqm_rows(rows: Float) -> Float:
    cut = rows.shape[1] // 4
    ordered = np.sort(rows, axis=1)
    kept: Float = ordered[:, cut : rows.shape[1] - cut].mean(axis=1)
    return kept


def _mean_rows(rows: Float) -> Float:
    mean: Float = rows.mean(axis=1)
    return mean


def optimality_gap(scores: Float, target: float = 1.0) -> float:
    """Return the mean shortfall from ``target``; scores above it do not make up for others."""
    return target - float(np.minimum(_finite(scores), target).mean())


def interval(
    scores: Float | Sequence[Float],
    *,
    rng: np.random.Generator,
    statistic: str = "iqm",
    repetitions: int = 2000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return a percentile interval by stratified bootstrap: runs are redrawn within each task.

    Args:
        scores: (runs,), (runs, tasks), or a list of (runs,) arrays of unequal length.
        rng: draws the resamples.
        statistic: ``"iqm"`` or ``"mean"``.
        repetitions: number of resamples.
        level: coverage.

    Raises:
        DenseGymError: empty or non-finite scores, or an unknown statistic.
    """
    statistics: dict[str, Statistic] = {"iqm": _iqm_rows, "mean": _mean_rows}
    if statistic not in statistics:
        raise DenseGymError(f"statistic is one of {sorted(statistics)}; given {statistic!r}")
    tasks = _strata(scores)
    drawn = [task[rng.integers(0, len(task), (repetitions, len(task)))] for task in tasks]
    values = statistics[statistic](np.concatenate(drawn, axis=1))
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return float(low), float(high)


def _strata(scores: Float | Sequence[Float]) -> list[Float]:
    if isinstance(scores, np.ndarray):
        array = _finite(scores)
        return [array] if array.ndim == 1 else list(array.T)
    if scores and np.ndim(scores[0]) == 0:
        return [_finite(np.asarray(scores))]
    if not scores:
        raise DenseGymError("scores are empty; a statistic needs at least one")
    return [_finite(task) for task in scores]


def wilson(successes: float, trials: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a success rate.

    Example:
        >>> low, high = wilson(10, 10)
        >>> round(low, 3), high
        (0.722, 1.0)
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise DenseGymError(f"{successes} successes of {trials} trials make no rate")
    rate, square = successes / trials, Z95**2
    centre = rate + square / (2 * trials)
    spread = Z95 * math.sqrt(rate * (1 - rate) / trials + square / (4 * trials**2))
    scale = 1 + square / trials
    low, high = (centre - spread) / scale, (centre + spread) / scale
    # At the ends rounding would leave a bound a hair inside.
    return (0.0 if successes == 0 else low), (1.0 if successes == trials else high)


def performance_profile(scores: Float, thresholds: Float) -> Float:
    """Return the share of runs that score above each threshold."""
    flat = _finite(scores).ravel()
    share: Float = (flat[:, None] > np.asarray(thresholds)).mean(axis=0)
    return share


def probability_of_improvement(first: Float, second: Float) -> float:
    """Return the chance that a run of ``first`` beats one of ``second``, ties counted half.

    Args:
        first: (runs,) or (runs, tasks); averaged over tasks.
        second: likewise, with as many tasks.
    """
    ours, theirs = _strata(_finite(first)), _strata(_finite(second))
    chances = []
    for a, b in zip(ours, theirs, strict=True):
        wins = (a[:, None] > b).mean() + 0.5 * (a[:, None] == b).mean()
        chances.append(float(wins))
    return float(np.mean(chances))


def paired_difference(
    first: Float, second: Float, *, rng: np.random.Generator, repetitions: int = 2000
) -> tuple[float, float, float]:
    """Return the IQM difference of runs with equal seeds, and its 95 % bootstrap interval.

    Args:
        first: (runs,) scores, run i under seed i.
        second: (runs,) scores under the same seeds.
        rng: draws the resamples.
        repetitions: number of resamples.
    """
    a, b = _finite(first), _finite(second)
    if a.shape != b.shape or a.ndim != 1:
        raise DenseGymError(f"paired runs need equal seeds; given shapes {a.shape} and {b.shape}")
    rows = rng.integers(0, len(a), (repetitions, len(a)))
    differences = _iqm_rows(a[rows]) - _iqm_rows(b[rows])
    low, high = np.quantile(differences, [0.025, 0.975])
    return iqm(a) - iqm(b), float(low), float(high)


def kaplan_meier_median(times: Sequence[float], reached: Sequence[bool]) -> float | None:
    """Return the median time to an event under censoring, or None while fewer than half had it.

    Args:
        times: time of the event, or of the end of observation.
        reached: whether the event came.
    """
    if len(times) == 0:
        raise DenseGymError("no runs to take a median of")
    surviving = 1.0
    order = sorted(zip(times, reached, strict=True), key=lambda pair: (pair[0], not pair[1]))
    for index, (time, came) in enumerate(order):
        if came:
            surviving *= 1.0 - 1.0 / (len(order) - index)
            if surviving <= 0.5 + 1e-12:
                return float(time)
    return None
