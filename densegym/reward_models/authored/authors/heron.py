"""HERON: a language model names factors and ranks them; preference turns the order into a reward.

Nobody writes a weight. Recorded episodes are compared by the ranked factors, a small network is
fitted to the order (see ``preference``), and factors and network are printed into one reward
program with the single term ``heron``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.authored.authors.preference import Fit, fit_preference
from densegym.reward_models.authored.programs.printing import array, literal
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
from densegym.reward_models.authored.writing.factor_programs import (
    factors_on_bank,
    factors_source,
    renamed,
    submit_factors,
)
from densegym.reward_models.features import feature_names
from densegym.reward_models.llm.structured import json_object
from densegym.reward_models.llm.types import Message, Reply
from densegym.reward_models.sandbox.allowlist import inspect_source
from densegym.reward_models.types import Float

KAPPA = 0.5
REPAIRS = 3
MOST_FACTORS = 8
_PROMPTS = ("heron-factors", "heron-repair", "heron-next", "heron-rank", "heron-ranked", *SHARED)
_DIRECTIONS = ("larger", "smaller")


class Ranked(NamedTuple):
    """A factor's place in the order is its place in the list."""

    name: str
    larger: bool
    """Whether the larger value is better."""

    def __str__(self) -> str:
        return f"{'+' if self.larger else '-'}{self.name}"


class _Order(NamedTuple):
    """A verified factor program, its ranking, and what was fitted to it."""

    row: Row
    ranking: Sequence[Ranked]
    parameters: Sequence[str]
    fit: Fit


class Heron:
    """Writes rewards fitted to the order of recorded episodes under ranked factors.

    Options:
        ranking: the order as a person sees it, names with ``+`` where larger and ``-`` where
            smaller is better, as a list or joined by commas: ``"+reach,-effort"``. The language
            model then only writes the code of these factors.
        kappa: margin below which a factor does not decide, in standard deviations; 0.5.
    """

    name = "heron"
    asks = True

    def check_options(self, given: Mapping[str, Any]) -> None:
        """Refuse what it does not take; see ``Author``."""
        refuse_unknown_options(given, self.name, ["ranking", "kappa"])
        _given_ranking(given.get("ranking"))
        _kappa(given.get("kappa", KAPPA))

    def propose(self, context: Context) -> None:
        """Submit factor programs, and for each that passes the reward fitted to its order.

        Raises:
            RewardError: an option cannot be used.
            LLMError: no further reply can be had.
        """
        self.check_options(context.options)
        given = _given_ranking(context.options.get("ranking"))
        kappa = _kappa(context.options.get("kappa", KAPPA))
        messages = _question(context, given)
        replies = context.ask(messages, samples=context.candidates, purpose="factors")
        generators = context.rng.spawn(len(replies))
        for reply, rng in zip(replies, generators, strict=True):
            if reply is None:
                continue
            order = until_usable(
                context,
                messages,
                reply,
                partial(_fitted, context, given=given, rng=rng, kappa=kappa),
                repair=lambda problem: prompts.render("heron-repair", problem=problem),
                repairs=REPAIRS,
            ).value
            if order is not None:
                _submit(context, order)


def _submit(context: Context, order: _Order) -> None:
    fit = order.fit
    accuracy = "unknown" if math.isnan(fit.accuracy) else f"{fit.accuracy:.0%}"
    context.submit(
        print_reward(order.row.source, order.parameters, order.ranking, fit),
        parents=[order.row.id],
        note=f"{_told(order.ranking)}: decides {fit.decided:.0%} of pairs, accuracy {accuracy}",
        prompt_hash=prompts.prompt_hash(*_PROMPTS),
    )


def print_reward(
    source: str, parameters: Sequence[str], ranking: Sequence[Ranked], fit: Fit
) -> str:
    """Return a reward program that holds the factors and the fitted network.

    Args:
        source: defines ``factors``.
        parameters: of ``factors``.
        ranking: names of the network's inputs, in order.
        fit: what was fitted to them.
    """
    named = ", ".join(f'named["{item.name}"]' for item in ranking)
    taken, network = ", ".join(parameters), fit.network
    return f"""{renamed(source, "ranked_factors")}


# Most important first: {_told(ranking)}
def compute_reward({taken}):
    named = ranked_factors({taken})
    factors = np.stack([{named}], axis=1)
    factors = (factors - {array(fit.mean)}) / {array(fit.scale)}
    first = {array(network.first)}
    hidden = np.tanh(np.dot(factors, first) + {array(network.first_bias)})
    second = {array(network.second)}
    top = np.tanh(np.dot(hidden, second) + {array(network.second_bias)})
    reward = np.dot(top, {array(network.last)}) + {literal(float(network.last_bias))}
    return reward, {{"heron": reward}}
"""


