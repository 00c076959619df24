"""From the demonstrations of a task to evaluated weights with a card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from densegym.errors import DenseGymError
from densegym.reward_models.progress import demos as files
from densegym.reward_models.progress import protocol
from densegym.reward_models.progress.demos import EXPERT, FAILURES, RANDOM, Demo
from densegym.reward_models.progress.local import fit
from densegym.reward_models.progress.local.local_judge import (
    CURVE,
    EVERY,
    FUSION,
    LocalJudge,
)
from densegym.reward_models.progress.potential import ProgressPotential
from densegym.reward_models.progress.weights import weights_path
from densegym.reward_models.types import TaskCard

MANY = {"pieces": 0, "shift": 0}
FEW = {"pieces": 4, "shift": 3}
"""How ``fit.train`` learns from few experts: parts made of each, and pixels pictures move by."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted model.

    Attributes:
        path: of the weights.
        evaluation: of the model as it is used, Φ bent by its curve.
        straight: of the same model with the curve left out.
        control: of a frame counter, which must fail.
        cost: ``updates``, ``cpu_s`` and last ``loss``.
    """

    path: Path
    evaluation: protocol.Evaluation
    straight: protocol.Evaluation
    control: protocol.Evaluation
    cost: dict[str, float]

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return a table: measures of the model, of its straight Φ and of the control."""
        return {
            "progress/local": self.evaluation.as_dict(),
            "curve 0": self.straight.as_dict(),
            "frame counter": self.control.as_dict(),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**self.rows(), "cost": self.cost, "weights": str(self.path)}


def fit_local(
    card: TaskCard,
    *,
    updates: int | None = None,
    seed: int = 0,
    out: Path | None = None,
    episodes: int | None = None,
    adapt: Path | None = None,
    on_update: Callable[[int, int], None] = lambda done, wanted: None,
) -> Fitted:
    """Train, evaluate and save ``progress/local`` for a task.

    From few ``episodes`` it learns as where nobody can script failures: from these, random episodes
    and parts of the few that stop half-way or go back. The evaluation is the same.

    Args:
        card: the task.
        updates: gradient steps; the default takes less than 90 CPU seconds.
        seed: of weights and batches.
        out: weights file; the user's cache by default.
        episodes: expert episodes to learn from, one is enough; all, and every failure, by default.
        adapt: weights of another task to go on from.
        on_update: told about done and wanted updates.

    Raises:
        DenseGymError: no demonstrations, says what to type; or fewer than ``episodes``; or weights
            for other pictures.
    """
    demos = files.load_for(card)
    torch.set_num_threads(1)
    shown = demos if episodes is None else _few(demos, episodes)
    options = {"updates": updates or fit.UPDATES, "rate": fit.RATE}
    options |= MANY if episodes is None else FEW
    judge, cost = _judge(
        card,
        shown,
        seed,
        on_update,
        network=None if adapt is None else LocalJudge.load(adapt).network,
        **options,
    )
    build = partial(_potential, judge)
    result = Fitted(
        path=out or weights_path(card.id),
        evaluation=protocol.evaluate(build, demos, card.goal),
        straight=protocol.evaluate(partial(build, curve=0.0), demos, card.goal),
        control=protocol.evaluate(partial(_counter, judge), demos, card.goal),
        cost=cost,
    )
    judge.card = {
        "task": card.id,
        "data": files.digest(demos),
        "seed": seed,
        "episodes": episodes,
        "adapted": None if adapt is None else adapt.name,
        "options": {**options, "fusion": FUSION, "every": EVERY, "curve": CURVE},
        "cost": cost,
        "metrics": result.evaluation.as_dict(),
    }
    judge.save(result.path)
    return result


def leave_one_out(card: TaskCard, *, updates: int | None = None, seed: int = 0) -> dict[str, float]:
    """Return the mean largest Φ in each kind of failure for a model that never saw that kind."""
    demos, seen = files.load_for(card), {}
    torch.set_num_threads(1)
    for kind in (kind for kind in FAILURES if any(demo.kind == kind for demo in demos)):
        kept = [demo for demo in demos if demo.kind != kind or demo.held_out]
        wanted = updates or fit.UPDATES
        judge, _ = _judge(card, kept, seed, lambda done, wanted: None, updates=wanted)
        seen[kind] = protocol.evaluate(partial(_potential, judge), demos, card.goal).max_phi[kind]
    return seen


def _few(demos: Sequence[Demo], episodes: int) -> list[Demo]:
    """Return the first experts that nothing displaced before, and random failures, uncounted."""
    training = [replace(demo, left=None) for demo in demos if not demo.held_out]
    experts = [demo for demo in training if demo.kind == EXPERT and not demo.expert_from]
    if not 1 <= episodes <= len(experts):
        raise DenseGymError(
            f"there are 1 to {len(experts)} expert episodes to learn from; given {episodes}"
        )
    return [*experts[:episodes], *(demo for demo in training if demo.kind == RANDOM)]


def _judge(
    card: TaskCard,
    demos: Sequence[Demo],
    seed: int,
    on_update: Callable[[int, int], None],
    **options: Any,
) -> tuple[LocalJudge, dict[str, float]]:
    network, cost = fit.train(demos, seed=seed, on_update=on_update, **options)
    look = files.look_of(card)
    told = {"pretty": look.pretty}
    return LocalJudge(network, fit.references(demos), look.cameras, told), cost


def _potential(judge: LocalJudge, *, curve: float = CURVE) -> ProgressPotential:
    return ProgressPotential(judge, name="progress/local", fusion=FUSION, every=EVERY, curve=curve)


def _counter(judge: LocalJudge) -> ProgressPotential:
    control = protocol.FrameCounter(judge.pictures)
    return ProgressPotential(
        control, name="progress/frame-counter", fusion="incremental", every=EVERY, cap=False
    )
