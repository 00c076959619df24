"""The canonical form of game messages, so that the number of distinct captions saturates.

Raw NetHack lines do not: under a random policy their number grows as 0.59 n^0.65 over n steps,
that of canonical sentences as 5.0 n^0.43. The rules here decide what an annotator is asked and
what a caption table is keyed by; changing one invalidates recorded labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from densegym.errors import RewardError

_SENTENCE = re.compile(r"--More--|(?<=[.!?])\s{2,}")
_OPTIONS = re.compile(r"\[[^\]]*\]")
_LETTER = re.compile(r"^\s*[a-zA-Z$#*-] - ")
_NUMBER = re.compile(r"\d+")
_NAMED = re.compile(r"\b(named|called)\b.*", re.DOTALL)
_SPACES = re.compile(r"\s+")
_LEAST_LETTERS = 0.6


@lru_cache(maxsize=1 << 16)
def canonical(line: str) -> tuple[str, ...]:
    """Return the canonical sentences of one raw line of the game.

    In order: split at ``--More--`` and at two spaces after a sentence; drop option lists in
    brackets and a leading inventory letter; numbers become ``#``; what follows "named" or
    "called" becomes ``x``; spaces collapse, letters are lowered. A sentence that is not ASCII, or
    of which less than 60 % are letters and spaces, is the echo of typed text and dropped.

    Example:
        >>> canonical("f - a key named Bob.")
        ('a key named x',)
        >>> canonical("You see here 23 gold pieces.  What do you want to eat? [abc or ?*]")
        ('you see here # gold pieces.', 'what do you want to eat?')
    """
    sentences = (_sentence(part) for part in _SENTENCE.split(line))
    return tuple(sentence for sentence in sentences if _is_language(sentence))


def canonical_captions(lines: Iterable[str]) -> tuple[str, ...]:
    """Return the canonical sentences of one step's lines, in order, each once."""
    found: dict[str, None] = {}
    for line in lines:
        for sentence in canonical(line):
            found[sentence] = None
    return tuple(found)


def step_captions(info: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the canonical captions of a step from its ``info["captions"]``.

    Raises:
        RewardError: the world describes nothing.
    """
    if "captions" not in info:
        raise RewardError(
            'this reward reads info["captions"], which the environment does not give. Use a '
            "DenseGym/NetHack or DenseGym/MiniHack world, or add a tuple of texts to its info."
        )
    return canonical_captions(info["captions"])


def _sentence(text: str) -> str:
    text = _LETTER.sub("", _OPTIONS.sub(" ", text))
    text = _NAMED.sub(r"\1 X", _NUMBER.sub("#", text))
    return _SPACES.sub(" ", text).strip().lower()


def _is_language(sentence: str) -> bool:
    if not sentence or not sentence.isascii():
        return False
    letters = sum(c.isalpha() or c in " #" for c in sentence)
    return letters >= _LEAST_LETTERS * len(sentence)
