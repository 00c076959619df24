"""Rewards of a world's own milestones and progression, read from ``info``; mostly used as gates."""

from __future__ import annotations

from typing import Any

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.batch import all_true
from densegym.reward_models.model import LaneValues, RewardModel
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Info, Need, Scores, Starts, Steps


class MilestoneReward(RewardModel):
    """Pays 1 at the step on which a milestone is first reached in the episode.

    As a gate with ``gate_latch`` it opens there: ``{"model": ..., "gate": {"model": "milestone",
    "name": "depth-2"}, "gate_latch": true}``.

    Args:
        name: which one, e.g. ``"depth-2"``, ``"key-taken"``; None pays 1 for each of them.
    """

    traits = Traits(needs=Need.NOTHING, mode="add")

    def __init__(self, name: str | None = None) -> None:
        self.name = "milestone" if name is None else f"milestone:{name}"
        self._wanted = name

    def score(self, steps: Steps) -> Scores:
        """Count the milestones that each row's step reached."""
        met = [self._count(_read(info, "milestones")) for info in steps.info]
        return Scores(np.array(met, dtype=np.float64), all_true(len(met)))

    def _count(self, reached: tuple[str, ...]) -> int:
        return len(reached) if self._wanted is None else int(self._wanted in reached)


class ProgressionReward(RewardModel):
    """Pays what the dungeon progression metric rose by; it never falls within an episode.

    The metric is the share of human games that ended in ascension among those that reached the
    same dungeon or experience level (nle-progress). It is knowledge about the game, not learned.
    """

    name = "progression"
    traits = Traits(needs=Need.NOTHING, mode="add")

    def __init__(self) -> None:
        self._before = LaneValues()
        self.memory = {"before": self._before}

    def begin(self, starts: Starts) -> None:
        """Take note of where each episode starts."""
        values = [_read(info, "progression") for info in starts.info]
        self._before.reset(starts.slot, np.array(values, dtype=np.float64))

    def score(self, steps: Steps) -> Scores:
        """Return each row's rise."""
        now = np.array([_read(info, "progression") for info in steps.info], dtype=np.float64)
        rise = now - self._before.values[steps.slot]
        self._before.values[steps.slot] = now
        return Scores(rise, all_true(len(rise)))


def _read(info: Info, key: str) -> Any:
    if key not in info:
        raise RewardError(
            f'this reward reads info["{key}"], which the environment does not give. '
            "Use a DenseGym/NetHack or DenseGym/MiniHack world."
        )
    return info[key]
