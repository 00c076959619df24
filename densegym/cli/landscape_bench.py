"""``densegym bench landscape``: does climbing a judge's Φ lead to the object?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from densegym.cli.progress import bank_bar
from densegym.envs.tasks import task_card
from densegym.errors import require

_TASKS = "ButtonPress,WindowOpen,WindowClose,DoorUnlock,DoorClose,DrawerOpen"
_JUDGES = ("progress/local", "progress/oracle")
_TRUTH = "an expert's steps"


def landscape(*, envs: str | None, seeds: Sequence[int], as_json: bool) -> None:
    """Survey tasks and print how well each judge leads the way, means over placements.

    Raises:
        UnknownNameError: an unknown task, or one without a scripted expert.
        RewardError: ``progress/local`` has no weights for it; says what to type.
    """
    require("torch", extra="agents")
    from densegym.agents.studies import landscape as room
    from densegym.reward_models.spec import build_reward

    rows: dict[str, dict[str, dict[str, float]]] = {}
    for name in (envs or _TASKS).split(","):
        env_id = name if "/" in name else f"DenseGym/{name}-v0"
        card = task_card(env_id)
        judges: dict[str, Any] = {judge: build_reward(judge, task=card) for judge in _JUDGES}
        found: dict[str, list[dict[str, float]]] = {}
        for seed in seeds:
            with bank_bar(f"{card.id}, placement {seed}") as tell:
                seen = room.survey(card.id, seed, tell)
            for judge, shaped in judges.items():
                phi = room.value(shaped.potential, seen, card.goal)
                found.setdefault(judge, []).append(room.measure(phi, seen))
            found.setdefault(_TRUTH, []).append(room.measure(-seen.left, seen))
        rows[card.id] = {judge: _mean(many) for judge, many in found.items()}
    Console(width=100).print(_table(rows))
    if as_json:
        print(json.dumps(rows))


def _mean(many: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([one[name] for one in many])) for name in many[0]}


def _table(rows: dict[str, dict[str, dict[str, float]]]) -> Table:
    table = Table("task", "judge", "rank", "distance", "climbs", header_style="bold")
    for env_id, judges in rows.items():
        for judge, figures in judges.items():
            table.add_row(env_id, judge, *(f"{value:.2f}" for value in figures.values()))
    return table
