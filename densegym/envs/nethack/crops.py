"""Observations copied out of the game's buffers, and the map around the agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

SIZE = 9  # MiniHack's crop
MARGIN = SIZE // 2
CROPPED = ("glyphs", "chars", "colors", "specials")


class Crops:
    """Copies the wanted entries out of buffers that the game overwrites at every step.

    ``<key>_crop`` is the (9, 9) part of a map around the agent, 0 beyond its edge, as MiniHack
    cuts it.

    Args:
        keys: wanted entries.
        buffers: names of the game's buffers, in order.
    """

    def __init__(self, keys: Sequence[str], buffers: Sequence[str]) -> None:
        self._copied = [(key, buffers.index(key)) for key in keys if key in buffers]
        self._cut = [(key, buffers.index(self.whole(key))) for key in keys if key not in buffers]
        self._blstats = buffers.index("blstats")
        self._order = tuple(keys)
        self._padded: dict[str, Any] = {}

    @staticmethod
    def whole(key: str) -> str:
        """Return the map that a crop is cut from; other keys as they are."""
        head, _, tail = key.rpartition("_")
        return head if tail == "crop" and head in CROPPED else key

    @classmethod
    def can(cls, key: str, buffers: Sequence[str]) -> bool:
        """Return whether the entry is a buffer or cut from one."""
        return cls.whole(key) in buffers

    def observe(self, buffers: Sequence[Any]) -> dict[str, Any]:
        """Return copies of the wanted entries, in the order they were wanted."""
        seen = {key: buffers[index].copy() for key, index in self._copied}
        if not self._cut:
            return seen
        blstats = buffers[self._blstats]
        column, row = blstats.item(0), blstats.item(1)
        for key, index in self._cut:
            seen[key] = self._crop(key, buffers[index], column, row)
        return {key: seen[key] for key in self._order}

    def _crop(self, key: str, whole: Any, column: int, row: int) -> Any:
        padded = self._padded.get(key)
        if padded is None:
            height, width = whole.shape
            padded = np.zeros((height + 2 * MARGIN, width + 2 * MARGIN), whole.dtype)
            self._padded[key] = padded
        padded[MARGIN:-MARGIN, MARGIN:-MARGIN] = whole
        return padded[row : row + SIZE, column : column + SIZE].copy()
