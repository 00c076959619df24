"""Captions as vectors: hashed n-grams by default, or word vectors from a file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from densegym.errors import DenseGymError
from densegym.reward_models.types import Float

_WIDTH = 1024
_WORD = re.compile(r"[a-z#]+")
_COMMON = "a an the of to in on at is are it you your # x and or with for that this has have"
_STOP = frozenset(_COMMON.split(" "))
Embed = Callable[[str], Float]


@lru_cache(maxsize=1 << 16)
def ngrams(text: str) -> Float:
    """Return words, and the beginnings of words, hashed into a unit vector (1024,).

    Words that every message holds are left out; a text of nothing else is the zero vector.
    """
    vector = np.zeros(_WIDTH)
    for word in _WORD.findall(text.lower()):
        if word not in _STOP:
            for piece, weight in ((word, 1.0), (f"{word[:4]}-", 0.5)):
                digest = hashlib.blake2b(piece.encode(), digest_size=4).digest()
                vector[int.from_bytes(digest, "big") % _WIDTH] += weight
    return _unit(vector)


def word_vectors(path: Path, words: Sequence[str] = ()) -> Embed:
    """Return the sum of word vectors of a text file in fastText's or GloVe's format, unit length.

    Args:
        path: of the file: a word and its numbers a line; a first line of two numbers is skipped.
        words: keep only these; none keeps all.

    Raises:
        DenseGymError: the file cannot be read as word vectors.
    """
    wanted, table = set(words), {}
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                word, *numbers = line.rstrip().split(" ")
                if len(numbers) > 1 and (not wanted or word in wanted):
                    table[word] = np.array(numbers, dtype=np.float64)
        sizes = {len(vector) for vector in table.values()}
        if len(sizes) != 1:
            raise ValueError(f"vectors of sizes {sorted(sizes)}")
    except (OSError, ValueError) as error:
        raise DenseGymError(f"{path} holds no word vectors: {error}") from error
    nothing = np.zeros(sizes.pop())

    @lru_cache(maxsize=1 << 16)
    def embed(text: str) -> Float:
        known = [table[word] for word in _WORD.findall(text.lower()) if word in table]
        return _unit(np.sum(known, axis=0)) if known else nothing

    return embed


def _unit(vector: Float) -> Float:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0.0 else vector
