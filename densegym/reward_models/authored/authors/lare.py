"""LaRe: latent factors of an episode's return, written by a language model for credit assignment.

Several candidates are sampled, one more request merges them, and what comes out is verified on
real steps and repaired (Qu et al. 2025, arXiv 2412.11120). A program defines
``factors(feature, ...) -> {name: (N,)}``; credit assignment learns the decoder from factors to
rewards, so nothing is trained here.

Departures: the action is described in the prompt (the published code builds that text and leaves
it out); the feature table comes from the task card, not from text; verification sees many steps
and also refuses factors that are constant, equal up to scale, or of extreme size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from densegym.errors import RewardError
from densegym.reward_models.authored.search.author import refuse_unknown_options
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.context import Context
from densegym.reward_models.authored.writing import prompts
from densegym.reward_models.authored.writing.dialogue import (
    SHARED,
    ask_one,
    until_usable,
    user,
)
from densegym.reward_models.authored.writing.factor_programs import factors_source, submit_factors
from densegym.reward_models.llm.types import Reply
from densegym.reward_models.types import TaskCard

SAMPLES = 5
SAMPLE_TEMPERATURE = 1.0
MERGE_TEMPERATURE = 0.3
REPAIRS = 5
_CODE = "functions"  # key of the answer that holds the program
_PROMPTS = ("lare-candidate", "lare-merge", "lare-repair", *SHARED)


class LaRe:
    """Writes one verified factor program an iteration, whatever K: none is trained or compared.

    Options:
        n: candidates that are merged, 5 unless given; 1 goes without the merge.
    """

    name = "lare"
    asks = True

    def check_options(self, given: Mapping[str, Any]) -> None:
        """Refuse what it does not take; see ``Author``."""
        refuse_unknown_options(given, self.name, ["n"])
        samples = given.get("n", SAMPLES)
        if not isinstance(samples, int) or samples < 1:
            raise RewardError(f"n is a whole number from 1 up; given {samples!r}")

    def propose(self, context: Context) -> None:
        """Submit a factor program and its repairs.

        Raises:
            RewardError: n is no whole number from 1 up.
            LLMError: no further reply can be had.
        """
        self.check_options(context.options)
        samples = context.options.get("n", SAMPLES)
        asked = [user(_question(context))]
        replies = context.ask(
            asked, samples=samples, temperature=SAMPLE_TEMPERATURE, purpose="factors"
        )
        found = [reply for reply in replies if reply is not None]
        if samples > 1 and found:
            asked = [user(f"{_question(context)}\n\n{_merge(found)}")]
            merged = ask_one(context, asked, temperature=MERGE_TEMPERATURE, purpose="merge")
            found = [] if merged is None else [merged]
        for reply in found:
            until_usable(
                context,
                asked,
                reply,
                partial(_submit, context),
                repair=lambda problem: prompts.render("lare-repair", problem=problem),
                repairs=REPAIRS,
                temperature=MERGE_TEMPERATURE,
            )


def _submit(context: Context, reply: Reply) -> Row:
    source = factors_source(reply.text, _CODE)
    return submit_factors(context, source, reply, prompt_hash=prompts.prompt_hash(*_PROMPTS))


def _question(context: Context) -> str:
    return prompts.render(
        "lare-candidate",
        task=prompts.task(context.card, context.bank),
        interface=prompts.interface(context.card, context.bank),
        action=_action(context.card),
        rules=prompts.rules(),
    )


def _action(card: TaskCard) -> str:
    told = [
        f"`{item.name}` {item.shape}: {item.meaning}."
        for item in card.features
        if item.source == "action"
    ]
    return "The agent acts through " + " ".join(told) if told else ""


def _merge(replies: Sequence[Reply]) -> str:
    blocks = [f"```python\n{factors_source(reply.text, _CODE)}\n```" for reply in replies]
    return prompts.render("lare-merge", candidates="\n\n".join(blocks))
