"""Has a language model compare captions in pairs (Motif, and ONI's ranking)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from densegym.errors import DenseGymError
from densegym.reward_models.intrinsic.annotation.grading import ProgressAsking

SEPARATOR = "\n"  # between the two captions of a pair; captions hold no line breaks


def pair_key(first: str, second: str) -> str:
    """Return the key of a pair in tables of preferences."""
    return f"{first}{SEPARATOR}{second}"


def pair_of(key: str) -> tuple[str, str]:
    """Return the two captions of a pair's key.

    Raises:
        DenseGymError: it is no pair.
    """
    first, separator, second = key.partition(SEPARATOR)
    if not separator or not first or not second:
        raise DenseGymError(f"{key!r} is no pair of captions; a tab stands between the two")
    return first, second


class Comparer(ProgressAsking):
    """Says which of two captions tells of more progress; items are ``pair_key``s."""

    kind = "preference"
    prompt_name = "caption-compare-v1"
    entries = "pairs"
    fields: Mapping[str, Any] = {"best": {"enum": [0, 1, 2]}}

    def show(self, item: str) -> str:
        """Return both captions."""
        first, second = pair_of(item)
        return f"{{{first}}} {{{second}}}"

    def value(self, entry: Mapping[str, Any]) -> float | None:
        """Return 0 for the first, 1 for the second, 0.5 for neither."""
        return (0.5, 0.0, 1.0)[entry["best"]]
