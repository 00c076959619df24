"""What a finished or running search amounts to: pure functions of its rows and clocks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from densegym.reward_models.authored.screening.ranking import spearman
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.search import winner
from densegym.reward_models.types import Float

_DRAWS = 2000


def summarise(rows: Sequence[Row], steps: int) -> dict[str, Any]:
    """Return the figures of a search as plain values.

    Args:
        rows: its ledger.
        steps: environment steps of a full training run.
    """
    best = winner(rows)
    judged = [row for row in rows if row.duplicate_of is None]
    failing = [row for row in judged if not row.status.passed]
    return {
        "candidates": len(rows),
        "statuses": dict(sorted(Counter(str(row.status) for row in rows).items())),
        "duplicates": len(rows) - len(judged),
        "stopped_before_training": sum(not row.rungs for row in failing),
        "failing": len(failing),
        "winner": None if best is None else best.id,
        "winner_F": None if best is None else best.fitness,
        "final_F": [] if best is None else [run["F_mean"] for run in best.final],
        "final_success": [] if best is None else [run["success"] for run in best.final],
        "search_steps": sum(int(row.rungs[-1]["env_steps"]) for row in rows if row.rungs),
        "final_steps": sum(int(run["env_steps"]) for row in rows for run in row.final),
        "steps_of_a_run": steps,
    }


def best_of_k(rows: Sequence[Row], *, seed: int = 0) -> dict[str, Any]:
    """Return the expected best F among k candidates drawn without replacement, k = 1 .. n.

    A candidate that failed a check or a screen counts as a candidate with the worst F seen, one
    that halving dropped with its F at the rung it reached, which favours nobody.

    Returns:
        ``k`` and, per k, ``mean``, ``low`` and ``high`` (95 % of the draws).
    """
    values = _values(rows)
    if len(values) == 0:
        return {"k": [], "mean": [], "low": [], "high": []}
    draws = np.random.default_rng(seed).permuted(np.tile(values, (_DRAWS, 1)), axis=1)
    running = np.maximum.accumulate(draws, axis=1)
    low, high = np.quantile(running, [0.025, 0.975], axis=0)
    return {
        "k": list(range(1, len(values) + 1)),
        "mean": running.mean(axis=0).tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
    }


def running_best(rows: Sequence[Row]) -> list[float]:
    """Return the best F after each candidate in the order of submission."""
    values = _values(rows)
    return [float(value) for value in np.maximum.accumulate(values)] if len(values) else []


def _values(rows: Sequence[Row]) -> Float:
    reached = [_highest(row) for row in rows if row.duplicate_of is None]
    known = [value for value in reached if value is not None]
    worst = min(known, default=0.0)
    return np.array([worst if value is None else value for value in reached])


def _highest(row: Row) -> float | None:
    """Return F at the highest rung a row was trained through, promoted to it or not."""
    trained = [*row.rungs, *row.audit]
    return float(trained[-1]["F_mean"]) if trained else None


def halving_check(rows: Sequence[Row], fractions: Sequence[float]) -> dict[str, Any]:
    """Compare halving with training every passing candidate in full, once both are in the ledger.

    Returns:
        Steps and best F of both, their ratio, and Spearman's correlation of every rung's ranking
        with the last one's.
    """
    whole = [[*row.rungs, *row.audit] for row in rows if row.rungs]
    whole = [trained for trained in whole if len(trained) == len(fractions)]
    promoted = [row for row in rows if len(row.rungs) == len(fractions)]
    halving = sum(int(row.rungs[-1]["env_steps"]) for row in rows if row.rungs)
    full = sum(int(trained[-1]["env_steps"]) for trained in whole)
    last = [trained[-1]["F_mean"] for trained in whole]
    return {
        "candidates": len(whole),
        "halving_steps": halving,
        "full_steps": full,
        "ratio": full / halving if halving else None,
        "halving_best_F": max((row.rungs[-1]["F_mean"] for row in promoted), default=None),
        "full_best_F": max(last, default=None),
        "spearman": {
            str(fraction): _correlation([trained[rung]["F_mean"] for trained in whole], last)
            for rung, fraction in enumerate(fractions[:-1])
        },
    }


def _correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    value = spearman(np.array(first), np.array(second))
    return value if math.isfinite(value) else None


def cost(clocks: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return CPU and wall seconds over all jobs of a search."""
    return {key: float(sum(line[key] for line in clocks)) for key in ("cpu_s", "wall_s")}
