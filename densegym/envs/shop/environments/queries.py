"""Searches that a request suggests, made from its words alone."""

from __future__ import annotations

import itertools
import re
from functools import cache, lru_cache

from densegym import assets
from densegym.envs.shop.goals.goals import Goal
from densegym.envs.shop.goals.nouns import nouns
from densegym.envs.shop.session.core import fit_search, request_words

MOST_QUERIES = 8
_BIGRAMS = 5
_HEAD = re.compile(
    r"\b(?:an?|for|any)\s+([a-z0-9' -]+?)"
    r"(?=\s+(?:that|which|in|with|described|is|as|when)\b|[,;:.?]|$)"
)
_WORD = re.compile(r"[a-z0-9][a-z0-9'-]*")


@lru_cache(maxsize=16_384)
def offered_queries(goal: Goal, *, oracle: bool = False) -> tuple[str, ...]:
    """Return at most eight searches, the whole request first.

    Args:
        goal: what is asked for; only its instruction is read.
        oracle: begin with the target's own shop query and attributes, as the original's agents do.
    """
    text = request_words(goal)
    head = head_phrase(text)
    kept = [word for word in nouns(text) if word not in request_filler()]
    found = [text, " ".join(kept), head, head.rpartition(" ")[2]]
    found += [f"{head} {pair}" for pair in _pairs(text, head)]
    if oracle:
        found = [goal.query, f"{goal.query} {' '.join(goal.attributes)}", *found]
    clean = dict.fromkeys(" ".join(query.replace("]", " ").split()) for query in found)
    return tuple(dict.fromkeys(fit_search(query) for query in clean if query))[:MOST_QUERIES]


@cache
def request_filler() -> frozenset[str]:
    """Return the words of a request that say nothing about the product."""
    return frozenset(assets.text("shop/request_words.txt").split())


def head_phrase(text: str) -> str:
    """Return what a request is about: the words after its article, else those before "with"."""
    if text.startswith("find me "):
        return " ".join(text.removeprefix("find me ").partition(" with ")[0].split()[-2:])
    found = _HEAD.search(text)
    if found:
        return found[1].strip()
    words = [word for word in _WORD.findall(text) if word not in request_filler()]
    return " ".join(words[:2])


def _pairs(text: str, head: str) -> list[str]:
    """Return pairs of neighbouring words that look like attributes, outside the head."""
    pairs: dict[str, None] = {}
    for clause in re.split(r"[,;:.?]| and | with | that is | is ", text):
        words = [word for word in _WORD.findall(clause) if word not in request_filler()]
        for first, second in itertools.pairwise(words):
            if f"{first} {second}" not in head:
                pairs[f"{first} {second}"] = None
    return list(pairs)[:_BIGRAMS]
