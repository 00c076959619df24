"""Gates on whole episodes: what is learned pays only where the outcome says it may.

G-RA, Ye et al. 2025, arXiv 2508.10548: a lower reward is accumulated only if every higher one met
its threshold in that episode. The soft form, w = clip((R − low) / (high − low), 0, 1), is ours: it
spares the critic a beginning in which every gate is closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.credit.outcomes import outcome_of
from densegym.reward_models.types import Episode, Float

OnTruncation = Literal["close", "open", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HindsightGate:
    """Scales an episode's step rewards by whether its outcome met a threshold.

    Attributes:
        key: what is judged: ``"return"``, the world's, or an ``info`` key, whose largest value of
            the episode counts, e.g. ``"is_success"`` or ``"progression"``.
        threshold: met where the value is at least this; the paper's δ.
        soft: None for a hard gate, or the value at which a soft one begins to open; it is fully
            open at the threshold.
        on_truncation: what an episode does that the clock cut off: its outcome is unknown, so it
            closes the gate, opens it, or is judged by what it had reached.
        gate_negatives: whether negative rewards are held back as well; if not, failing early does
            not become attractive, but an agent is punished where it is not rewarded.
    """

    key: str = "return"
    threshold: float
    soft: float | None = None
    on_truncation: OnTruncation = "close"
    gate_negatives: bool = True

    def __post_init__(self) -> None:
        if self.soft is not None and not self.soft < self.threshold:
            raise RewardError(
                f"a soft gate begins to open below its threshold; given soft={self.soft} and "
                f"threshold={self.threshold}"
            )
        check_on_truncation(self.on_truncation)

    def __call__(self, steps: Float, episode: Episode) -> Float:
        """Return the (T,) rewards that pass."""
        share = self.opening(episode)
        if self.gate_negatives:
            return share * steps
        return np.where(steps > 0.0, share * steps, steps)

    def opening(self, episode: Episode) -> float:
        """Return how far the gate is open, 0 to 1.

        Raises:
            RewardError: no step of the episode tells the key, or it is NaN or infinite.
        """
        if not episode.terminated and self.on_truncation != "judge":
            return float(self.on_truncation == "open")
        value = outcome_of(episode, self.key, "the gate")
        if self.soft is None:
            return float(value >= self.threshold)
        return float(np.clip((value - self.soft) / (self.threshold - self.soft), 0.0, 1.0))


def check_on_truncation(given: str) -> None:
    """Refuse what is no ``OnTruncation``.

    Raises:
        RewardError: always then.
    """
    if given not in get_args(OnTruncation):
        raise RewardError(f'on_truncation is "close", "open" or "judge"; given {given!r}')


def parse(gate: Any) -> HindsightGate:
    """Read a gate as written in a specification: its attributes as a mapping, or a threshold.

    Raises:
        RewardError: something else, or an unknown attribute.
    """
    if isinstance(gate, int | float) and not isinstance(gate, bool):
        return HindsightGate(threshold=float(gate))
    try:
        return HindsightGate(**gate)
    except TypeError as error:
        known = ", ".join(HindsightGate.__slots__)
        raise RewardError(
            f"hindsight_gate takes a threshold or a mapping of {known}; given {gate!r}"
        ) from error
