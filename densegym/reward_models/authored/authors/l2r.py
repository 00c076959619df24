"""Language to Rewards: a motion description turned into weights and targets of fixed cost terms.

Two calls a candidate (Yu et al. 2023, arXiv 2306.08647): the Motion Descriptor fills in the form
of the task's family and sees what it wrote before; the Reward Coder maps the description to JSON
and sees nothing else. Only numbers come back, so nothing the model writes is run: the safest
author with a language model, and the one that can express least.

Departures: the reward trains an agent instead of steering a planner; the coder answers with data
instead of calls; a form with open slots is asked for again with a complaint, not silently.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from densegym.errors import RewardError
from densegym.reward_models.authored.programs.cost_terms import (
    MAX_WEIGHT,
    Chosen,
    CostTerm,
    Library,
    choose,
    load_library,
    print_program,
)
from densegym.reward_models.authored.programs.printing import literal
from densegym.reward_models.authored.search.author import refuse_unknown_options
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.context import Context
from densegym.reward_models.authored.search.halving import best
from densegym.reward_models.authored.writing import prompts
from densegym.reward_models.authored.writing.dialogue import (
    SHARED,
    FaultyAnswerError,
    assistant,
    told_feedback,
    until_usable,
    user,
)
from densegym.reward_models.llm.structured import json_object
from densegym.reward_models.llm.types import Message, Reply

TEMPERATURE = 0.3
REPAIRS = 3
_OPEN_SLOT = re.compile(r"\b(CHOICE|NUM)\b")
_START, _END = "start of description", "end of description"
_PROMPTS = ("l2r-descriptor", "l2r-open-slots", "l2r-next", "l2r-coder", "l2r-unusable", *SHARED)


class L2R:
    """Writes rewards of the form −Σ wᵢ nᵢ(rᵢ) from a library that ships with DenseGym.

    Options:
        weights: ``"chosen"`` (default), or ``"equal"`` for the control in which every chosen term
            weighs 1.
    """

    name = "l2r"
    asks = True

    def check_options(self, given: Mapping[str, Any]) -> None:
        """Refuse what it does not take; see ``Author``."""
        refuse_unknown_options(given, self.name, ["weights"])
        weights = given.get("weights", "chosen")
        if weights not in ("chosen", "equal"):
            raise RewardError(f'weights is "chosen" or "equal"; given {weights!r}')

    def propose(self, context: Context) -> None:
        """Submit one program per motion description.

        Raises:
            RewardError: no library ships for the task's family, or an option is unknown.
            LLMError: no further reply can be had.
        """
        self.check_options(context.options)
        weights = context.options.get("weights", "chosen")
        library = load_library(context.card)
        parent = best(context.rows)
        messages = _describing(context, library, parent)
        replies = context.ask(
            messages, samples=context.candidates, temperature=TEMPERATURE, purpose="descriptor"
        )
        for reply in replies:
            if reply is not None:
                _submit(context, library, messages, reply, parent, equal=weights == "equal")


def _describing(context: Context, library: Library, parent: Row | None) -> list[Message]:
    first = prompts.render(
        "l2r-descriptor",
        task=prompts.task(context.card, context.bank),
        interface=prompts.interface(context.card, context.bank),
        form=library.form,
    )
    if parent is None:
        return [user(first)]
    turn = prompts.render(
        "l2r-next", outcome=prompts.outcome(parent), feedback=told_feedback(context)
    )
    return [user(first), assistant(_remarked(parent.source)), user(turn)]


def _submit(
    context: Context,
    library: Library,
    messages: Sequence[Message],
    reply: Reply,
    parent: Row | None,
    *,
    equal: bool,
) -> None:
    described = until_usable(
        context,
        messages,
        reply,
        lambda answer: _description(answer.text),
        repair=lambda problem: prompts.render("l2r-open-slots"),
        repairs=REPAIRS,
        temperature=TEMPERATURE,
    )
    if described.value is None:
        context.submit(described.reply.text, reply=described.reply, note="no form", train=False)
        return
    asked = [user(_coding(library, described.value))]
    schema = _schema(library)
    coded = context.ask(asked, temperature=TEMPERATURE, schema=schema, purpose="coder")[0]
    if coded is None:
        return
    settings = until_usable(
        context,
        asked,
        coded,
        lambda answer: _chosen(library, answer.text, equal=equal),
        repair=lambda problem: prompts.render("l2r-unusable", problem=problem),
        repairs=REPAIRS,
        temperature=TEMPERATURE,
    )
    if settings.value is None:
        context.submit(settings.reply.text, reply=settings.reply, note="no terms", train=False)
        return
    context.submit(
        print_program(settings.value, described.value),
        parents=[parent.id] if parent else [],
        reply=settings.reply,
        note="equal weights" if equal else "chosen weights",
        prompt_hash=prompts.prompt_hash(*_PROMPTS),
    )


def _description(text: str) -> str:
    open_slots = sorted(set(_OPEN_SLOT.findall(text)))
    if open_slots:
        raise FaultyAnswerError(f"{' and '.join(open_slots)} must not remain")
    inside = text.rpartition(_START)[2].partition(_END)[0]
    return inside.strip(" \n`*[]") or text.strip()


def _remarked(source: str) -> str:
    """Return the description that a program carries as its first comment lines."""
    lines = []
    for line in source.splitlines():
        if not line.startswith("# "):
            break
        lines.append(line.removeprefix("# "))
    return "\n".join([_START, *lines, _END])


def _coding(library: Library, description: str) -> str:
    return prompts.render(
        "l2r-coder",
        description=description,
        terms="\n".join(_told(term) for term in library.terms.values()),
        max_weight=literal(MAX_WEIGHT),
    )


def _schema(library: Library) -> dict[str, Any]:
    """Return the JSON schema of the coder's reply: terms of the library with their numbers."""
    number = {"type": "number"}
    entry = {
        "anyOf": [number, {"type": "object", "properties": {"weight": number, "target": number}}]
    }
    return {"type": "object", "properties": dict.fromkeys(library.terms, entry)}


def _told(term: CostTerm) -> str:
    told = f"- `{term.name}` [{term.unit}]: {term.meaning}; weight {literal(term.weight)}"
    if term.target is None:
        return told
    span = f"{literal(term.low)} to {literal(term.high)}"
    return f"{told}, target {literal(term.target)} ({span})"


def _chosen(library: Library, text: str, *, equal: bool) -> list[Chosen]:
    data = json_object(text)
    if not isinstance(data, Mapping):
        raise FaultyAnswerError("there is no JSON object in it")
    chosen = choose(library, data, equal=equal)
    if not chosen:
        raise FaultyAnswerError("it names no term of the library with a weight above zero")
    return chosen
