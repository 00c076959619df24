"""Eureka: many samples at once, then in-context mutation of the best by reward reflection.

Ma et al. 2024, arXiv 2310.12931, algorithm 1. The first iteration asks K independent replies to
one question. Every later one shows the last winner and what its terms did in training, and asks
for K better programs; nothing else of the past is shown.

Departures: more replies are asked than K, so that failing ones cost no place (Eurekaverse); a
failing program may be repaired; the winner is the best of all iterations unless
``parent="iteration_best"`` restores the published rule; everything is keyed by candidate id, never
by place in a list.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from densegym.errors import RewardError
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.context import Context
from densegym.reward_models.authored.search.halving import best
from densegym.reward_models.authored.writing import prompts
from densegym.reward_models.authored.writing.drafting import (
    Block,
    Drafting,
    Options,
    Prompt,
    read_options,
)
from densegym.reward_models.llm.types import Reply

_PARENTS = ("best_so_far", "iteration_best")
_HUMAN = ("append", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class EurekaOptions(Options):
    """Options of ``eureka``.

    Attributes:
        oversample: replies asked for per wanted candidate; 1 is the paper's.
        parent: ``"best_so_far"``, or ``"iteration_best"`` as in the paper.
        human: whether a person's feedback comes after the reflection (``"append"``) or in its
            place (``"replace"``, the paper's).
    """

    oversample: float = 1.5
    parent: str = "best_so_far"
    human: str = "append"

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            RewardError: a value out of range.
        """
        Options.__post_init__(self)
        if not 1.0 <= self.oversample < math.inf:
            raise RewardError(f"oversample is at least 1; given {self.oversample}")
        if self.parent not in _PARENTS:
            raise RewardError(f"parent is one of {', '.join(_PARENTS)}; given {self.parent!r}")
        if self.human not in _HUMAN:
            raise RewardError(f"human is one of {', '.join(_HUMAN)}; given {self.human!r}")


class Eureka:
    """Samples programs, and mutates the best one by reward reflection. See ``EurekaOptions``."""

    name = "eureka"
    asks = True

    def check_options(self, given: Mapping[str, Any]) -> None:
        """Refuse what it does not take; see ``Author``."""
        read_options(EurekaOptions, given, self.name)

    def propose(self, context: Context) -> None:
        """Submit every reply in order; train the first K that pass, repairing where fewer do.

        Raises:
            RewardError: an option cannot be used.
            LLMError: no further reply can be had.
        """
        options = read_options(EurekaOptions, context.options, self.name)
        drafting = Drafting(context, options)
        parent = _parent(context.rows, options.parent)
        prompt = _question(drafting, parent, options)
        replies = drafting.ask(
            prompt, math.ceil(options.oversample * context.candidates), purpose="candidates"
        )
        _submit(drafting, prompt, replies, parent, context.candidates)


def _parent(rows: Sequence[Row], rule: str) -> Row | None:
    """Return the winner to mutate; an iteration without a trained row keeps the one before."""
    if rule == "best_so_far":
        return best(rows)
    last = max((row.iteration for row in rows if row.rungs), default=None)
    return best([row for row in rows if row.iteration == last])


def _question(drafting: Drafting, parent: Row | None, options: EurekaOptions) -> Prompt:
    said = drafting.feedback()
    if parent is None:
        return drafting.question(said)
    findings = drafting.findings(parent)
    if said.text and options.human == "replace":
        findings = [item for item in findings if item.name == "history"]
    return drafting.follow(parent, *findings, said, Block("improve", prompts.render("improve")))


def _submit(
    drafting: Drafting,
    prompt: Prompt,
    replies: Sequence[Reply | None],
    parent: Row | None,
    wanted: int,
) -> None:
    parents = [parent.id] if parent else []
    drafts, passed = [], 0
    for reply in replies:
        if reply is not None:
            draft = drafting.submit(
                prompt,
                reply,
                parents=parents,
                note="mutation" if parent else "sample",
                train=passed < wanted,
            )
            passed += draft.counts
            drafts.append(draft)
    for draft in drafts:
        if passed >= wanted:
            break
        if draft.problem is not None:
            passed += drafting.repair(prompt, draft).counts
