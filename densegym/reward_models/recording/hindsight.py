"""What a model says of whole episodes, and what stands in for it until they have ended."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
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
        return self._finished(self._recorder.record(steps, paid))

    def cut(self) -> list[tuple[int, Float, bool]]:
        """End all unfinished episodes as a clock would; returns and raises as ``finish``."""
        return self._finished(self._recorder.cut())

    def _finished(self, episodes: Sequence[Episode]) -> list[tuple[int, Float, bool]]:
        # Which lane an episode was played in decides nothing.
        episodes = sorted(episodes, key=_content) if len(episodes) > 1 else episodes
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

    def state_dict(self) -> dict[str, Any]:
        """Return the latest credits; unfinished episodes are not kept."""
        return {"shares": [list(share) for share in self._shares]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the latest credits."""
        self._shares.clear()
        self._shares.extend((float(share), int(steps)) for share, steps in state["shares"])

    def _checked(self, credit: Any, episode: Episode) -> Float:
        share = np.asarray(credit, dtype=np.float64)
        if share.shape != episode.env_reward.shape or not np.isfinite(share).all():
            raise RewardError(
                f'"{self.model.name}" returned credits of shape {share.shape} with '
                f"{np.count_nonzero(~np.isfinite(share))} non-finite entries for an episode of "
                f"{len(episode.env_reward)} steps; expected one finite number per step."
            )
        return share


def _content(episode: Episode) -> bytes:
    """Return what tells an episode from others, whichever lane it was played in."""
    told = hashlib.blake2b(digest_size=16)
    for leaf in (episode.env_reward, *_leaves(episode.action), *_leaves(episode.obs)):
        plain = leaf.tobytes() if isinstance(leaf, np.ndarray) else repr(leaf).encode()
        told.update(plain)
    return told.digest()


def _leaves(batch: Any) -> Iterator[Any]:
    if isinstance(batch, dict | tuple):
        for part in batch.values() if isinstance(batch, dict) else batch:
            yield from _leaves(part)
    else:
        yield batch
