"""Fuzzy phrase comparison, as the original's matcher decides it."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Protocol, cast

from densegym.errors import require

THRESHOLD = 85
_LATIN_1 = dict.fromkeys(range(128, 256))


class _Scorer(Protocol):
    def __call__(self, first: str, second: str, /) -> float: ...


@lru_cache(maxsize=1 << 17)
def alike(first: str, second: str) -> bool:
    """Return whether two phrases have a token set ratio above 85, rounded.

    thefuzz ``token_set_ratio``: signs 128 to 255 are dropped, other non-alphanumerics become
    blanks, lower-case, sets of words; two phrases without words are not alike.

    Raises:
        MissingExtraError: rapidfuzz is not installed.
    """
    return round(_scorer()(_words(first), _words(second))) > THRESHOLD


@cache
def _scorer() -> _Scorer:
    return cast(_Scorer, require("rapidfuzz.fuzz", extra="shop").token_set_ratio)


@lru_cache(maxsize=1 << 16)
def _words(phrase: str) -> str:
    process = require("rapidfuzz.utils", extra="shop").default_process
    return cast(str, process(phrase.translate(_LATIN_1)))
