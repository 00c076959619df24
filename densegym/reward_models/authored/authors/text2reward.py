"""Text2Reward: one reply per program on a compact, Pythonic abstraction of the environment.

Xie et al. 2024, arXiv 2309.11489. The environment is shown as a class of typed attributes with
units, with the usual parts of a reward for its kind of task; a program that does not run is given
back until it does. Later iterations are the interactive mode: past rounds with what the robot did
and what a person said of the last one.

Departures: the attributes are the parameters of the program, where the published code replaces
strings; the error loop is the paper's, which the released code lacks; the example is found by
TF-IDF over task sentences, where theirs uses embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.context import Context
from densegym.reward_models.authored.search.halving import best
from densegym.reward_models.authored.writing import prompts, reflection
from densegym.reward_models.authored.writing.drafting import (
    Block,
    Draft,
    Drafting,
    Options,
    Prompt,
    read_options,
)
from densegym.reward_models.sandbox.status import Status
from densegym.reward_models.types import TaskCard


class Text2Reward:
    """Writes K programs: zero-shot, or with ``example=true`` few-shot with k = 1.

    Options as in ``drafting.Options``.
    """

    name = "text2reward"
    asks = True

    def check_options(self, given: Mapping[str, Any]) -> None:
        """Refuse what it does not take; see ``Author``."""
        read_options(Options, given, self.name)

    def propose(self, context: Context) -> None:
        """Submit one program per candidate, and repair those that do not run.

        Raises:
            RewardError: an option cannot be used.
            LLMError: no further reply can be had.
        """
        options = read_options(Options, context.options, self.name)
        drafting = Drafting(
            context,
            options,
            interface=Block(
                "interface",
                prompts.abstraction(context.card, renamed=options.renamed),
                ("text2reward-abstraction",),
            ),
            advice=_advice(context.card),
        )
        rounds = _rounds(context.rows)
        prompt = _question(drafting, rounds)
        for reply in drafting.ask(prompt, context.candidates, purpose="candidates"):
            if reply is not None:
                draft = drafting.submit(
                    prompt,
                    reply,
                    parents=[rounds[-1].id] if rounds else [],
                    note=f"round-{len(rounds)}",
                )
                drafting.repair(prompt, draft, repairable=_does_not_run)


def _does_not_run(draft: Draft) -> bool:
    """Return whether a failure is one of execution; a bad ranking is for people to judge."""
    return draft.row.status is not Status.TPE_FAIL


def _advice(card: TaskCard) -> list[Block]:
    kind = "locomotion" if card.family == "locomotion" else "manipulation"
    names = (f"text2reward-{kind}", "text2reward-thoughts")
    return [Block(name, prompts.render(name)) for name in names]


def _rounds(rows: Sequence[Row]) -> list[Row]:
    """Return the best trained row of every past iteration that has one."""
    found = [
        best([row for row in rows if row.iteration == iteration])
        for iteration in sorted({row.iteration for row in rows})
    ]
    return [row for row in found if row is not None]


def _question(drafting: Drafting, rounds: Sequence[Row]) -> Prompt:
    said = drafting.feedback()
    if not rounds:
        return drafting.question(said)
    blocks = [
        Block(
            "history",
            prompts.render(
                "text2reward-round",
                number=str(number),
                code=drafting.source(row),
                behaviour=reflection.describe(row),
            ),
            ("text2reward-round",),
        )
        for number, row in enumerate(rounds, start=1)
    ]
    ending = Block("text2reward-next", prompts.render("text2reward-next"))
    return drafting.question(*blocks, said, ending)
