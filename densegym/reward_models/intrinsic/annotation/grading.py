"""Has a language model grade captions from 0 to 9 by what they say of an agent's progress."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Any

from densegym import assets
from densegym.errors import unknown
from densegym.reward_models.intrinsic.annotation.asking import Asking
from densegym.reward_models.intrinsic.annotation.table import HELPFUL, Kind, Provenance
from densegym.reward_models.llm.types import Client


class ProgressAsking(Asking):
    """Asks what captions say of progress towards a goal; subclasses say how.

    Args:
        client: whom to ask.
        model: as the endpoint names it.
        goal: key of ``assets/captions/goals.toml``.
        annotator: type of annotator for the provenance.

    Attributes:
        kind: of the labels.
        prompt_name: with its version, for the provenance.

    Raises:
        UnknownNameError: no such goal.
    """

    kind: Kind
    prompt_name: str

    def __init__(
        self,
        client: Client,
        *,
        model: str,
        goal: str = "progress",
        annotator: str = "language model",
    ) -> None:
        made = Provenance(
            kind=self.kind, goal=goal, prompt=self.prompt_name, annotator=annotator, model=model
        )
        super().__init__(client, made, {"goal": goal_text(goal)})


class Grader(ProgressAsking):
    """Grades captions; a word that means nothing must agree with the number."""

    kind = "grade"
    prompt_name = "caption-grade-v1"
    entries = "captions"
    fields: Mapping[str, Any] = {
        "label": {"enum": ["FOO", "BAR"]},
        "grade": {"type": "integer", "minimum": 0, "maximum": 9},
    }

    def value(self, entry: Mapping[str, Any]) -> float | None:
        """Return the grade, unless the word says otherwise."""
        agrees = (entry["label"] == "FOO") == (entry["grade"] >= HELPFUL)
        return float(entry["grade"]) if agrees else None


@cache
def goals() -> Mapping[str, str]:
    """Return the text of every goal by key."""
    table = tomllib.loads(assets.text("captions/goals.toml"))
    return {key: str(entry["text"]).strip() for key, entry in table.items()}


def goal_text(key: str) -> str:
    """Return the text of a goal.

    Raises:
        UnknownNameError: no such goal.
    """
    if key not in goals():
        raise unknown("goal", key, goals())
    return goals()[key]
