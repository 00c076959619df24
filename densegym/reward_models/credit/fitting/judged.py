"""What credits fitted to how episodes ended share: outcomes, the latest episodes, when to pay."""

from __future__ import annotations

from dataclasses import dataclass

from densegym.errors import RewardError
from densegym.reward_models.credit.fitting.fitted import FittedCredit, Learning
from densegym.reward_models.credit.fitting.store import EpisodeStore
from densegym.reward_models.credit.outcomes import EndingReader
from densegym.reward_models.types import TaskCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging(Learning):
    """Options of credits fitted to outcomes.

    Attributes:
        of: whose return is compared under ``success="return"``; None is the expert's where the
            task has an expert.
        success: ``"return"`` or the info key that outcomes are read from.
        threshold: an outcome of at least this is a success.
        recent: episodes that are learned from.
    """

    success: str = "is_success"
    threshold: float = 0.5
    recent: int = 512


class JudgedCredit(FittedCredit):
    """Pays an episode by what was learned before it, then learns how it ended.

    Args:
        task: the task's card.
        options: see ``Judging``.
        seed: of weights and draws.
        task_key: the info key that names a task; where no step tells it, or with None, all
            episodes are of one.
        answer: the info key of an episode's answer; None compares success and failure alone.

    Raises:
        RewardError: fewer than two recent episodes.
    """

    drawn = 8
    pays_first = True
    options: Judging

    def __init__(
        self,
        task: TaskCard,
        options: Judging,
        *,
        seed: int = 0,
        task_key: str | None = None,
        answer: str | None = None,
    ) -> None:
        super().__init__(task, options, seed=seed)
        if options.recent < 2:
            raise RewardError(f'"{self.name}" takes recent from 2 up; given {options.recent}')
        self._read = EndingReader(
            asker=f'"{self.name}"',
            success=options.success,
            threshold=options.threshold,
            task_key=task_key,
            answer=answer,
        )
        self._store = EpisodeStore(episodes=options.recent)

    def _differ(self) -> bool:
        return True  # in their outcomes, which need not be their returns
