"""The shipped program whose task is most like a given one, never a program of the task itself."""

from __future__ import annotations

import ast
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from densegym.reward_models.authored.programs.program import Header
from densegym.reward_models.authored.programs.shipped import headers
from densegym.reward_models.types import TaskCard

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_SHORTEST = 4  # letters of a word that says something
_VERSION = re.compile(r"-v\d+$")


def nearest_program(card: TaskCard) -> Header | None:
    """Return the most similar program of another task by TF-IDF, or None where none is similar.

    Compared are the words of task names and sentences. An example must never hold the answer, so
    every version of the task is left out, and every program that also ships for the task: some
    tasks share one. Of equally similar programs the first by name counts.
    """
    own = {_code(item) for item in headers() if _task(item.task) == _task(card.id)}
    others = [item for item in headers() if _code(item) not in own]
    texts = [_words(f"{_task(item.task)} {item.summary}") for item in others]
    query = _words(f"{_task(card.id)} {card.goal} {card.success}")
    weights = _rarity([*texts, query])
    scores = [_cosine(query, words, weights) for words in texts]
    best = max(scores, default=0.0)
    return others[scores.index(best)] if best > 0.0 else None


def code_of(header: Header) -> str:
    """Return a program's code without its provenance header."""
    lines = header.source.splitlines()
    return "\n".join(lines[lines.index("# ///") + 1 :]).strip()


def _code(header: Header) -> str:
    """Return a program without comments and layout."""
    return ast.unparse(ast.parse(header.source))


def _task(env_id: str) -> str:
    return _VERSION.sub("", env_id.rpartition("/")[2])


def _words(text: str) -> Counter[str]:
    return Counter(word.lower() for word in _WORD.findall(text) if len(word) >= _SHORTEST)


def _rarity(texts: Sequence[Counter[str]]) -> dict[str, float]:
    documents = Counter(word for words in texts for word in words)
    return {word: math.log(len(texts) / count) for word, count in documents.items()}


def _cosine(one: Counter[str], other: Counter[str], weights: Mapping[str, float]) -> float:
    shared = sum(one[word] * other[word] * weights[word] ** 2 for word in one.keys() & other.keys())
    size = math.sqrt(_square(one, weights) * _square(other, weights))
    return shared / size if size > 0.0 else 0.0


def _square(words: Counter[str], weights: Mapping[str, float]) -> float:
    return sum((count * weights[word]) ** 2 for word, count in words.items())
