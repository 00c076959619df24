"""Rewards that come from the world itself: its outcome, its expert's dense reward, its return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.batch import all_true
from densegym.reward_models.model import CombinedModel, LaneValues, RewardModel
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Float, Need, Scores, Starts, Steps, TaskCard


class EnvReward(RewardModel):
    """The world's own, honest outcome: ``reward="env"``."""

    name = "env"
    traits = Traits(needs=Need.NOTHING)

    def score(self, steps: Steps) -> Scores:
        """Return the world's reward."""
        return Scores(reward=steps.env_reward, valid=all_true(len(steps.slot)))


class ExpertReward(RewardModel):
    """The suite's hand-written dense reward: ``reward="expert"``.

    Such rewards are positive at every step, so an agent that ends its episodes by succeeding cuts
    off a stream of pay; training therefore asks for episodes that go on after success.

    Args:
        task: the task's card.

    Raises:
        RewardError: the task has no expert.
    """

    name = "expert"
    traits = Traits(needs=Need.NOTHING, ends_at_success=False)

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


class DelayedReward(CombinedModel):
    """The whole undiscounted return, paid on the last step: ``reward="delayed"``.

    Pays the expert's return where the task has an expert and the world's outcome elsewhere, so
    that dense tasks become test beds for credit assignment. At a time limit everything has been
    paid, so learners must not add the value of the last state, which is that of returns paid for
    the past.

    Args:
        task: the task's card.
        of: whose return is paid; None is the expert's where the task has an expert.
    """

    name = "delayed"
    traits = Traits(needs=Need.NOTHING, bootstraps=False)

    def __init__(self, task: TaskCard, of: Literal["env", "expert"] | None = None) -> None:
        if of is None:
            of = "env" if task.expert is None else "expert"
        if of not in ("env", "expert"):
            raise RewardError(f'reward "delayed" takes of="env" or of="expert", not {of!r}')
        source = EnvReward() if of == "env" else ExpertReward(task)
        self.children = (source,)
        self.traits = self.traits.replace(ends_at_success=source.traits.ends_at_success)
        self._sum = LaneValues()
        self.memory = {"sum": self._sum}

    def started(self, starts: Starts) -> None:
        """Start a new sum."""
        self._sum.reset(starts.slot)

    def combine(self, steps: Steps, said: Sequence[Scores]) -> Scores:
        """Pay 0 until the episode ends by either clock, then the sum."""
        self._sum.values[steps.slot] += said[0].reward
        ended = steps.terminated | steps.truncated
        paid: Float = np.where(ended, self._sum.values[steps.slot], 0.0)
        return Scores(reward=paid, valid=all_true(len(steps.slot)))
