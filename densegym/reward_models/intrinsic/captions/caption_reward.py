"""What all caption rewards share: r = sum over a step's captions of f(c) / N(c)^beta."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from densegym.errors import DenseGymError
from densegym.reward_models.batch import all_true
from densegym.reward_models.intrinsic.annotation.source import LabelSource
from densegym.reward_models.intrinsic.canonical import step_captions
from densegym.reward_models.intrinsic.episode_counts import EpisodeCounts
from densegym.reward_models.model import RewardModel
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Float, Need, Scores, Starts, Steps

_SCORE = 9  # column of blstats


class Head(Protocol):
    """Turns labels into values of captions."""

    def update(self, grades: Mapping[str, float]) -> None:
        """Learn from the labels known by now; called when they changed."""

    def values(self, captions: Sequence[str]) -> Float:
        """Return the values (B,) float64 of captions, labelled or not."""

    def moved(self, occurrences: Mapping[str, int], total: int) -> bool:
        """Adapt to how often captions occurred; return whether values changed."""

    def metrics(self) -> dict[str, float]:
        """Return losses and the like for logs."""

    def state_dict(self) -> dict[str, Any]:
        """Return what must survive a checkpoint."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""


class CaptionReward(RewardModel):
    """Pays captions by a head's value, damped by their repetition within the episode (ONI).

    A step is paid sum over its canonical captions c of f(c) / N(c)^beta, N(c) counting the
    episode's steps that said c, this one included; a step without captions is paid 0. ONI
    (arXiv 2410.23022) takes the last line of a step as its one caption and pays the empty one
    like any other; here no line is lost and silence is worth nothing.

    Args:
        name: registered name.
        source: who labels.
        head: what turns labels into values.
        beta: exponent of the damping; 3 in ONI and Motif. What should pay at each repetition,
            killing for instance, needs 1 or less.
        update_every: fewest vector steps between two updates of the head.
    """

    traits = Traits(mode="add", scale=0.5, terms=("caption", "damping"))

    def __init__(
        self,
        name: str,
        source: LabelSource,
        head: Head,
        *,
        beta: float = 3.0,
        update_every: int = 64,
    ) -> None:
        if not 0.0 <= beta < np.inf:
            raise DenseGymError(f"beta is 0 or more; given {beta}")
        self.name = name
        self.source, self.head = source, head
        needs = Need.OBS if source.wants_gain else Need.NOTHING
        self.traits = self.traits.replace(needs=needs)
        self._beta = beta
        self._update_every = update_every
        self._open = True
        self._counts: EpisodeCounts[str] = EpisodeCounts()
        self._occurrences: dict[str, int] = {}
        self._cache: dict[str, float] = {}
        self._version = -1
        self._since_update = update_every
        self._total = self._spoken = self._covered = 0

    def begin(self, starts: Starts) -> None:
        """Empty the lanes' counters; the greeting is not counted."""
        self._counts.begin(starts.slot)

    def score(self, steps: Steps) -> Scores:
        """Return the damped values of every row's captions."""
        said = [step_captions(info) for info in steps.info]
        if self.source.wants_gain:
            self._tell_gains(steps, said)
        self._ask(said)
        self._refresh()
        raw, paid = np.zeros(len(said)), np.zeros(len(said))
        for row, (lane, captions) in enumerate(zip(steps.slot.tolist(), said, strict=True)):
            for caption in captions:
                value = self._value(caption)
                raw[row] += value
                paid[row] += value / self._counts.add(lane, caption) ** self._beta
        parts = {"caption": raw, "damping": paid - raw}
        return Scores(reward=paid, valid=all_true(len(paid)), parts=parts)

    def metrics(self) -> dict[str, float]:
        """Return the coverage and what the source and the head count.

        ``coverage`` is the share of steps with captions whose captions all had a label.
        """
        own = {
            "coverage": self._covered / self._spoken if self._spoken else 0.0,
            "captions": float(len(self._occurrences)),
            "labelled": float(len(self.source.grades)),
        }
        return {**own, **self.source.metrics(), **self.head.metrics()}

    def close(self) -> None:
        """Let go of the source's files and threads; may be called twice."""
        if self._open:
            self._open = False
            self.source.close()

    def state_dict(self) -> dict[str, Any]:
        """Return counters, the head's and the source's state."""
        return {
            "counts": self._counts.state_dict(),
            "occurrences": dict(self._occurrences),
            "since_update": self._since_update,
            "version": self._version,
            "steps": [self._total, self._spoken, self._covered],
            "head": self.head.state_dict(),
            "source": self.source.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        self._counts.load_state_dict(state["counts"])
        self._occurrences = dict(state["occurrences"])
        self._since_update = int(state["since_update"])
        self._total, self._spoken, self._covered = (int(n) for n in state["steps"])
        self.source.load_state_dict(state["source"])
        self.head.load_state_dict(state["head"])
        self._version = int(state["version"])
        self._cache.clear()

    def _ask(self, said: Sequence[tuple[str, ...]]) -> None:
        for captions in said:
            if not captions:
                continue
            labelled = [self.source.ask(caption) for caption in captions]
            self._spoken += 1
            self._covered += all(labelled)
            self._total += len(captions)
            for caption in captions:
                self._occurrences[caption] = self._occurrences.get(caption, 0) + 1

    def _tell_gains(self, steps: Steps, said: Sequence[tuple[str, ...]]) -> None:
        if not isinstance(steps.next_obs, dict) or "blstats" not in steps.next_obs:
            raise DenseGymError(
                'the "score" annotator reads observations with "blstats", as NetHack worlds have'
            )
        before, after = steps.obs["blstats"], steps.next_obs["blstats"]
        gains = (after[:, _SCORE] - before[:, _SCORE]).tolist()
        for captions, gain in zip(said, gains, strict=True):
            for caption in captions:
                self.source.learn(caption, float(gain))  # type: ignore[attr-defined]  # wants_gain

    def _refresh(self) -> None:
        self._since_update += 1
        stale = self.source.version != self._version
        if stale and self._since_update > self._update_every:
            self._version = self.source.version
            self._since_update = 0
            self.head.update(self.source.grades)
            self._cache.clear()
        if self.head.moved(self._occurrences, self._total):
            self._cache.clear()

    def _value(self, caption: str) -> float:
        value = self._cache.get(caption)
        if value is None:
            value = self._cache[caption] = float(self.head.values([caption])[0])
        return value
