"""What every progress judge answers: how far one picture is from another, and whether it is done.

A judge sees pictures of V cameras, uint8 (B, V, H, W, 3). ``see`` prepares each picture once
(resized, encoded by a network, compressed for an endpoint) and its result is what ``hop`` and
``done`` are given, so that a start or a goal is never prepared twice. Judges keep nothing of an
episode; ``potential.ProgressPotential`` turns their hops into Φ in [0, 1].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from densegym.errors import DenseGymError
from densegym.reward_models.types import Bool, Float, Frames, Pictures

Seen: TypeAlias = npt.NDArray[Any]
"""Prepared pictures, leading axis B; only the judge that made them knows the rest."""


class Verdict(NamedTuple):
    """A judge's answer to B questions.

    Attributes:
        value: (B,) float64; hops in [-1, 1], done probabilities in [0, 1].
        valid: (B,) bool; False is an abstention, whose value nobody reads.
    """

    value: Float
    valid: Bool


@runtime_checkable
class Judge(Protocol):
    """Compares pictures; rows are independent, so lanes and whole rollouts batch alike.

    The hop of a pair is the progress made relative to what was left at ``before``, or, going
    backwards, to what had been reached there (Robo-Dopamine, arXiv 2512.23703):
    (Φ_after − Φ_before) / (1 − Φ_before) forwards, (Φ_after − Φ_before) / Φ_before backwards.
    """

    @property
    def name(self) -> str:
        """Name without family, e.g. ``"local"``."""

    @property
    def pictures(self) -> Pictures:
        """Which cameras and sizes the judge is made for."""

    @property
    def goal(self) -> Seen | None:
        """G seen reference pictures of the finished task (G, ...), or None."""

    @property
    def origin(self) -> float:
        """Φ of an episode's first picture; above 0 where states farther from the goal are known."""

    def see(self, images: Frames) -> Seen:
        """Prepare pictures (B, V, H, W, 3) uint8 once."""

    def hop(
        self, before: Seen, after: Seen, start: Seen, goal: Seen | None, text: Sequence[str]
    ) -> Verdict:
        """Judge B pairs; ``start`` (and ``goal``) hold one row per pair, ``text`` B sentences."""

    def done(self, image: Seen, text: Sequence[str]) -> Verdict:
        """Return the probability that the task of ``text`` is completed in each picture."""

    def batch(self) -> AbstractContextManager[None]:
        """Surround the questions about one batch of pictures, which share a deadline."""

    def metrics(self) -> dict[str, float]:
        """Return numbers for logs; ``model_calls`` and ``cost_usd`` reach the tables."""

    def close(self) -> None:
        """Let go of files, threads and connections; may be called twice."""

    def state_dict(self) -> dict[str, Any]:
        """Return what must survive a checkpoint, as arrays and plain values."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""


class BaseJudge(ABC):
    """Sees pictures as they are, knows no goal and abstains on ``done``; override what you know."""

    name: str = "judge"
    pictures: Pictures = Pictures()
    goal: Seen | None = None
    origin: float = 0.0

    def see(self, images: Frames) -> Seen:
        """Check the pictures and keep them."""
        return check_images(images, self.name)

    @abstractmethod
    def hop(
        self, before: Seen, after: Seen, start: Seen, goal: Seen | None, text: Sequence[str]
    ) -> Verdict:
        """Judge B pairs."""

    def done(self, image: Seen, text: Sequence[str]) -> Verdict:
        """Abstain."""
        return abstain(len(image))

    def batch(self) -> AbstractContextManager[None]:
        """Do nothing: most judges answer at once."""
        return nullcontext()

    def metrics(self) -> dict[str, float]:
        """Return no numbers."""
        return {}

    def close(self) -> None:  # noqa: B027  # most judges have nothing to let go of
        """Hold nothing."""

    def state_dict(self) -> dict[str, Any]:
        """Return no state."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Refuse a state that this judge cannot hold.

        Raises:
            ValueError: the state is not empty.
        """
        if state:
            raise ValueError(f'judge "{self.name}" keeps no state, but was given {sorted(state)}')


def abstain(count: int) -> Verdict:
    """Return ``count`` abstentions."""
    return Verdict(np.zeros(count), np.zeros(count, dtype=np.bool_))


def hop_between(before: Float, after: Float) -> Float:
    """Return the hop between absolute progress values in [0, 1]; for judges that know those.

    Equal values hop 0, and so do pairs with nothing left (or nothing reached) to divide by.
    """
    gap = after - before
    room = np.where(gap >= 0, 1.0 - before, before)
    return np.clip(np.divide(gap, room, out=np.zeros_like(gap), where=room > 0), -1.0, 1.0)


def check_images(images: Any, name: str) -> Frames:
    """Return pictures as they are if they are (B, V, H, W, 3) uint8.

    Raises:
        DenseGymError: another type or shape; says what was given.
    """
    array = np.asarray(images)
    if array.dtype != np.uint8 or array.ndim != 5 or array.shape[-1] != 3:
        raise DenseGymError(
            f'judge "{name}" takes pictures (B, V, H, W, 3) uint8; given {array.shape} '
            f"{array.dtype}"
        )
    return array
