"""Steps kept back, so that a costly reward judges a whole rollout in one go."""

from __future__ import annotations

from typing import Any

from densegym.reward_models.batch import map_leaves
from densegym.reward_models.model import Event
from densegym.reward_models.types import Steps


class Deferral:
    """Keeps what a reward would have been told, in order; copies, because hosts reuse buffers."""

    def __init__(self) -> None:
        self._events: list[tuple[Event, int]] = []

    def put(self, event: Event, tick: int) -> None:
        """Keep one batch and its tick."""
        owned = {
            "obs": map_leaves(_copy, event.obs),
            "info": [dict(info) for info in event.info],
        }
        if isinstance(event, Steps):
            owned["action"] = map_leaves(_copy, event.action)
            owned["next_obs"] = map_leaves(_copy, event.next_obs)
            owned["env_reward"] = event.env_reward.copy()
        self._events.append((event._replace(**owned), tick))

    def take(self) -> list[tuple[Event, int]]:
        """Return what was kept, and keep nothing."""
        events, self._events = self._events, []
        return events


def _copy(leaf: Any) -> Any:
    return None if leaf is None else leaf.copy()
