"""How often each lane has met a key in its episode."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Generic, TypeVar

from densegym.reward_models.types import Int

Key = TypeVar("Key", bound=Hashable)


class EpisodeCounts(Generic[Key]):
    """A counter per lane, emptied when an episode begins."""

    def __init__(self) -> None:
        self.lanes: dict[int, dict[Key, int]] = {}

    def begin(self, slot: Int) -> None:
        """Empty the counters of lanes that begin an episode."""
        for lane in slot.tolist():
            self.lanes[lane] = {}

    def add(self, lane: int, key: Key) -> int:
        """Count one occurrence; return how many there were, it included."""
        counts = self.lanes[lane]
        counts[key] = n = counts.get(key, 0) + 1
        return n

    def state_dict(self) -> dict[str, Any]:
        """Return every lane's counter."""
        return {"lanes": {lane: dict(counts) for lane, counts in self.lanes.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore every lane's counter."""
        self.lanes = {int(lane): dict(counts) for lane, counts in state["lanes"].items()}
