"""The subgoals of tasks, and who judges that one has been completed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from densegym import assets
from densegym.errors import DenseGymError
from densegym.reward_models.types import TaskCard

FILE = "captions/subgoals.toml"


class Subgoal(NamedTuple):
    """One subgoal.

    Attributes:
        text: what a judge is told.
        milestone: what ``info["milestones"]`` calls it, or empty where the world does not know it.
    """

    text: str
    milestone: str = ""


class Plan(NamedTuple):
    """The subgoals of a task.

    Attributes:
        key: under which tables of judgements are kept.
        task: the task's sentence.
        subgoals: in the order in which they are usually met.
    """

    key: str
    task: str
    subgoals: tuple[Subgoal, ...]


def plan_for(task: TaskCard, subgoals: Sequence[Any] | None = None) -> Plan:
    """Return the shipped plan of a task, or one made of a user's subgoals.

    Args:
        task: the task.
        subgoals: texts, or mappings with ``text`` and ``milestone``; None takes the shipped ones.

    Raises:
        DenseGymError: no plan ships for the task and none is given.
    """
    if subgoals is not None:
        return Plan(task.id, task.goal, tuple(_subgoal(item) for item in subgoals))
    for plan, match in _shipped().values():
        if match in task.id:
            return plan
    raise DenseGymError(
        f"no subgoals ship for {task.id}; name them: "
        '{"model": "intrinsic/calm", "subgoals": ["find the stairs", ...], "annotator": "endpoint"}'
    )


def find_plan(key: str) -> Plan:
    """Return a shipped plan by key.

    Raises:
        DenseGymError: there is none.
    """
    if key not in _shipped():
        raise DenseGymError(f'no subgoals "{key}" ship; known: {", ".join(_shipped())}')
    return _shipped()[key][0]


@cache
def _shipped() -> Mapping[str, tuple[Plan, str]]:
    tables = tomllib.loads(assets.text(FILE))
    return {
        key: (
            Plan(key, table["task"], tuple(_subgoal(item) for item in table["subgoal"])),
            str(table["match"]),
        )
        for key, table in tables.items()
    }


def _subgoal(item: Any) -> Subgoal:
    if isinstance(item, str):
        return Subgoal(item)
    try:
        return Subgoal(item["text"], item.get("milestone", ""))
    except (TypeError, KeyError, AttributeError):
        raise DenseGymError(
            f'a subgoal is a text, or {{"text": ..., "milestone": ...}}; given {item!r}'
        ) from None
