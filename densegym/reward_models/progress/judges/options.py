"""Builds a judge's potential: whom it asks, and how its hops become Φ."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from densegym.errors import RewardError
from densegym.reward_models.progress.accumulate import Fusion
from densegym.reward_models.progress.judge import Judge
from densegym.reward_models.progress.judges.vision import LookingJudge
from densegym.reward_models.progress.potential import ProgressPotential
from densegym.reward_models.progress.vlm.access import Access
from densegym.reward_models.types import TaskCard

O = TypeVar("O")  # noqa: E741


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusing:
    """How hops become a potential; see ``ProgressPotential``.

    Attributes:
        fusion: the rule; None is the judge's own.
        every: steps between pictures.
        cameras: instead of the task card's.
        curve: bends the potential.
        cap: keep the potential below 0.9 until the judge says the task is done, which costs a
            second question per picture.
        smooth: share of the old potential kept.
        interpolate: the potential goes straight from one picture to the next.
        sentence: what is to be done, instead of the sentence of the task card.
        markers: show the simulator's sites and goal markers, where nothing else shows the goal.
    """

    fusion: Fusion | None = None
    every: int = 5
    cameras: tuple[str, ...] = ()
    curve: float = 0.0
    cap: bool = False
    smooth: float = 0.0
    interpolate: bool = False
    sentence: str = ""
    markers: bool = False


def builder(
    name: str, own: type[O], judge: Callable[[Access, O, int], LookingJudge]
) -> Callable[..., ProgressPotential]:
    """Return what builds the potential of a judge that asks a model.

    It takes a task, whose sentence is needed, a seed, and the options: ``Access``, ``own`` and
    ``Fusing``. It raises ``RewardError`` where no model is named or it is unusable, and where
    nothing says what is to be done.

    Args:
        name: of the judge.
        own: dataclass of the judge's options.
        judge: makes it from access, own options and seed.
    """

    def build(
        *, task: TaskCard, seed: int, access: Access, options: O, fusing: Fusing
    ) -> ProgressPotential:
        access.check(f"progress/{name}")
        if not (fusing.sentence or task.goal).strip():
            raise RewardError(
                f'"progress/{name}" is told the task in a sentence, and {task.id or "this task"} '
                'has none. Give the reward one: "sentence": "Open the drawer."'
            )
        made = judge(access, options, seed)
        return potential(name, made, fusing, made.fusion)

    build.__annotations__["options"] = own
    return build


def potential(name: str, judge: Judge, fusing: Fusing, fusion: Fusion) -> ProgressPotential:
    """Return the potential of a judge, by ``fusion`` unless the user names another rule."""
    values = {field.name: getattr(fusing, field.name) for field in dataclasses.fields(fusing)}
    rule: Fusion = fusing.fusion or fusion
    return ProgressPotential(judge, name=f"progress/{name}", **{**values, "fusion": rule})
