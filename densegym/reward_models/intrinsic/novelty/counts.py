"""Count bonuses, over an episode and over the whole training.

The study of arXiv 2306.03236 pays a first visit of the episode, and 1/sqrt(N) globally.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from densegym.errors import unknown
from densegym.reward_models.batch import all_true
from densegym.reward_models.intrinsic.episode_counts import EpisodeCounts
from densegym.reward_models.intrinsic.keys import default_key, state_keys
from densegym.reward_models.model import RewardModel
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Float, Need, Scores, Starts, Steps, TaskCard

KINDS = ("first", "sqrt")


class _Counting(RewardModel):
    traits = Traits(mode="add", scale=0.1)

    def __init__(self, key: str | None, task: TaskCard | None) -> None:
        self._key = default_key(task) if key is None else key
        needs = Need.NOTHING if self._key == "captions" else Need.OBS
        self.traits = self.traits.replace(needs=needs)

    def _scores(self, paid: Float) -> Scores:
        return Scores(reward=paid, valid=all_true(len(paid)), parts={self.traits.terms[0]: paid})


class GlobalCount(_Counting):
    """Pays 1/sqrt(N), N the visits of the successor's key over all training and all lanes.

    Lanes that meet one key at the same step are all counted before any is paid, so their order
    plays no part.

    Args:
        key: what counts as the same state, see ``keys.state_keys``; None is the place in NetHack
            and the whole observation elsewhere.
        task: the task's card.
    """

    name = "intrinsic/count-v1"
    traits = _Counting.traits.replace(terms=("count",))

    def __init__(self, *, key: str | None = None, task: TaskCard | None = None) -> None:
        super().__init__(key, task)
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
        key: what counts as the same state, see ``keys.state_keys``; None is the place in NetHack
            and the whole observation elsewhere.
        kind: ``"first"`` or ``"sqrt"``.
        task: the task's card.
    """

    name = "intrinsic/episodic-count-v1"
    traits = _Counting.traits.replace(terms=("episodic-count",))

    def __init__(
        self,
        *,
        key: str | None = None,
        kind: Literal["first", "sqrt"] = "first",
        task: TaskCard | None = None,
    ) -> None:
        if kind not in KINDS:
            raise unknown("kind", kind, KINDS)
        super().__init__(key, task)
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
