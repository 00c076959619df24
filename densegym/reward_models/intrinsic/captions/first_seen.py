"""The control every caption reward stands beside: pay each caption the first time it is said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from densegym.errors import unknown
from densegym.reward_models.batch import all_true
from densegym.reward_models.intrinsic.canonical import step_captions
from densegym.reward_models.intrinsic.episode_counts import EpisodeCounts
from densegym.reward_models.model import RewardModel
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Need, Scores, Starts, Steps

SCOPES = ("episode", "global")


class FirstSeen(RewardModel):
    """Pays 1 for every canonical caption that was not said before in the scope.

    It reads no meaning, so a reward that does not beat it shows nothing about meaning.

    Args:
        scope: ``"episode"``, or ``"global"`` for the whole training, over all lanes; lanes that
            say a new caption at the same step share its payment, so their order plays no part.
    """

    name = "intrinsic/first-seen-v1"
    traits = Traits(needs=Need.NOTHING, mode="add", scale=0.5, terms=("first-seen",))

    def __init__(self, *, scope: Literal["episode", "global"] = "episode") -> None:
        if scope not in SCOPES:
            raise unknown("scope", scope, SCOPES)
        self._episodic = scope == "episode"
        self._counts: EpisodeCounts[str] = EpisodeCounts()
        self._said: set[str] = set()

    def begin(self, starts: Starts) -> None:
        """Forget what these lanes were told; the greeting is not counted."""
        self._counts.begin(starts.slot)

    def score(self, steps: Steps) -> Scores:
        """Return the number of new captions of every row."""
        paid = np.zeros(len(steps.slot))
        said = [step_captions(info) for info in steps.info]
        if self._episodic:
            for row, (lane, captions) in enumerate(zip(steps.slot.tolist(), said, strict=True)):
                paid[row] = sum(self._counts.add(lane, caption) == 1 for caption in captions)
        else:
            self._pay_global(said, paid)
        return Scores(reward=paid, valid=all_true(len(paid)), parts={"first-seen": paid})

    def _pay_global(self, said: list[tuple[str, ...]], paid: Any) -> None:
        finders: dict[str, list[int]] = {}
        for row, captions in enumerate(said):
            for caption in captions:
                if caption not in self._said:
                    finders.setdefault(caption, []).append(row)
        for caption, rows in finders.items():
            paid[rows] += 1.0 / len(rows)
            self._said.add(caption)

    def state_dict(self) -> dict[str, Any]:
        """Return what every lane was told, and what anyone was."""
        return {"counts": self._counts.state_dict(), "said": sorted(self._said)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        self._counts.load_state_dict(state["counts"])
        self._said = set(state["said"])
