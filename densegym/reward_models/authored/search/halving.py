"""Successive halving: who trains on to the next rung (Jamieson and Talwalkar 2016)."""

from __future__ import annotations

from collections.abc import Sequence

from densegym.reward_models.authored.search.candidate import Row


def rank_key(row: Row) -> tuple[float, float, float]:
    """Return what rows are ranked by, larger is better: F first.

    Two programs often share F = 0 at the first rung of a sparse task, or F = 1 at the last; the
    share of successful training episodes, then the shorter episode, decides between them. All
    three are the world's outcome.
    """
    if not row.rungs:
        return (float("-inf"), 0.0, 0.0)
    last = row.rungs[-1]
    return float(last["F_mean"]), float(last["training_success"]), -float(last["length"])


def promoted(rows: Sequence[Row], *, eta: int) -> list[Row]:
    """Return the best ``1/eta`` of the rows at a rung, at least one, best first.

    Ties keep the order of submission.
    """
    best_first = sorted(rows, key=rank_key, reverse=True)
    return best_first[: max(len(rows) // eta, 1)] if rows else []


def best(rows: Sequence[Row]) -> Row | None:
    """Return the best trained row: the highest rung reached counts first, then its rank there.

    F at a tenth of the budget says nothing against F at the whole of it.
    """
    trained = [row for row in rows if row.rungs]
    if not trained:
        return None
    return max(trained, key=lambda row: (len(row.rungs), rank_key(row)))
