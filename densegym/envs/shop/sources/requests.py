"""What people ask for: requests in their own words, in which options are rarely named as listed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from densegym.envs.shop.sources.words import Kind, Value, Words
from densegym.envs.shop.store.catalogue import HumanInstruction

PARAPHRASED = 0.5  # share of option mentions that are not the value as listed
_SYNONYMS = re.compile(r"\[([^\]]+)\]")
_MOST_ATTRIBUTES = 3


class RandomNumbers(Protocol):
    """Where the numbers come from."""

    def share(self) -> float:
        """Return a number in [0, 1)."""

    def below(self, n: int) -> int:
        """Return a whole number in [0, n)."""


def human_request(
    draws: RandomNumbers,
    kind: Kind,
    attributes: tuple[str, ...],
    options: Mapping[str, tuple[Value, ...]],
    words: Words,
    *,
    vague: bool = False,
) -> HumanInstruction:
    """Return a person's request for a product.

    Args:
        draws: the product's own numbers.
        kind: what it is.
        attributes: what it must have; the first three at most are asked for.
        options: group -> values to choose from; one of each is asked for.
        words: the lists.
        vague: name the category instead of the product, and paraphrase whatever can be.
    """
    wanted = attributes[:_MOST_ATTRIBUTES]
    chosen = tuple(values[draws.below(len(values))] for values in options.values())
    said = [value.said if vague or draws.share() < PARAPHRASED else value.text for value in chosen]
    forms = words.with_options if chosen else words.without_options
    form = forms[draws.below(len(forms))]
    spoken = [words.paraphrases.get(phrase, phrase) if vague else phrase for phrase in wanted]
    sentence = _SYNONYMS.sub(lambda match: _one(draws, match[1]), form).format(
        type=f"something from {kind.chain[-2].lower()}" if vague else kind.noun,
        attributes=_listed(spoken),
        options=_listed(said),
    )
    return HumanInstruction(
        instruction=sentence, attributes=wanted, options=tuple(value.text for value in chosen)
    )


def _one(draws: RandomNumbers, synonyms: str) -> str:
    words = synonyms.split("|")
    return words[draws.below(len(words))]


def _listed(items: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]])) if items else ""
