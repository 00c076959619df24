"""Steps kept back, so that a costly model judges a whole rollout in one go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from densegym.reward_models.batch import map_leaves
from densegym.reward_models.types import RewardModel, Scores, Starts, Steps


class Deferral:
    """Keeps what a model would have been told, in order; copies, because hosts reuse buffers."""

    def __init__(self) -> None:
        self._events: list[Starts | Steps] = []

    def put(self, event: Starts | Steps) -> None:
        """Keep one batch."""
        owned = {
            "obs": map_leaves(_copy, event.obs),
            "info": [dict(info) for info in event.info],
        }
        if isinstance(event, Steps):
            owned["action"] = map_leaves(_copy, event.action)
            owned["next_obs"] = map_leaves(_copy, event.next_obs)
            owned["env_reward"] = event.env_reward.copy()
        self._events.append(event._replace(**owned))

    def take(self) -> list[Starts | Steps]:
        """Return what was kept, and keep nothing."""
        events, self._events = self._events, []
        return events


def _copy(leaf: Any) -> Any:
    return None if leaf is None else leaf.copy()


def replay(model: RewardModel, events: Sequence[Starts | Steps]) -> list[Scores]:
    """Tell a model what was kept back; return one ``Scores`` per ``Steps``, in order.

    A model that can judge many batches at once defines ``replay(events)``, which must leave it
    and answer exactly as ``begin`` and ``score`` one by one would; others are asked one by one.
    """
    if not _replays(type(model)):
        return one_by_one(model, events)
    judge: Any = model
    scores: list[Scores] = judge.replay(events)
    return scores


def _replays(kind: type) -> bool:
    """Whether ``replay`` belongs to the class's own ``score`` and not to one it has overridden."""
    definers = (base for base in kind.__mro__ if {"replay", "score"} & vars(base).keys())
    return "replay" in vars(next(definers, object))


def one_by_one(model: RewardModel, events: Sequence[Starts | Steps]) -> list[Scores]:
    """Tell a model what was kept back, as if nothing had been."""
    scores = []
    for event in events:
        if isinstance(event, Starts):
            model.begin(event)
        else:
            scores.append(model.score(event))
    return scores
