"""Other questions to a language model: which of two captions, which subgoal, which goals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from string import Template
from typing import Any

from densegym import assets
from densegym.errors import DenseGymError
from densegym.reward_models.intrinsic.grading import Verdicts, goal_text
from densegym.reward_models.intrinsic.table import Provenance
from densegym.reward_models.llm.structured import checked
from densegym.reward_models.llm.types import Client, LLMError, Message, Reply, Request

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


class _Asking:
    """One prompt about numbered items, one entry each in the reply.

    Args:
        client: whom to ask.
        model: as the endpoint names it.
        provenance: of its labels; names the prompt.
        template: what fills the prompt besides the items.
    """

    _list: str
    _field: str
    _values: tuple[int, ...]

    def __init__(
        self, client: Client, *, model: str, provenance: Provenance, template: Mapping[str, str]
    ) -> None:
        self._client, self._model, self._known = client, model, template
        self.provenance = provenance
        self.spent = {"cost_usd": 0.0, "tokens": 0.0}

    def annotate(self, captions: Sequence[str], attempt: int = 0) -> Verdicts:
        """Ask about all items in one prompt."""
        request = Request(
            messages=(Message(role="user", content=self._prompt(captions)),),
            model=self._model,
            temperature=0.1,
            schema=self._schema(),
            sample=attempt,
            purpose=self._list,
        )
        reply = self._client.complete(request)
        self.spent["cost_usd"] += reply.usd or 0.0
        self.spent["tokens"] += reply.tokens_in + reply.tokens_out
        return self._read(reply, captions)

    def _prompt(self, items: Sequence[str]) -> str:
        name = self.provenance.prompt.rpartition("-v")[0]
        numbered = "\n".join(f"{n}. {self._show(item)}" for n, item in enumerate(items, start=1))
        template = Template(assets.text(f"prompts/{name}.md"))
        return template.substitute(self._known, captions=numbered, count=len(items))

    def _show(self, item: str) -> str:
        return f"{{{item}}}"

    def _schema(self) -> Mapping[str, Any]:
        entry = {
            "type": "object",
            "properties": {"n": {"type": "integer"}, self._field: {"enum": list(self._values)}},
            "required": ["n", self._field],
        }
        return {
            "type": "object",
            "properties": {self._list: {"type": "array", "items": entry}},
            "required": [self._list],
        }

    def _read(self, reply: Reply, items: Sequence[str]) -> dict[str, float | None]:
        verdicts: dict[str, float | None] = dict.fromkeys(items)
        data, problem = checked(reply, self._schema())
        if data is None or problem:
            return verdicts
        said: dict[int, list[int]] = {}
        for entry in data[self._list]:
            said.setdefault(entry["n"], []).append(entry[self._field])
        for n, item in enumerate(items, start=1):
            if len(said.get(n, [])) == 1:
                verdicts[item] = self._value(said[n][0])
        return verdicts

    def _value(self, answer: int) -> float:
        raise NotImplementedError


class Comparer(_Asking):
    """Says which of two captions tells of more progress (Motif); items are ``pair_key``s."""

    _list, _field, _values = "pairs", "best", (0, 1, 2)

    def __init__(
        self, client: Client, *, model: str, goal: str = "progress", annotator: str
    ) -> None:
        provenance = Provenance(
            kind="preference",
            goal=goal,
            prompt="caption-compare-v1",
            annotator=annotator,
            model=model,
        )
        super().__init__(
            client, model=model, provenance=provenance, template={"goal": goal_text(goal)}
        )

    def _show(self, item: str) -> str:
        first, second = pair_of(item)
        return f"{{{first}}} {{{second}}}"

    def _value(self, answer: int) -> float:
        return {0: 0.5, 1: 0.0, 2: 1.0}[answer]


class SubgoalJudge(_Asking):
    """Says which subgoal of a task a caption completes (CALM)."""

    _list, _field = "captions", "subgoal"

    def __init__(
        self,
        client: Client,
        *,
        model: str,
        task: str,
        subgoals: Sequence[str],
        key: str,
        annotator: str,
    ) -> None:
        self._values = tuple(range(len(subgoals) + 1))
        listed = "\n".join(f"{n}. {text}" for n, text in enumerate(subgoals, start=1))
        provenance = Provenance(
            kind="subgoal", goal=key, prompt="caption-subgoals-v1", annotator=annotator, model=model
        )
        super().__init__(
            client, model=model, provenance=provenance, template={"task": task, "subgoals": listed}
        )

    def _value(self, answer: int) -> float:
        return float(answer - 1)


def propose_goals(
    client: Client, *, model: str, task: str, captions: Sequence[str], most: int = 10
) -> tuple[str, ...]:
    """Ask for goals in the game's words (ELLM); asks once more where a reply is unusable.

    Raises:
        LLMError: two unusable replies, or whoever was asked failed.
    """
    template = Template(assets.text("prompts/caption-goals.md"))
    listed = "\n".join(f"- {caption}" for caption in captions)
    schema = {
        "type": "object",
        "properties": {
            "goals": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": most}
        },
        "required": ["goals"],
    }
    text = template.substitute(task=task, captions=listed, most=most)
    request = Request(
        messages=(Message(role="user", content=text),),
        model=model,
        temperature=0.1,
        schema=schema,
        purpose="goals",
    )
    for attempt in range(2):
        data, problem = checked(client.complete(replace(request, sample=attempt)), schema)
        if data is not None and not problem:
            return tuple(dict.fromkeys(goal.strip().lower() for goal in data["goals"]))
    raise LLMError(f"two replies held no goals: {problem}")
