"""Has a language model compare captions in pairs (Motif, and ONI's ranking)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from densegym.errors import DenseGymError
from densegym.reward_models.intrinsic.annotation.asking import Asking
from densegym.reward_models.intrinsic.annotation.grading import goal_text
from densegym.reward_models.intrinsic.annotation.table import Provenance
from densegym.reward_models.llm.types import Client

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


class Comparer(Asking):
    """Says which of two captions tells of more progress; items are ``pair_key``s.

    Args:
        client: whom to ask.
        model: as the endpoint names it.
        goal: key of ``assets/captions/goals.toml``.
        annotator: type of annotator for the provenance.
    """

    entries = "pairs"
    fields: Mapping[str, Any] = {"best": {"enum": [0, 1, 2]}}

    def __init__(
        self,
        client: Client,
        *,
        model: str,
        goal: str = "progress",
        annotator: str = "language model",
    ) -> None:
        made = Provenance(
            kind="preference",
            goal=goal,
            prompt="caption-compare-v1",
            annotator=annotator,
            model=model,
        )
        super().__init__(client, made, {"goal": goal_text(goal)})

    def show(self, item: str) -> str:
        """Return both captions."""
        first, second = pair_of(item)
        return f"{{{first}}} {{{second}}}"

    def value(self, entry: Mapping[str, Any]) -> float | None:
        """Return 0 for the first, 1 for the second, 0.5 for neither."""
        return (0.5, 0.0, 1.0)[entry["best"]]