def _told(ranking: Sequence[Ranked]) -> str:
    return ", ".join(str(item) for item in ranking)


def _fitted(
    context: Context,
    reply: Reply,
    *,
    given: Sequence[Ranked],
    rng: np.random.Generator,
    kappa: float,
) -> _Order:
    """Verify the factors of an answer and fit a network to the order they give the bank.

    Raises:
        FaultyAnswerError: factors or ranking cannot be used.
    """
    source = factors_source(reply.text, "factors")
    row = submit_factors(context, source, reply, prompt_hash=prompts.prompt_hash(*_PROMPTS))
    ranking = given or _ranking(json_object(reply.text) or {})
    inspection = inspect_source(source, known=feature_names(context.card))
    values = _ranked(factors_on_bank(context.bank, inspection), ranking)
    larger = [item.larger for item in ranking]
    fit = fit_preference(values, context.bank.lengths(), larger, rng, kappa=kappa)
    if fit.decided == 0.0:
        raise FaultyAnswerError("the ranking decides between no two of the recorded episodes")
    return _Order(row, ranking, inspection.parameters, fit)


def _ranked(parts: Mapping[str, Float], ranking: Sequence[Ranked]) -> Float:
    """Return the ranked factors alone, (steps, factors)."""
    missing = [item.name for item in ranking if item.name not in parts]
    if missing:
        raise FaultyAnswerError(
            f"the ranking names {', '.join(missing)}, and factors returns {', '.join(parts)}"
        )
    values = np.stack([parts[item.name] for item in ranking], axis=1)
    broken = [item.name for i, item in enumerate(ranking) if not np.isfinite(values[:, i]).all()]
    if broken:
        raise FaultyAnswerError(f"{', '.join(broken)} is NaN or infinite on recorded steps")
    return values


def _ranking(data: Mapping[str, Any]) -> list[Ranked]:
    entries = data.get("ranking")
    ranking: dict[str, Ranked] = {}
    for entry in entries if isinstance(entries, list) else []:
        name = entry.get("name") if isinstance(entry, Mapping) else None
        better = entry.get("better") if isinstance(entry, Mapping) else None
        if not isinstance(name, str) or not name.isidentifier() or better not in _DIRECTIONS:
            raise FaultyAnswerError(
                'an entry of ranking is {"name": "...", "better": "larger" or "smaller"}, the '
                "name a plain word"
            )
        ranking.setdefault(name, Ranked(name, better == "larger"))
    if not 1 <= len(ranking) <= MOST_FACTORS:
        raise FaultyAnswerError(
            f"ranking lists 1 to {MOST_FACTORS} factors; there are {len(ranking)}"
        )
    return list(ranking.values())


def _given_ranking(option: Any) -> list[Ranked]:
    if option is None:
        return []
    entries = option if isinstance(option, list) else str(option).split(",")
    names = [str(entry).strip() for entry in entries]
    plain = [name[1:] if name[:1] in ("+", "-") else name for name in names]
    if not 1 <= len(set(plain)) == len(plain) <= MOST_FACTORS or not all(
        name.isidentifier() for name in plain
    ):
        raise RewardError(
            f"ranking takes 1 to {MOST_FACTORS} different names, most important first, such as "
            f'"+reach,-effort"; given {option!r}'
        )
    pairs = zip(names, plain, strict=True)
    return [Ranked(name, not signed.startswith("-")) for signed, name in pairs]


def _kappa(option: Any) -> float:
    try:
        kappa = float(option)
    except (TypeError, ValueError):
        kappa = math.nan
    if not 0.0 <= kappa < math.inf:
        raise RewardError(f"kappa is a number from 0 up; given {option!r}")
    return kappa


def _question(context: Context, given: Sequence[Ranked]) -> list[Message]:
    told = [
        f"{i}. `{item.name}`: {_DIRECTIONS[not item.larger]} is better"
        for i, item in enumerate(given, start=1)
    ]
    rank = (
        prompts.render("heron-ranked", ranking="\n".join(told))
        if given
        else prompts.render("heron-rank")
    )
    first = prompts.render(
        "heron-factors",
        task=prompts.task(context.card, context.bank),
        interface=prompts.interface(context.card, context.bank),
        rank=rank,
        rules=prompts.rules(),
    )
    parent = best(context.rows)
    if parent is None:
        return [user(first)]
    factors = next((row for row in context.rows if row.id in parent.parents), parent)
    turn = prompts.render(
        "heron-next",
        note=str(parent.author.get("note", "")),
        outcome=prompts.outcome(parent),
        feedback=told_feedback(context),
    )
    return [user(first), assistant(f"```python\n{factors.source}\n```"), user(turn)]
