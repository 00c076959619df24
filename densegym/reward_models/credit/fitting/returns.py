"""Whose return is spread: the world's own, or the one of a task's hand-written dense reward."""

from __future__ import annotations

from typing import Literal

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.batch import all_true
from densegym.reward_models.model import RewardModel
from densegym.reward_models.traits import Promises, Traits
from densegym.reward_models.types import Episode, Float, Need, Scores, Steps, TaskCard

Of = Literal["env", "expert"]


class ReturnCredit(RewardModel):
    """Pays nothing at step time; subclasses spread the return that ``"delayed"`` would pay.

    Args:
        task: the task's card.
        of: ``"env"`` or ``"expert"``, whose return is spread; None is the expert's where the task
            has an expert.

    Raises:
        RewardError: another ``of``, or ``"expert"`` where there is none.
    """

    traits = Traits(needs=Need.NOTHING, when="episode", promises=Promises("episode", causal=False))

    def __init__(self, task: TaskCard, of: Of | None = None) -> None:
        if of not in (None, "env", "expert"):
            raise RewardError(f'"{self.name}" takes of="env" or of="expert", not {of!r}')
        if of == "expert" and task.expert is None:
            raise RewardError(f'{task.id} has no expert; write "of": "env" for "{self.name}"')
        self._expert = task.expert is not None if of is None else of == "expert"
        self.traits = self.traits.replace(ends_at_success=False if self._expert else None)

    def score(self, steps: Steps) -> Scores:
        """Pay nothing at step time."""
        return Scores(np.zeros(len(steps.slot)), all_true(len(steps.slot)))

    def rewards(self, episode: Episode) -> Float:
        """Return the (T,) rewards whose sum is spread.

        Raises:
            RewardError: one of them is NaN or infinite.
        """
        paid = episode.env_reward
        if self._expert:
            paid = np.array([info["expert_reward"] for info in episode.info], dtype=np.float64)
        if not np.isfinite(paid).all():
            step = int(np.argmin(np.isfinite(paid)))
            raise RewardError(
                f'"{self.name}" cannot spread a return that is not finite: the world paid '
                f"{paid[step]} in lane {episode.slot} at step {step}. Mend the world's reward."
            )
        return paid
