"""One filmed episode: its pictures, and what was paid and judged at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from densegym.reward_models.types import Bool, Float, Frames, Int


@dataclass(frozen=True, slots=True)
class Footage:
    """One filmed episode of T steps.

    Attributes:
        frames: T + 1 pictures (H, W, 3) uint8.
        paid: (T,) what the reward model paid, or zeros where nothing was.
        success: (T,) whether the success rule held, or None where nobody knows.
        abstained: (T,) whether the reward model had nothing to say.
        fps: frames per second of the world.
        title: what is shown.
        phi: (T + 1,) potential of every state, or None where the reward has none.
        hop: (T,) what a judge of pictures said of each step, NaN where none was shown to it.
        done: (T,) probability that the task is completed as a judge says, or None.
        seen: T + 1 pictures (V, S, S, 3) that a judge was shown, the latest at every state, or
            empty.
        at: (T + 1,) numbers of the pictures where they are no steps, or None.
    """

    frames: Sequence[Frames]
    paid: Float
    success: Float | None
    abstained: Bool
    fps: int
    title: str
    phi: Float | None = None
    hop: Float | None = None
    done: Float | None = None
    seen: Sequence[Frames] = ()
    at: Int | None = None

    @property
    def outcome(self) -> str:
        """How it ended, in words."""
        if self.success is None:
            assert self.phi is not None
            return f"Φ {self.phi[-1]:.2f} at the end, {self.phi.max():.2f} at most"
        if self.success.any():
            return f"success at step {int(np.argmax(self.success)) + 1}"
        return f"no success in {len(self.paid)} steps"
