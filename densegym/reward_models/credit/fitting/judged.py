"""What credits fitted to how episodes ended share: outcomes, the latest episodes, when to pay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack, cast

from densegym.errors import RewardError
from densegym.reward_models.credit.fitting.fitted import FittedCredit, Learning
from densegym.reward_models.credit.fitting.returns import Of
from densegym.reward_models.credit.fitting.store import EpisodeStore
from densegym.reward_models.credit.outcomes import EndingReader
from densegym.reward_models.types import TaskCard


class Judging(Learning, total=False):
    """Options of credits fitted to outcomes; a credit takes those that its ``options`` name.

    Attributes:
        success: ``"return"`` or the info key that outcomes are read from.
        threshold: an outcome of at least this is a success.
        recent: episodes that are learned from.
        task_key: the info key that names a task; where no step tells it, or with None, all
            episodes are of one.
        answer: the info key of an episode's answer; None compares success and failure alone.
    """

    success: str
    threshold: float
    recent: int
    task_key: str | None
    answer: str | None


class JudgedCredit(FittedCredit):
    """Pays an episode by what was learned before it, then learns how it ended.

    Args:
        task: the task's card.
        of: whose return is compared under ``success="return"``.
        **options: those of ``options``; see ``Judging``.

    Raises:
        RewardError: fewer than two recent episodes.
    """

    drawn = 8
    pays_first = True
    options: ClassVar[Mapping[str, Any]] = {
        **FittedCredit.options,
        "success": "is_success",
        "threshold": 0.5,
        "recent": 512,
    }

    def __init__(self, task: TaskCard, of: Of | None = None, **options: Unpack[Judging]) -> None:
        # ``chosen`` holds whatever ``options`` names, these among them.
        super().__init__(task, of, **cast("Learning", options))
        recent = self.chosen["recent"]
        if recent < 2:
            raise RewardError(f'"{self.name}" takes recent from 2 up; given {recent}')
        self._read = EndingReader(
            asker=f'"{self.name}"',
            success=self.chosen["success"],
            threshold=self.chosen["threshold"],
            task_key=self.chosen.get("task_key"),
            answer=self.chosen.get("answer"),
        )
        self._store = EpisodeStore(episodes=recent)

    def _differ(self) -> bool:
        return True  # in their outcomes, which need not be their returns
