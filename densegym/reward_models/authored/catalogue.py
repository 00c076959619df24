"""The authored rewards by name: the shipped programs, and a user's own file."""

from __future__ import annotations

from densegym.errors import RewardError
from densegym.reward_models.authored.programs import shipped
from densegym.reward_models.catalogue import RewardEntry
from densegym.reward_models.types import TaskCard


def _ships(task: TaskCard) -> bool:
    try:
        shipped.header_for_task(task)
    except RewardError:
        return False
    return True


def _newest(task: TaskCard) -> str:
    return shipped.header_for_task(task).name


def catalogue() -> tuple[RewardEntry, ...]:
    """Return a row for every shipped program, for the newest of a task, and for files.

    Raises:
        RewardError: a shipped program has no proper header.
    """
    programs = [
        RewardEntry(
            header.name,
            shipped.factory(header),
            header.summary,
            tasks=header.tasks,
            mode="shape" if header.is_potential else "replace",
        )
        for header in shipped.headers()
    ]
    return (
        RewardEntry(
            "authored",
            shipped.build_for_task,
            "the shipped reward program for the task",
            fits=_ships,
            remedy='--reward \'{"model": "authored/file", "path": "my_reward.py"}\', with a '
            "program of yours",
            alias=_newest,
        ),
        RewardEntry(
            "authored/file",
            "densegym.reward_models.authored.verification.file:build_file",
            "a program file of yours",
            supply={"path": "my_reward.py"},
        ),
        *programs,
    )
