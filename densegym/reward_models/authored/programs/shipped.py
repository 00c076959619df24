"""The reward programs that ship with DenseGym, found by name or by task."""

from __future__ import annotations

from functools import lru_cache

from densegym import assets
from densegym.errors import RewardError
from densegym.reward_models.authored.programs.program import (
    Header,
    ProgramPotential,
    ProgramReward,
    build_program,
    read_header,
)
from densegym.reward_models.types import Factory, TaskCard

_FOLDER = "rewards"


@lru_cache(maxsize=1)
def headers() -> tuple[Header, ...]:
    """Return the headers of all shipped programs, sorted by file name."""
    found = []
    for stem in assets.names(_FOLDER, ".py"):
        header = read_header(assets.text(f"{_FOLDER}/{stem}.py"), f"{_FOLDER}/{stem}.py")
        if header.name != f"authored/{stem}":
            raise RewardError(f"{_FOLDER}/{stem}.py holds {header.name}; rename one of the two")
        found.append(header)
    return tuple(found)


def header_for_task(task: TaskCard) -> Header:
    """Return the newest shipped program for a task.

    Raises:
        RewardError: none ships for this task.
    """
    made = [header for header in headers() if task.id in header.tasks and not header.variant]
    if not made:
        raise RewardError(
            f'reward="authored" was given, but no program ships for {task.id}. '
            'Write one and type: --reward \'{"model": "authored/file", "path": "my_reward.py"}\'; '
            f"or have one written: densegym author run {task.id} --mailbox prompts. "
            "`densegym rewards` lists the tasks that have one."
        )
    return max(made, key=lambda header: int(header.name.rpartition("-v")[2]))


def factory(header: Header) -> Factory:
    """Return the registry factory of one program."""

    def build(*, task: TaskCard) -> ProgramReward | ProgramPotential:
        return build_program(header, task)

    return build


def build_for_task(*, task: TaskCard) -> ProgramReward | ProgramPotential:
    """Build the newest shipped program for a task: ``reward="authored"``."""
    return build_program(header_for_task(task), task)
