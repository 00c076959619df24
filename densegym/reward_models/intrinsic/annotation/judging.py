"""Has a language model say which subgoal of a task a caption completes (CALM)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from densegym.reward_models.intrinsic.annotation.asking import Asking
from densegym.reward_models.intrinsic.annotation.table import Provenance
from densegym.reward_models.llm.types import Client


class SubgoalJudge(Asking):
    """Labels a caption with the index of the subgoal that it completes, or -1.

    Args:
        client: whom to ask.
        model: as the endpoint names it.
        task: the task's sentence.
        subgoals: their texts.
        key: of the subgoals, for the provenance.
        annotator: type of annotator for the provenance.
    """

    entries = "captions"

    def __init__(
        self,
        client: Client,
        *,
        model: str,
        task: str,
        subgoals: Sequence[str],
        key: str,
        annotator: str = "language model",
    ) -> None:
        self.fields: Mapping[str, Any] = {"subgoal": {"enum": list(range(len(subgoals) + 1))}}
        listed = "\n".join(f"{n}. {text}" for n, text in enumerate(subgoals, start=1))
        made = Provenance(
            kind="subgoal", goal=key, prompt="caption-subgoals-v1", annotator=annotator, model=model
        )
        super().__init__(client, made, {"task": task, "subgoals": listed})

    def value(self, entry: Mapping[str, Any]) -> float | None:
        """Return the subgoal's index; the prompt counts from 1, and 0 is none."""
        return float(entry["subgoal"] - 1)
