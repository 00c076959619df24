"""How an episode came out: its return or what its infos told, its task, its answer."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.types import Episode


def outcome_of(episode: Episode, key: str, asker: str, *, total: float | None = None) -> float:
    """Return an episode's return, or the largest ``info[key]`` of its steps.

    Args:
        episode: judged as a whole.
        key: ``"return"`` or an info key.
        asker: who asks, for errors.
        total: the return, where it is not the world's own.

    Raises:
        RewardError: no step tells the key, or what was told is NaN or infinite.
    """
    told = [float(info[key]) for info in episode.info if key in info]
    if key == "return":
        told = [float(episode.env_reward.sum()) if total is None else total]
    if not told:
        known = sorted(k for k, v in episode.info[-1].items() if isinstance(v, int | float))
        raise RewardError(
            f'no step told info["{key}"] for {asker}; it could read "return" or {known}'
        )
    if not all(map(math.isfinite, told)):
        raise RewardError(
            f"{asker} cannot judge an episode by {key} = {told}, in lane {episode.slot}. Mend what "
            "the world tells."
        )
    return max(told)


@dataclass(frozen=True, slots=True)
class Ending:
    """What is compared of an episode.

    Attributes:
        value: its outcome.
        success: whether the outcome met the threshold.
        task: what names its task; None where nothing does, as if all were of one.
        answer: what it came to; None where it came to nothing.
    """

    value: float
    success: bool
    task: Hashable
    answer: Hashable


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingReader:
    """Reads how episodes ended.

    Attributes:
        asker: for errors.
        success: ``"return"`` or the info key that success is read from.
        threshold: an outcome of at least this is a success.
        task_key: the info key that names the task; None takes all episodes for one task.
        answer: the info key of the answer, read when the world ended the episode; where no step
            tells it, the answer is whether the episode succeeded.
    """

    asker: str
    success: str
    threshold: float
    task_key: str | None
    answer: str | None = None

    def __call__(self, episode: Episode, total: float) -> Ending:
        """Return the ending of an episode whose return is ``total``.

        Raises:
            RewardError: its outcome cannot be read.
        """
        value = outcome_of(episode, self.success, self.asker, total=total)
        succeeded = value >= self.threshold
        task = None if self.task_key is None else episode.info[-1].get(self.task_key)
        answer: Hashable = succeeded
        if self.answer is not None and any(self.answer in info for info in episode.info):
            told = episode.info[-1].get(self.answer) if episode.terminated else None
            answer = str(told) if told else None
        return Ending(value, succeeded, _name(task), answer)


def packed_ending(ending: Ending) -> list[Any]:
    """Return an ending as plain values, for checkpoints."""
    return [ending.value, ending.success, ending.task, ending.answer]


def unpacked_ending(packed: Sequence[Any]) -> Ending:
    """Return the ending of which ``packed_ending`` made plain values."""
    return Ending(*packed)


def _name(task: object) -> Hashable:
    """Return what names a task as a plain value, so that checkpoints can hold it."""
    plain = task.item() if isinstance(task, np.generic) else task
    return plain if plain is None or isinstance(plain, bool | int | float | str) else str(plain)
