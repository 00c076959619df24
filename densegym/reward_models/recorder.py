"""Whole episodes, gathered lane by lane for models with ``Need.EPISODE``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from densegym.reward_models.batch import map_leaves, stack
from densegym.reward_models.types import Episode, Float, Info, Starts, Steps


@dataclass(slots=True)
class _Trace:
    obs: list[Any]
    frames: list[Any]
    action: list[Any] = field(default_factory=list)
    env_reward: list[float] = field(default_factory=list)
    dense_reward: list[float] = field(default_factory=list)
    info: list[Info] = field(default_factory=list)


class EpisodeRecorder:
    """Collects rows into episodes and hands over those that ended."""

    def __init__(self, task: str = "") -> None:
        self._task = task
        self._traces: dict[int, _Trace] = {}

    def begin(self, starts: Starts) -> None:
        """Open an episode in every starting lane, dropping what an early reset cut off."""
        for row, slot in enumerate(starts.slot.tolist()):
            frames = [] if starts.frame is None else [starts.frame[row]]
            self._traces[slot] = _Trace(obs=[_row(starts.obs, row)], frames=frames)

    def record(self, steps: Steps, paid: Float) -> list[Episode]:
        """Append a batch of steps; return the episodes that it ended, in row order."""
        ended = []
        for row, slot in enumerate(steps.slot.tolist()):
            trace = self._traces[slot]
            trace.obs.append(_row(steps.next_obs, row))
            trace.action.append(_row(steps.action, row))
            trace.env_reward.append(float(steps.env_reward[row]))
            trace.dense_reward.append(float(paid[row]))
            trace.info.append(steps.info[row])
            if steps.frame is not None:
                trace.frames.append(steps.frame[row])
            if steps.terminated[row] or steps.truncated[row]:
                ended.append(self._close(slot, terminated=bool(steps.terminated[row])))
        return ended

    def open_episodes(self) -> Iterator[Episode]:
        """Yield what is known of unfinished episodes that have a step, as if cut off by a clock."""
        for slot, trace in self._traces.items():
            if trace.action:
                yield self._episode(slot, trace, terminated=False)

    def _close(self, slot: int, *, terminated: bool) -> Episode:
        return self._episode(slot, self._traces.pop(slot), terminated=terminated)

    def _episode(self, slot: int, trace: _Trace, *, terminated: bool) -> Episode:
        return Episode(
            slot=slot,
            obs=None if trace.obs[0] is None else stack(trace.obs),
            action=stack(trace.action),
            env_reward=np.array(trace.env_reward),
            dense_reward=np.array(trace.dense_reward),
            terminated=terminated,
            info=trace.info,
            frames=np.stack(trace.frames) if trace.frames else None,
            task=self._task,
        )


def _row(batch: Any, row: int) -> Any:
    if batch is None:
        return None
    return map_leaves(lambda leaf: leaf[row] if isinstance(leaf, list) else leaf[row].copy(), batch)
