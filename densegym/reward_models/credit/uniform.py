"""The cheapest honest redistribution, beside which every other one is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.base import BaseRewardModel
from densegym.reward_models.batch import all_true
from densegym.reward_models.types import Episode, Float, Need, Scores, Steps, TaskCard


class UniformCredit(BaseRewardModel):
    """Every step of an episode earns R / T: ``reward="credit/uniform"``.

    R is what ``reward="delayed"`` would pay: the return of the expert's reward where the task has
    an expert, of the world's own elsewhere. The credits of an episode add up to R.

    Args:
        task: the task's card.
        of: ``"env"`` or ``"expert"``, whose return is spread.

    Raises:
        RewardError: another ``of``, or ``"expert"`` where there is none.
    """

    name = "credit/uniform"
    needs = Need.EPISODE

    def __init__(self, task: TaskCard, of: Literal["env", "expert"] | None = None) -> None:
        if of not in (None, "env", "expert"):
            raise RewardError(f'"{self.name}" takes of="env" or of="expert", not {of!r}')
        if of == "expert" and task.expert is None:
            raise RewardError(f'{task.id} has no expert; write "of": "env" for "{self.name}"')
        self._expert = task.expert is not None if of is None else of == "expert"
        self.stops_at_success = False if self._expert else None

    def score(self, steps: Steps) -> Scores:
        """Pay nothing at step time."""
        return Scores(np.zeros(len(steps.slot)), all_true(len(steps.slot)))

    def finish(self, episodes: Sequence[Episode]) -> Sequence[Float]:
        """Return R / T for every step."""
        return [np.full(len(one.env_reward), self._rewards(one).mean()) for one in episodes]

    def _rewards(self, episode: Episode) -> Float:
        if not self._expert:
            return episode.env_reward
        return np.array([info["expert_reward"] for info in episode.info], dtype=np.float64)
