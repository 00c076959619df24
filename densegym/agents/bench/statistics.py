"""Statistics of benchmark tables: IQM, stratified bootstrap, profiles, paired comparisons.

Definitions follow Agarwal et al. 2021 (Deep RL at the Edge of the Statistical Precipice). The
generator is always passed in, so every interval can be reproduced.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from densegym.errors import DenseGymError, unknown
from densegym.reward_models.types import Float

# One (repetitions, runs) array per task in, (repetitions,) values out.
Statistic = Callable[[Sequence[Float]], Float]
Scores = Float | Sequence[float] | Sequence[Float]
Z95 = 1.959963984540054


def _finite(scores: Float, what: str = "scores") -> Float:
    array = np.asarray(scores, dtype=np.float64)
    if array.size == 0:
        raise DenseGymError(f"{what} are empty; a statistic needs at least one")
    if not np.isfinite(array).all():
        raise DenseGymError(f"{what} hold {int((~np.isfinite(array)).sum())} non-finite numbers")
    return array


def iqm(scores: Scores) -> float:
    """Return the interquartile mean: drop floor(N/4) from each end, average the rest.

    Args:
        scores: (runs,), (runs, tasks), or a list of (runs,) arrays, one per task.

    Raises:
        DenseGymError: empty or non-finite scores.

    Example:
        >>> iqm([0.0, 1.0, 2.0, 9.0])
        1.5
    """
    return _value(scores, _pooled_iqm)


def mean(scores: Scores) -> float:
    """Return the mean of all runs; scores as for ``iqm``."""
    return _value(scores, _pooled_mean)


def median(scores: Scores) -> float:
    """Return the median over tasks of each task's mean; scores as for ``iqm``."""
    return _value(scores, _median_of_means)


def _value(scores: Scores, statistic: Statistic) -> float:
    return float(statistic([task[None] for task in _strata(scores)])[0])


def _pooled_iqm(tasks: Sequence[Float]) -> Float:
    return _iqm_rows(np.concatenate(tasks, axis=1))


def _iqm_rows(rows: Float) -> Float:
    cut = rows.shape[1] // 4
    ordered = np.sort(rows, axis=1)
    kept: Float = ordered[:, cut : rows.shape[1] - cut].mean(axis=1)
    return kept


def _pooled_mean(tasks: Sequence[Float]) -> Float:
    means: Float = np.concatenate(tasks, axis=1).mean(axis=1)
    return means


def _median_of_means(tasks: Sequence[Float]) -> Float:
    means = np.stack([task.mean(axis=1) for task in tasks])
    medians: Float = np.median(means, axis=0)
    return medians


_STATISTICS: dict[str, Statistic] = {
    "iqm": _pooled_iqm,
    "mean": _pooled_mean,
    "median": _median_of_means,
}


def optimality_gap(scores: Scores, target: float = 1.0) -> float:
    """Return the mean shortfall from ``target``; scores above it do not make up for others."""
    return target - float(np.minimum(np.concatenate(_strata(scores)), target).mean())


def interval(
    scores: Scores,
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
        statistic: ``"iqm"``, ``"mean"`` or ``"median"`` (of task means).
        repetitions: number of resamples.
        level: coverage, between 0 and 1.

    Raises:
        UnknownNameError: an unknown statistic.
        DenseGymError: empty or non-finite scores, no repetitions, or a level outside (0, 1).
    """
    if statistic not in _STATISTICS:
        raise unknown("statistic", statistic, _STATISTICS)
    if repetitions < 1 or not 0.0 < level < 1.0:
        raise DenseGymError(
            "a bootstrap takes repetitions of at least 1 and a level between 0 and 1; "
            f"given {repetitions} and {level}"
        )
    tasks = _strata(scores)
    drawn = [task[rng.integers(0, len(task), (repetitions, len(task)))] for task in tasks]
    values = _STATISTICS[statistic](drawn)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return float(low), float(high)


def _strata(scores: Scores) -> list[Float]:
    """Return one (runs,) array per task."""
    if isinstance(scores, np.ndarray) and scores.ndim == 2:
        return list(_finite(scores).T)
    if isinstance(scores, np.ndarray) or not scores or np.ndim(scores[0]) == 0:
        tasks = [_finite(np.asarray(scores))]
    else:
        tasks = [_finite(np.asarray(task)) for task in scores]
    for task in tasks:
        if task.ndim != 1:
            raise DenseGymError(
                "scores are (runs,), (runs, tasks) or a list of (runs,); "
                f"given an array of shape {task.shape}"
            )
    return tasks


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


def performance_profile(scores: Scores, thresholds: Float) -> Float:
    """Return the share of runs that score above each threshold, (thresholds,) float64."""
    flat = np.concatenate(_strata(scores))
    share: Float = (flat[:, None] > np.asarray(thresholds)).mean(axis=0)
    return share


def probability_of_improvement(first: Scores, second: Scores) -> float:
    """Return the chance that a run of ``first`` beats one of ``second``, ties counted half.

    The Mann-Whitney U statistic over the number of pairs, averaged over tasks.

    Args:
        first: (runs,), (runs, tasks), or a list of (runs,) arrays, one per task.
        second: likewise, with as many tasks; the numbers of runs may differ.

    Raises:
        DenseGymError: empty or non-finite scores, or another number of tasks.
    """
    ours, theirs = _strata(first), _strata(second)
    if len(ours) != len(theirs):
        raise DenseGymError(
            f"both sides need the same tasks; given {len(ours)} and {len(theirs)} of them"
        )
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
        rng: draws the resamples; a resample takes the same seeds of both.
        repetitions: number of resamples.

    Returns:
        IQM of ``first`` minus IQM of ``second``, lower bound, upper bound.

    Raises:
        DenseGymError: empty or non-finite scores, or two shapes.
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
        times: (runs,) time of the event, or of the end of observation.
        reached: (runs,) whether the event came.

    Raises:
        DenseGymError: no runs, or two lengths.
    """
    if len(times) == 0:
        raise DenseGymError("no runs to take a median of")
    surviving = 1.0
    if len(times) != len(reached):
        raise DenseGymError(
            f"every time needs its event; given {len(times)} times and {len(reached)} events"
        )
    order = sorted(zip(times, reached, strict=True), key=lambda pair: (pair[0], not pair[1]))
    for index, (time, came) in enumerate(order):
        if came:
            surviving *= 1.0 - 1.0 / (len(order) - index)
            if surviving <= 0.5 + 1e-12:
                return float(time)
    return None
