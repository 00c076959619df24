"""Count bonuses, over an episode and over the whole training.

The study of arXiv 2306.03236 pays a first visit of the episode, and 1/sqrt(N) globally.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from densegym.errors import unknown
from densegym.reward_models.base import BaseRewardModel
from densegym.reward_models.batch import all_true
from densegym.reward_models.intrinsic.episode_counts import EpisodeCounts
from densegym.reward_models.intrinsic.keys import state_keys
from densegym.reward_models.types import Float, Mode, Need, Scores, Starts, Steps

KINDS = ("first", "sqrt")


class _Counting(BaseRewardModel):
    default_mode: Mode = "add"
    default_scale = 0.1

    def __init__(self, key: str) -> None:
        self._key = key
        self.needs = Need.NOTHING if key == "captions" else Need.OBS

    def _scores(self, paid: Float) -> Scores:
        return Scores(reward=paid, valid=all_true(len(paid)), parts={self.terms[0]: paid})


class GlobalCount(_Counting):
    """Pays 1/sqrt(N), N the visits of the successor's key over all training and all lanes.

    Lanes that meet one key at the same step are all counted before any is paid, so their order
    plays no part.

    Args:
        key: what counts as the same state; see ``keys.state_keys``.
    """

    name = "intrinsic/count-v1"
    terms = ("count",)

    def __init__(self, *, key: str = "position") -> None:
        super().__init__(key)
        self._visits: dict[int, int] = {}

    def score(self, steps: Steps) -> Scores:
        """Count every row's successor, then pay."""
        keys = state_keys(self._key, steps.next_obs, steps.info)
        for key in keys:
            self._visits[key] = self._visits.get(key, 0) + 1
        return self._scores(np.array([self._visits[key] ** -0.5 for key in keys]))

    def metrics(self) -> dict[str, float]:
        """Return how many different states were met."""
        return {"states": float(len(self._visits))}

    def state_dict(self) -> dict[str, Any]:
        """Return keys and visits."""
        return {
            "keys": np.fromiter(self._visits, dtype=np.int64, count=len(self._visits)),
            "visits": np.fromiter(self._visits.values(), dtype=np.int64, count=len(self._visits)),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore keys and visits."""
        pairs = zip(state["keys"].tolist(), state["visits"].tolist(), strict=True)
        self._visits = dict(pairs)


class EpisodicCount(_Counting):
    """Pays the successor's first visit of the episode (``first``), or 1/sqrt(N) (``sqrt``).

    The episode's first state counts as visited and is never paid.

    Args:
        key: what counts as the same state; see ``keys.state_keys``.
        kind: ``"first"`` or ``"sqrt"``.
    """

    name = "intrinsic/episodic-count-v1"
    terms = ("episodic-count",)

    def __init__(self, *, key: str = "position", kind: Literal["first", "sqrt"] = "first") -> None:
        if kind not in KINDS:
            raise unknown("kind", kind, KINDS)
        super().__init__(key)
        self._first = kind == "first"
        self._counts: EpisodeCounts[int] = EpisodeCounts()

    def begin(self, starts: Starts) -> None:
        """Count the first state of every beginning lane."""
        self._counts.begin(starts.slot)
        keys = state_keys(self._key, starts.obs, starts.info)
        for lane, key in zip(starts.slot.tolist(), keys, strict=True):
            self._counts.add(lane, key)

    def score(self, steps: Steps) -> Scores:
        """Count and pay every row's successor."""
        keys = state_keys(self._key, steps.next_obs, steps.info)
        visits = [
            self._counts.add(lane, key) for lane, key in zip(steps.slot.tolist(), keys, strict=True)
        ]
        paid = np.array([float(n == 1) if self._first else n**-0.5 for n in visits])
        return self._scores(paid)

    def state_dict(self) -> dict[str, Any]:
        """Return every lane's visits."""
        return self._counts.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore every lane's visits."""
        self._counts.load_state_dict(state)
