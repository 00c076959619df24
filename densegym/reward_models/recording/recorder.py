"""Episodes and rollouts, kept while they are played for rewards that judge them as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from densegym.reward_models.batch import map_leaves
from densegym.reward_models.model import Event
from densegym.reward_models.types import Episode, Float, Frames, Info, Starts, Steps


class _Batch(NamedTuple):
    """What one batch told, copied once for all its lanes."""

    obs: Any
    frame: Frames | None
    action: Any = None
    env_reward: Any = None
    dense_reward: Any = None
    info: Sequence[Info] = ()


_Trace = list[tuple[_Batch, int]]  # a batch and the lane's row in it; the start comes first


class EpisodeRecorder:
    """Collects rows into episodes and hands over those that ended.

    Batches are kept whole and cut up only when an episode ends, because work per lane and step
    would cost more than all the rest of relabelling.
    """

    def __init__(self, task: str = "") -> None:
        self._task = task
        self._traces: dict[int, _Trace] = {}

    def begin(self, starts: Starts) -> None:
        """Open an episode in every starting lane, dropping what an early reset cut off."""
        batch = _Batch(_copied(starts.obs), starts.frame, info=starts.info)
        for row, slot in enumerate(starts.slot.tolist()):
            self._traces[slot] = [(batch, row)]

    def record(self, steps: Steps, paid: Float) -> list[Episode]:
        """Append a batch of steps; return the episodes that it ended, in row order."""
        batch = _Batch(
            _copied(steps.next_obs),
            steps.frame,
            _copied(steps.action),
            steps.env_reward.tolist(),
            paid.tolist(),
            steps.info,
        )
        slots = steps.slot.tolist()
        for row, slot in enumerate(slots):
            self._traces[slot].append((batch, row))
        ended = np.flatnonzero(steps.terminated | steps.truncated)
        return [
            self._episode(slots[row], self._traces.pop(slots[row]), bool(steps.terminated[row]))
            for row in ended.tolist()
        ]

    def cut(self) -> list[Episode]:
        """Return what was played of unfinished episodes, as if cut off by a clock; forget them."""
        cut = list(self.open_episodes())
        self._traces.clear()
        return cut

    def open_episodes(self) -> Iterator[Episode]:
        """Yield what is known of unfinished episodes that have a step, as if cut off by a clock."""
        for slot, trace in self._traces.items():
            if len(trace) > 1:
                yield self._episode(slot, trace, terminated=False)

    def _episode(self, slot: int, trace: _Trace, terminated: bool) -> Episode:
        played = trace[1:]
        framed = any(batch.frame is not None for batch, _ in trace)
        return Episode(
            slot=slot,
            obs=_column(trace, "obs"),
            action=_column(played, "action"),
            env_reward=np.array([batch.env_reward[row] for batch, row in played]),
            dense_reward=np.array([batch.dense_reward[row] for batch, row in played]),
            terminated=terminated,
            info=[batch.info[row] for batch, row in played],
            start=trace[0][0].info[trace[0][1]],
            frames=_frames(trace) if framed else None,
            task=self._task,
        )


class RolloutRecorder:
    """Keeps what a reward would have been told, so that it judges a whole rollout in one go.

    Everything is copied, because hosts reuse their buffers.
    """

    def __init__(self) -> None:
        self._events: list[tuple[Event, int]] = []

    def put(self, event: Event, tick: int) -> None:
        """Keep one batch and its tick."""
        owned = {
            "obs": _copied(event.obs),
            "info": [dict(info) for info in event.info],
        }
        if isinstance(event, Steps):
            owned["action"] = _copied(event.action)
            owned["next_obs"] = _copied(event.next_obs)
            owned["env_reward"] = event.env_reward.copy()
        self._events.append((event._replace(**owned), tick))

    def take(self) -> list[tuple[Event, int]]:
        """Return what was kept, and keep nothing."""
        events, self._events = self._events, []
        return events


def _column(trace: _Trace, name: str) -> Any:
    if getattr(trace[0][0], name) is None:
        return None
    rows = [row for _, row in trace]

    def leaf(*leaves: Any) -> Any:
        picked = [values[row] for values, row in zip(leaves, rows, strict=True)]
        return picked if isinstance(leaves[0], list) else np.stack(picked)

    return map_leaves(leaf, *(getattr(batch, name) for batch, _ in trace))


def _frames(trace: _Trace) -> Frames:
    """Return the pictures of every state, zeros where none was taken of a whole batch."""
    blank = next(np.zeros_like(batch.frame[0]) for batch, _ in trace if batch.frame is not None)
    return np.stack([blank if b.frame is None else b.frame[row] for b, row in trace])


def _copied(batch: Any) -> Any:
    return map_leaves(lambda leaf: None if leaf is None else leaf.copy(), batch)
