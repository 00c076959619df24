"""CARD: one program, introspected on recorded episodes until it ranks them rightly.

Sun et al. 2024, arXiv 2410.14660. A program that does not run, or pays failures more than
successes, goes back with the pair that it ranks worst, and costs no training. Later iterations
show the course of training at five points (process feedback) and the episodes that the program
pays most and least (trajectory feedback).

Departures: trajectory preference is the screen of the search (AUC over all pairs of discounted
returns), stricter than the paper's; episodes come from the trajectory bank, those of the
program's own policy where it holds some.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.authored.programs.runner import Scored, open_runner
from densegym.reward_models.authored.screening.bank import Bank, Trajectory
from densegym.reward_models.authored.screening.scoring import score_bank
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.context import Context
from densegym.reward_models.authored.search.halving import best
from densegym.reward_models.authored.writing import prompts, reflection
from densegym.reward_models.authored.writing.drafting import (
    Block,
    Drafting,
    Options,
    Prompt,
    read_options,
)
from densegym.reward_models.features import feature_names
from densegym.reward_models.sandbox.allowlist import inspect_source
from densegym.reward_models.types import Float, TaskCard

POINTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CardOptions(Options):
    """Options of ``card``.

    Attributes:
        introspections: most times a program goes back before any training; takes the place of
            ``repair_turns``.
    """

    introspections: int = 10

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            RewardError: a negative count.
        """
        Options.__post_init__(self)
        if self.introspections < 0:
            raise RewardError(f"introspections is 0 or more; given {self.introspections}")


class Card:
    """Writes one program an iteration, whatever K, as the paper does. See ``CardOptions``."""

    name = "card"
    asks = True

    def check_options(self, given: Mapping[str, Any]) -> None:
        """Refuse what it does not take; see ``Author``."""
        read_options(CardOptions, given, self.name)

    def propose(self, context: Context) -> None:
        """Submit one program and its introspections; training begins once one passes.

        Raises:
            RewardError: an option cannot be used.
            LLMError: no further reply can be had.
        """
        options = read_options(CardOptions, context.options, self.name)
        drafting = Drafting(context, options)
        parent = best(context.rows)
        prompt = _question(context, drafting, parent)
        for reply in drafting.ask(prompt, 1, purpose="candidate"):
            if reply is not None:
                draft = drafting.submit(
                    prompt, reply, parents=[parent.id] if parent else [], note="proposal"
                )
                drafting.repair(prompt, draft, turns=options.introspections, note="introspection")


def _question(context: Context, drafting: Drafting, parent: Row | None) -> Prompt:
    said = drafting.feedback()
    if parent is None:
        return drafting.question(said)
    return drafting.follow(
        parent,
        Block("history", prompts.render("history", outcome=prompts.outcome(parent))),
        Block("reflection", reflection.progress(parent, POINTS), ("course",)),
        Block("screen", _trajectories(parent, context.card, context.bank), ("card-trajectories",)),
        said,
        Block("improve", prompts.render("improve")),
    )


def _trajectories(row: Row, card: TaskCard, bank: Bank) -> str:
    """Return the episodes with the highest and the lowest return under a program."""
    own = tuple(item for item in bank.trajectories if item.source == f"policy:{row.id}")
    shown = Bank(task=bank.task, gamma=bank.gamma, trajectories=own or bank.trajectories)
    inspection = inspect_source(row.source, known=feature_names(card))
    with open_runner(inspection, isolated=True) as runner:
        scored = score_bank(runner, shown)
    order = sorted(range(len(scored)), key=lambda index: float(scored[index].total.sum()))
    ends = [("Most", order[-1]), ("Least", order[0])] if order else []
    return prompts.render(
        "card-trajectories",
        origin="its own policy" if own else "those recorded for the task",
        episodes="\n\n".join(_told(t, shown.trajectories[i], scored[i]) for t, i in ends),
    )


def _told(title: str, trajectory: Trajectory, paid: Scored) -> str:
    steps = np.unique(np.linspace(0, len(trajectory) - 1, POINTS).round().astype(np.int64))
    solved = "solves the task" if trajectory.success else "does not solve the task"
    lines = [
        f"{title}: {reflection.number(float(paid.total.sum()))} in {len(trajectory)} steps; it "
        f"{solved}, task score {reflection.number(trajectory.fitness)}. At steps "
        f"{', '.join(str(step) for step in steps)}:"
    ]
    lines += [f"  `{name}`: {_values(part[steps])}" for name, part in paid.parts.items()]
    return "\n".join(lines)


def _values(values: Float) -> str:
    return ", ".join(reflection.number(float(value)) for value in values)
