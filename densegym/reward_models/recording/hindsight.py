"""What a model says of whole episodes, and what stands in for it until they have ended."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.model import RewardModel
from densegym.reward_models.recording.recorder import EpisodeRecorder
from densegym.reward_models.types import Episode, Float, Starts, Steps

_RECENT = 100  # finished episodes whose mean rate stands in for unknown credits


class Hindsight:
    """Records episodes for a model whose pay is known when they have ended, and asks it then.

    Args:
        model: what is asked.
        task: the task's sentence.
    """

    def __init__(self, model: RewardModel, task: str) -> None:
        self.model = model
        self._recorder = EpisodeRecorder(task)
        self._shares: deque[tuple[float, int]] = deque(maxlen=_RECENT)

    def begin(self, starts: Starts) -> None:
        """Open an episode in every starting lane."""
        self._recorder.begin(starts)

    def finish(self, steps: Steps, paid: Float) -> list[tuple[int, Float, bool]]:
        """Record a batch; return slot, (T,) worth and whether the model spoke, per ended episode.

        The worth of a step is what was paid for it and its credit.

        Raises:
            RewardError: the model returned credits of a wrong shape or non-finite ones.
        """
        episodes = self._recorder.record(steps, paid)
        credits = self.model.finish(episodes) if episodes else []
        finished = []
        for episode, credit in zip(episodes, credits, strict=True):
            worth = episode.dense_reward
            if credit is not None:
                share = self._checked(credit, episode)
                self._shares.append((float(share.sum()), len(share)))
                worth = worth + share
            finished.append((episode.slot, worth, credit is not None))
        return finished

    def open_credits(self) -> list[tuple[int, Float]]:
        """Return slot and (t,) provisional worth of every unfinished episode that has some.

        Where the model has no estimate, each step counts the mean credit per step of the last 100
        episodes, so that a return nobody knows yet is not taken for zero.
        """
        known = []
        steps = sum(length for _, length in self._shares)
        rate = sum(share for share, _ in self._shares) / steps if steps else None
        for prefix in self._recorder.open_episodes():
            credit = self.model.estimate(prefix)
            if credit is not None:
                credit = self._checked(credit, prefix)
            elif rate is not None:
                credit = np.full(len(prefix.env_reward), rate)
            if credit is not None:
                known.append((prefix.slot, prefix.dense_reward + credit))
        return known

    def _checked(self, credit: Any, episode: Episode) -> Float:
        share = np.asarray(credit, dtype=np.float64)
        if share.shape != episode.env_reward.shape or not np.isfinite(share).all():
            raise RewardError(
                f'"{self.model.name}" returned credits of shape {share.shape} with '
                f"{np.count_nonzero(~np.isfinite(share))} non-finite entries for an episode of "
                f"{len(episode.env_reward)} steps; expected one finite number per step."
            )
        return share
