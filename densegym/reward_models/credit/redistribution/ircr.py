"""Guidance rewards: every step of an episode is as good as the episode, on a scale of all seen.

IRCR, Gangwani et al. 2020, arXiv 2010.12718: the credit of a step is the mean reward of its
episode, scaled to [0, 1] by the lowest and highest in memory. Only the scale and the memory are
taken over; whose rows are replayed is the learner's affair.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from densegym.reward_models.credit.fitting.returns import Of, ReturnCredit
from densegym.reward_models.traits import Promises
from densegym.reward_models.types import Episode, Float, TaskCard


class IRCRCredit(ReturnCredit):
    """Every step earns (R/T − lowest) / (highest − lowest): ``reward="credit/ircr"``.

    Every step is paid 0 or more, which rewards staying alive in tasks that can end early and
    punishes reaching a goal soon. Where all returns are equal, 0 is paid.

    Args:
        task: the task's card.
        of: whose return is spread.
        recent: episodes of the first-in-first-out memory.
        best: episodes that are kept for their return, however old.
    """

    name = "credit/ircr"
    traits = ReturnCredit.traits.replace(
        promises=Promises("episode", causal=False, bounds=(0.0, 1.0))
    )

    def __init__(
        self, task: TaskCard, of: Of | None = None, *, recent: int = 300, best: int = 10
    ) -> None:
        super().__init__(task, of)
        self._recent: deque[float] = deque(maxlen=recent)
        self._kept, self._best = best, list[tuple[float, float]]()

    def finish(self, episodes: Sequence[Episode]) -> Sequence[Float]:
        """Return the scaled mean reward of each episode, once per step.

        Episodes that end together are scaled by the same memory, so their order does not matter.
        """
        paid = [self.rewards(one) for one in episodes]
        rates = [float(rewards.mean()) for rewards in paid]
        for rewards, rate in zip(paid, rates, strict=True):
            self._recent.append(rate)
            heapq.heappush(self._best, (float(rewards.sum()), rate))
        while len(self._best) > self._kept:
            heapq.heappop(self._best)
        seen = [*self._recent, *(rate for _, rate in self._best), *rates]
        low, high = min(seen, default=0.0), max(seen, default=0.0)
        return [
            np.full(len(r), _share(rate, low, high)) for r, rate in zip(paid, rates, strict=True)
        ]

    def state_dict(self) -> dict[str, Any]:
        """Return both memories."""
        return {"recent": np.array(self._recent), "best": np.array(self._best).reshape(-1, 2)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore both memories."""
        self._recent.clear()
        self._recent.extend(np.asarray(state["recent"]).tolist())
        self._best = [(total, rate) for total, rate in np.asarray(state["best"]).tolist()]


def _share(rate: float, low: float, high: float) -> float:
    return (rate - low) / (high - low) if high > low else 0.0
