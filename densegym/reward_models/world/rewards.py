"""Rewards that come from the world itself: its outcome, its expert's dense reward, its return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.base import BaseRewardModel, LaneValues
from densegym.reward_models.batch import all_true
from densegym.reward_models.types import Float, Need, Scores, Starts, Steps, TaskCard


class EnvReward(BaseRewardModel):
    """The world's own, honest outcome: ``reward="env"``."""

    name = "env"
    needs = Need.NOTHING

    def score(self, steps: Steps) -> Scores:
        """Return the world's reward."""
        return Scores(reward=steps.env_reward, valid=all_true(len(steps.slot)))


class ExpertReward(BaseRewardModel):
    """The suite's hand-written dense reward: ``reward="expert"``.

    Such rewards are positive at every step, so an agent that ends its episodes by succeeding cuts
    off a stream of pay; training therefore asks for episodes that go on after success.
    """

    name = "expert"
    needs = Need.NOTHING
    stops_at_success = False

    def __init__(self, task: TaskCard) -> None:
        if task.expert is None:
            raise RewardError(
                f'reward="expert" was given, but {task.id} has no trustworthy hand-written dense '
                f'reward. Use reward="env", or one that `densegym rewards --task {task.id}` lists.'
            )

    def score(self, steps: Steps) -> Scores:
        """Return ``info["expert_reward"]`` of every row."""
        dense = np.array([info["expert_reward"] for info in steps.info], dtype=np.float64)
        return Scores(reward=dense, valid=all_true(len(steps.slot)))


class DelayedReward(BaseRewardModel):
    """The whole undiscounted return, paid on the last step: ``reward="delayed"``.

    Pays the expert's return where the task has an expert and the world's outcome elsewhere, so
    that dense tasks become test beds for credit assignment. At a time limit everything has been
    paid, so learners must not add the value of the last state, which is that of returns paid for
    the past.
    """

    name = "delayed"
    needs = Need.NOTHING
    bootstraps = False

    def __init__(self, task: TaskCard, of: Literal["env", "expert"] | None = None) -> None:
        if of is None:
            of = "env" if task.expert is None else "expert"
        if of not in ("env", "expert"):
            raise RewardError(f'reward "delayed" takes of="env" or of="expert", not {of!r}')
        self._source = EnvReward() if of == "env" else ExpertReward(task)
        self.stops_at_success = self._source.stops_at_success
        self._sum = LaneValues()

    def begin(self, starts: Starts) -> None:
        """Start a new sum."""
        self._sum.reset(starts.slot)

    def score(self, steps: Steps) -> Scores:
        """Pay 0 until the episode ends by either clock, then the sum."""
        self._sum.values[steps.slot] += self._source.score(steps).reward
        ended = steps.terminated | steps.truncated
        paid: Float = np.where(ended, self._sum.values[steps.slot], 0.0)
        return Scores(reward=paid, valid=all_true(len(steps.slot)))

    def state_dict(self) -> dict[str, Any]:
        """Return the running sums."""
        return {"sum": self._sum.values.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the running sums."""
        self._sum.values = np.asarray(state["sum"], dtype=np.float64).copy()
