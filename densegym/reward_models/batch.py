"""Batches of observations: arrays, dicts and tuples of arrays, lists of text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from densegym.reward_models.types import Bool, Float, Int

_FEW = 32


@lru_cache(maxsize=256)
def all_true(count: int) -> Bool:
    """Return a shared read-only (count,) array of True; ``is`` on it skips a reduction."""
    array = np.ones(count, dtype=np.bool_)
    array.flags.writeable = False
    return array


def all_finite(values: Float) -> bool:
    """Return whether no entry of a (B,) array is NaN or infinite."""
    if len(values) <= _FEW:  # a sum of Python floats starts sooner than a NumPy reduction
        return math.isfinite(sum(values.tolist()))
    return math.isfinite(values.sum())


def map_leaves(leaf: Callable[..., Any], first: Any, *others: Any) -> Any:
    """Apply ``leaf`` to the arrays (or lists) of equally nested batches."""
    if isinstance(first, dict):
        return {
            key: map_leaves(leaf, value, *(other[key] for other in others))
            for key, value in first.items()
        }
    if isinstance(first, tuple):
        return tuple(map_leaves(leaf, *leaves) for leaves in zip(first, *others, strict=True))
    return leaf(first, *others)


def add_axis(observation: Any) -> Any:
    """Return a batch of one row; arrays are copied, because hosts may reuse their buffers."""
    return map_leaves(_add_axis_leaf, observation)


def _add_axis_leaf(leaf: Any) -> Any:
    return [leaf] if isinstance(leaf, str) else np.array(leaf, copy=True)[None]


def take(batch: Any, rows: Int) -> Any:
    """Return copies of the given rows of a batch."""
    return map_leaves(
        lambda leaf: [leaf[row] for row in rows] if isinstance(leaf, list) else leaf[rows], batch
    )


def stack(observations: Sequence[Any]) -> Any:
    """Return one batch from single observations of equal structure."""
    return map_leaves(
        lambda *leaves: list(leaves) if isinstance(leaves[0], str) else np.stack(leaves),
        *observations,
    )


def replace_rows(batch: Any, rows: Sequence[int], observations: Sequence[Any]) -> Any:
    """Return a copy of ``batch`` whose given rows are replaced by single observations."""

    def leaf(values: Any, *fresh: Any) -> Any:
        copy = values.copy()
        for row, value in zip(rows, fresh, strict=True):
            copy[row] = value
        return copy

    return map_leaves(leaf, batch, *observations)


class LaneStore:
    """The latest observation of every lane, kept as copies because hosts reuse their buffers."""

    def __init__(self, slots: Int) -> None:
        self.slots = slots
        self._lanes = len(slots)
        self._batch: Any = None

    def put(self, slot: Int, batch: Any) -> None:
        """Copy the rows of ``batch`` into lanes ``slot``."""
        if self._batch is None:
            self._batch = map_leaves(self._allocate, batch)
        map_leaves(lambda kept, fresh: self._assign(kept, slot, fresh), self._batch, batch)

    def swap(self, slot: Int, batch: Any) -> Any:
        """Return lanes ``slot`` as they were and copy ``batch`` into them."""
        if slot is self.slots and type(batch) is np.ndarray:
            before, self._batch = self._batch, batch.copy()
            return before
        before = take(self._batch, slot)
        self.put(slot, batch)
        return before

    def _allocate(self, leaf: Any) -> Any:
        if isinstance(leaf, list):
            return [""] * self._lanes
        return np.zeros((self._lanes, *leaf.shape[1:]), dtype=leaf.dtype)

    @staticmethod
    def _assign(kept: Any, slot: Int, fresh: Any) -> None:
        if isinstance(kept, list):
            for lane, value in zip(slot, fresh, strict=True):
                kept[lane] = value
        else:
            kept[slot] = fresh
