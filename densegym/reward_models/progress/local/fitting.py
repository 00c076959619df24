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
from densegym.reward_models.progress.judge import BaseJudge
from densegym.reward_models.progress.local import fit
from densegym.reward_models.progress.local.cards import versions
from densegym.reward_models.progress.local.curve import choose_curve
from densegym.reward_models.progress.local.local_judge import EVERY, FUSION, LocalJudge
from densegym.reward_models.progress.local.network import ProgressNetwork
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
        evaluation: of the model as it is used.
        controls: of judges that know nothing, by name; each must miss every bar.
        curve: by which Φ is bent; see ``choose_curve``.
        cost: ``updates``, ``cpu_s`` and last ``loss``.
    """

    path: Path
    evaluation: protocol.Evaluation
    controls: dict[str, protocol.Evaluation]
    curve: float
    cost: dict[str, float]

    @property
    def passed(self) -> bool:
        """Whether the model passed its evaluation."""
        return self.evaluation.passed

    @property
    def void(self) -> dict[str, list[str]]:
        """Measures that a control reaches, by control: on these episodes they say nothing."""
        return {name: seen.reached for name, seen in self.controls.items() if seen.reached}

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return a table: measures of the model and of the controls."""
        judged = {"progress/local": self.evaluation, **self.controls}
        return {name: seen.as_dict() for name, seen in judged.items()}

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        told = {
            "missed": self.evaluation.missed,
            "void": self.void,
            "curve": self.curve,
            "cost": self.cost,
        }
        return {**self.rows(), **told, "weights": str(self.path)}


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
    judge.card = {
        "task": card.id,
        "versions": versions(),
        "data": files.digest(demos),
        "seed": seed,
        "episodes": episodes,
        "adapted": None if adapt is None else adapt.name,
        "options": {
            **options,
            "fusion": FUSION,
            "every": EVERY,
            "curve": choose_curve(partial(_potential, judge, curve=0.0), shown, card.goal),
        },
        "cost": cost,
    }
    return _evaluated(judge, card, demos, out or weights_path(card.id))


def check_local(card: TaskCard, *, weights: Path | None = None) -> Fitted:
    """Evaluate weights again, on all demonstrations that are here now, and note it on their card.

    Args:
        card: the task.
        weights: file; the user's cache by default.

    Raises:
        DenseGymError: no demonstrations or no weights, or those of another task; says what to type.
    """
    path = weights or weights_path(card.id)
    if not path.is_file():
        raise DenseGymError(
            f"there are no weights at {path}. Type: densegym fit progress/local --task {card.id}"
        )
    torch.set_num_threads(1)
    judge = LocalJudge.load(path)
    if judge.card.get("task") != card.id or "options" not in judge.card:
        raise DenseGymError(
            f"{path} was fitted for {judge.card.get('task', 'no task that it names')}; given "
            f"{card.id}. Type: densegym fit progress/local --task {card.id}"
        )
    return _evaluated(judge, card, files.load_for(card), path)


def _evaluated(judge: LocalJudge, card: TaskCard, demos: Sequence[Demo], path: Path) -> Fitted:
    """Evaluate a judge and its controls, and save it with what was found."""
    curve, seed = float(judge.card["options"]["curve"]), int(judge.card["seed"])
    seen = protocol.evaluate(partial(_potential, judge, curve=curve), demos, card.goal)
    blind = {
        name: protocol.evaluate(build, demos, card.goal)
        for name, build in controls(judge, seed).items()
    }
    judge.card |= {"metrics": seen.as_dict(), "missed": seen.missed}
    judge.save(path)
    return Fitted(path, seen, blind, curve, judge.card["cost"])


def leave_one_out(card: TaskCard, *, updates: int | None = None, seed: int = 0) -> dict[str, float]:
    """Return the gap to each kind of failure for a model that never saw that kind."""
    demos, seen = files.load_for(card), {}
    torch.set_num_threads(1)
    for kind in (kind for kind in FAILURES if any(demo.kind == kind for demo in demos)):
        kept = [demo for demo in demos if demo.kind != kind or demo.held_out]
        wanted = updates or fit.UPDATES
        judge, _ = _judge(card, kept, seed, lambda done, wanted: None, updates=wanted)
        build = partial(_potential, judge, curve=0.0)
        seen[kind] = protocol.evaluate(build, demos, card.goal).gaps[kind]
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


def _potential(judge: LocalJudge, *, curve: float) -> ProgressPotential:
    return ProgressPotential(judge, name="progress/local", fusion=FUSION, every=EVERY, curve=curve)


def controls(judge: LocalJudge, seed: int) -> dict[str, Callable[[], ProgressPotential]]:
    """Return what makes judges that know nothing and look at the same pictures, by name."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        blank = ProgressNetwork(judge.network.views, judge.network.size)
    random = LocalJudge(blank, judge.reference, judge.pictures.cameras)
    counting: dict[str, BaseJudge] = {
        "frame counter": protocol.FrameCounter(judge.pictures),
        "constant": protocol.Constant(judge.pictures),
    }
    return {
        "random weights": partial(_potential, random, curve=0.0),
        **{
            name: partial(
                ProgressPotential,
                control,
                name=f"progress/{control.name}",
                fusion="incremental",
                every=EVERY,
                cap=False,
            )
            for name, control in counting.items()
        },
    }
