"""What the local judge is told about demonstrations: Φ, done and the hand of every picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from densegym.reward_models.progress.demos import EXPERT, FOREIGN, HARVEST, Demo
from densegym.reward_models.types import Float, Frames

ORIGIN = 0.4
"""Φ of a start: states from which an expert needs up to 1 / (1 − 0.4) times as long lie below."""
_CUT, _HELD = (0.3, 0.8), 6  # share of an expert after which it stops; pictures it then stands


@dataclass(slots=True)
class Episode:
    """An episode of T steps with its labels.

    Attributes:
        pictures: (T + 1, V, H, W, 3) uint8.
        phi: (T + 1,) in [0, 1].
        done: (T + 1,) 1 where the success rule held.
        hand: (T + 1, 3) metres, NaN where unknown.
        expert: whether an expert acted, at least in the end.
        foreign: whether another controller acted that may have succeeded.
    """

    pictures: Frames
    phi: Float
    done: Float
    hand: Float
    expert: bool
    foreign: bool = False


def label(demo: Demo) -> Episode:
    """Return an episode with Φ = 1 − (1 − ``ORIGIN``) · (steps left) / (steps left at its start).

    Steps left are those that an expert would need from each state, where they were counted; an
    uncounted expert's are those that it took, and whoever else was not counted stands still at the
    start until the success rule holds.
    """
    count = len(demo.pictures)
    expert = demo.kind == EXPERT and demo.done_at is not None
    left: Float
    if demo.left is not None:
        left = demo.left
    elif expert:
        left = np.maximum((demo.done_at or 0) - np.arange(count), 0)
    else:
        left = np.where(demo.success, 0.0, 1.0)
    phi = np.clip(1.0 - (1.0 - ORIGIN) * left / max(left[0], 1.0), 0.0, 1.0)
    hand = np.full((count, 3), np.nan)
    if demo.state is not None and demo.places is not None:
        hand = demo.state[:, slice(*demo.places.gripper)]
    return Episode(
        pictures=demo.pictures,
        phi=phi,
        done=demo.success.astype(np.float64),
        hand=hand,
        expert=expert,
        foreign=demo.kind in FOREIGN or (demo.kind == HARVEST and bool(demo.success.any())),
    )


def parts(expert: Episode, rng: np.random.Generator) -> tuple[Episode, Episode]:
    """Return an expert that stops half-way, and its way back from there; neither succeeds."""
    cut = int(rng.uniform(*_CUT) * np.argmax(expert.done))
    held = np.concatenate([np.arange(cut + 1), np.full(_HELD, cut)])
    stops, returns = (
        Episode(
            expert.pictures[rows], expert.phi[rows], np.zeros(len(rows)), expert.hand[rows], False
        )
        for rows in (held, np.arange(cut, -1, -1))
    )
    return stops, returns
