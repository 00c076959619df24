"""Φ between pictures, where a whole rollout is known: straight lines instead of jumps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from densegym.reward_models.types import Bool, Float, Int, Starts, Steps, Values


def straight(
    events: Sequence[Starts | Steps],
    due: Sequence[Int],
    values: Sequence[Values],
    held: Float,
) -> list[Values]:
    """Return values with Φ on a line between first states and pictures that were judged.

    What follows the last picture of a rollout keeps its Φ, and the first line of the next rollout
    begins there, so that sums telescope over every cut. Rows whose judge abstained stay invalid.

    Args:
        events: of a rollout.
        due: rows of every event whose pictures were judged.
        values: Φ of every event.
        held: Φ of every lane before the first event.
    """
    if not events:
        return []
    slot = np.concatenate([event.slot for event in events])
    phi = np.concatenate([one.phi for one in values])
    seen = [
        np.ones(len(event.slot), np.bool_) if isinstance(event, Starts) else _at(rows, one.valid)
        for event, rows, one in zip(events, due, values, strict=True)
    ]
    known = np.concatenate(seen)
    for lane in np.unique(slot):
        rows = np.flatnonzero(slot == lane)
        knots = np.flatnonzero(known[rows])
        first = held[lane] if lane < len(held) else 0.0
        phi[rows] = np.interp(np.arange(len(rows)), [-1, *knots], [first, *phi[rows[knots]]])
    parts = np.split(phi, np.cumsum([len(event.slot) for event in events])[:-1])
    return [one._replace(phi=part) for part, one in zip(parts, values, strict=True)]


def _at(rows: Int, valid: Bool) -> Bool:
    """Return (B,) whether a row is among ``rows`` and its judge spoke."""
    spoke = np.zeros(len(valid), dtype=np.bool_)
    spoke[rows] = valid[rows]
    return spoke
