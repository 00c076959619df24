"""A judge that reads Φ off the brightness of a picture, so every number can be foretold."""

import numpy as np

from densegym.reward_models.progress.judge import BaseJudge, Verdict, hop_between
from densegym.reward_models.progress.potential import ProgressPotential
from densegym.reward_models.types import Pictures, Starts, Steps

LEVELS = 250


class Reading(BaseJudge):
    """``shift`` is added to every hop, so that two judges can be told apart."""

    name = "reading"
    pictures = Pictures(size=2)
    goal = np.array([1.0])

    def __init__(self, silent=(), shift: float = 0.0) -> None:
        self.silent, self.shift, self.batches = set(silent), shift, []

    def see(self, images):
        return super().see(images)[:, 0, 0, 0, 0] / LEVELS

    def hop(self, before, after, start, goal, text):
        self.batches.append(len(after))
        heard = np.array([round(value * LEVELS) not in self.silent for value in after])
        return Verdict(hop_between(before, after) + self.shift, heard)

    def done(self, image, text):
        return Verdict((image >= 1.0).astype(float), np.ones(len(image), dtype=bool))


def picture(phi) -> np.ndarray:
    """Return (B, 1, 2, 2, 3) pictures that show Φ."""
    level = np.round(np.atleast_1d(phi) * LEVELS).astype(np.uint8)
    return np.broadcast_to(level[:, None, None, None, None], (len(level), 1, 2, 2, 3)).copy()


def potential(judge=None, **options) -> ProgressPotential:
    return ProgressPotential(judge or Reading(), name="progress/reading", **options)


def starts(phi, slot=(0,)) -> Starts:
    count = len(slot)
    return Starts(np.array(slot), None, [{}] * count, picture([phi] * count), ["task"] * count)


def steps(phi, t, *, slot=(0,), terminated=False, truncated=False, env_reward=0.0) -> Steps:
    count = len(slot)
    return Steps(
        slot=np.array(slot),
        t=np.full(count, t),
        obs=None,
        action=None,
        next_obs=None,
        env_reward=np.full(count, float(env_reward)),
        terminated=np.full(count, terminated),
        truncated=np.full(count, truncated),
        info=[{}] * count,
        frame=picture(np.broadcast_to(phi, (count,))),
    )
