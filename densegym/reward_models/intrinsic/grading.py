"""Asks a language model to grade captions, many in one prompt, and reads its reply strictly.

ONI asks one caption a call, takes any mention of the positive word for a positive label, and
keeps an unreadable reply as a negative one for ever. Here a caption has a label only if the reply
names it exactly once, with a word and a number that agree.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from string import Template
from typing import Any, Protocol

from densegym import assets
from densegym.errors import unknown
from densegym.reward_models.intrinsic.table import HELPFUL, Provenance
from densegym.reward_models.llm.structured import checked
from densegym.reward_models.llm.types import Client, Message, Reply, Request

PROMPT = "caption-grade-v1"
_ENTRY = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "label": {"enum": ["FOO", "BAR"]},
        "grade": {"type": "integer", "minimum": 0, "maximum": 9},
    },
    "required": ["n", "label", "grade"],
}
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "knowledge": {"type": "string"},
        "captions": {"type": "array", "items": _ENTRY},
    },
    "required": ["captions"],
}
Verdicts = Mapping[str, float | None]
"""A label by caption; None where the reply said nothing usable of it."""


class Annotator(Protocol):
    """Labels captions by asking somebody.

    Attributes:
        provenance: what its labels are, and whose.
        spent: USD and tokens so far.
    """

    provenance: Provenance
    spent: dict[str, float]

    def annotate(self, captions: Sequence[str], attempt: int = 0) -> Verdicts:
        """Return a verdict for every caption.

        Args:
            captions: distinct captions.
            attempt: how often these were asked before, so that nothing recorded is replayed.

        Raises:
            LLMError: whoever was asked could not be, or failed.
        """


class Grader:
    """Grades captions from 0 to 9 by a language model.

    Args:
        client: whom to ask.
        model: as the endpoint names it.
        goal: key of ``assets/captions/goals.toml``.
        annotator: type of annotator for the provenance.
        temperature: 0.1 in ONI.
        max_tokens: of a reply, or None.

    Raises:
        UnknownNameError: no such goal.
    """

    def __init__(
        self,
        client: Client,
        *,
        model: str,
        goal: str = "progress",
        annotator: str = "language model",
        temperature: float = 0.1,
        max_tokens: int | None = None,
    ) -> None:
        self._client, self._model = client, model
        self._goal = goal_text(goal)
        self._temperature, self._max_tokens = temperature, max_tokens
        self.spent = {"cost_usd": 0.0, "tokens": 0.0}
        self.provenance = Provenance(
            kind="grade", goal=goal, prompt=PROMPT, annotator=annotator, model=model
        )

    def annotate(self, captions: Sequence[str], attempt: int = 0) -> Verdicts:
        """Ask about all captions in one prompt."""
        request = Request(
            messages=(Message(role="user", content=prompt(self._goal, captions)),),
            model=self._model,
            temperature=self._temperature,
            max_tokens=self._max_tokens,
            schema=SCHEMA,
            sample=attempt,
            purpose="captions",
        )
        reply = self._client.complete(request)
        self.spent["cost_usd"] += reply.usd or 0.0
        self.spent["tokens"] += reply.tokens_in + reply.tokens_out
        return read(reply, captions)


def prompt(goal: str, captions: Sequence[str]) -> str:
    """Return the prompt about captions, numbered from 1."""
    numbered = "\n".join(f"{n}. {{{caption}}}" for n, caption in enumerate(captions, start=1))
    template = Template(assets.text("prompts/caption-grade.md"))
    return template.substitute(goal=goal, captions=numbered, count=len(captions))


def read(reply: Reply, captions: Sequence[str]) -> dict[str, float | None]:
    """Return the grade of every caption that the reply names once and consistently, else None."""
    verdicts: dict[str, float | None] = dict.fromkeys(captions)
    data, problem = checked(reply, SCHEMA)
    if data is None or problem:
        return verdicts
    entries: dict[int, list[Mapping[str, Any]]] = {}
    for entry in data["captions"]:
        entries.setdefault(entry["n"], []).append(entry)
    for n, caption in enumerate(captions, start=1):
        said = entries.get(n, [])
        if len(said) == 1 and (said[0]["label"] == "FOO") == (said[0]["grade"] >= HELPFUL):
            verdicts[caption] = float(said[0]["grade"])
    return verdicts


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
