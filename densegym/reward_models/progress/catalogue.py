"""The progress rewards by name; nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from densegym.reward_models.catalogue import RewardEntry
from densegym.reward_models.progress.remarks import remark
from densegym.reward_models.progress.weights import weights_path
from densegym.reward_models.types import TaskCard

_PROGRESS = "densegym.reward_models.progress"
_ENDPOINT: Mapping[str, Any] = {"base_url": "http://127.0.0.1:8000/v1", "served": "MODEL"}


def _is_fitted(task: TaskCard) -> bool:
    return weights_path(task.id).is_file()


def _judge(
    name: str, summary: str, supply: Mapping[str, Any] = _ENDPOINT, *, trained: bool = False
) -> RewardEntry:
    """Return the row of a judge of pictures that is a module of its own.

    Args:
        name: of judge and module.
        summary: one line.
        supply: what a user must give.
        trained: whether its model knows one text, which is not ours to ship.
    """
    return RewardEntry(
        f"progress/{name}",
        f"{_PROGRESS}.judges.{name}:build",
        summary,
        asks=("pictures",),
        supply=supply,
        mode="shape",
        remark=remark if trained else None,
    )


CATALOGUE = (
    RewardEntry(
        "progress/oracle",
        f"{_PROGRESS}.oracle:OraclePotential",
        "progress read from the state; a bound",
        asks=("places",),
        mode="shape",
    ),
    RewardEntry(
        "progress/local",
        f"{_PROGRESS}.local.local_judge:build",
        "progress in pictures, a small model fitted here",
        asks=("pictures", "scripted expert"),
        fits=_is_fitted,
        remedy="densegym demos collect {task} && densegym fit progress/local --task {task}",
        mode="shape",
    ),
    _judge("vlac", "VLAC's critic of picture pairs; a checkpoint or an endpoint", trained=True),
    _judge(
        "grm",
        "Robo-Dopamine's GRM, eight pictures a question; a checkpoint or an endpoint",
        trained=True,
    ),
    _judge(
        "robometer",
        "Robometer's progress per picture; a checkpoint, or asked of an endpoint",
        trained=True,
    ),
    _judge(
        "rynnvalue",
        "RynnValue's remaining seconds; a checkpoint, or asked of an endpoint",
        trained=True,
    ),
    _judge(
        "roboreward", "RoboReward's grade from 1 to 5; a checkpoint or an endpoint", trained=True
    ),
    _judge("gvl", "shuffled frames valued by any vision-language model"),
    _judge("topreward", "how likely any vision-language model finds the task completed"),
    _judge(
        "stages",
        "stages of a task that any vision-language model tells apart",
        {**_ENDPOINT, "stages": ["reach it", "finish it"]},
    ),
    _judge(
        "embedding",
        "distance to goal pictures in a frozen ImageNet network",
        {"goal": ["goal.png"]},
    ),
    _judge(
        "perceptual",
        "steps of a task found in a few demonstrations, on frozen features",
        {"demos": ["demo-1.mp4", "demo-2.mp4"]},
    ),
)
