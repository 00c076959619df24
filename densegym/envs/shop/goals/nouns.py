"""The nouns of a product title, by a closed-list rule instead of a language model.

The original tags titles with spaCy. The rule needs no download, is deterministic and takes some
16 µs; title scores then differ by up to 0.24 on the original's own test pairs, while the type
class (1, 0.5, 0.1, 0) is the same on all four.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from densegym.assets import text

_TOKEN = re.compile(r"[A-Za-z0-9]+(?:[.'&/][A-Za-z0-9]+)*|[^\sA-Za-z0-9]")


@lru_cache(maxsize=1 << 14)
def nouns(title: str) -> tuple[str, ...]:
    """Return the title's nouns, lower-case, in order, repeats kept."""
    others = _not_nouns()
    words = (word.lower() for word in _TOKEN.findall(title))
    return tuple(
        word for word in words if word not in others and any(letter.isalpha() for letter in word)
    )


@cache
def _not_nouns() -> frozenset[str]:
    return frozenset(text("shop/not_nouns.txt").split())
