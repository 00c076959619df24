"""One prompt to a language model about many captions, and a reply that is read strictly.

ONI asks one caption a call, takes any mention of the positive word for a positive label, and
keeps an unreadable reply as a negative one for ever. Here an item has a label only if the reply
names it exactly once and says something that its kind of question allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Template
from typing import Any, Protocol

from densegym import assets
from densegym.reward_models.intrinsic.annotation.table import Provenance
from densegym.reward_models.llm.structured import checked
from densegym.reward_models.llm.types import Client, Message, Reply, Request

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


class Asking:
    """Asks about numbered items; subclasses say what a reply's entries hold and are worth.

    Args:
        client: whom to ask.
        provenance: of the labels; names the prompt and the model.
        template: what fills the prompt besides ``captions`` and ``count``.

    Attributes:
        entries: key of the reply's list.
        fields: JSON schemas of an entry's fields besides ``n``.
        max_tokens: of a reply, or None.
    """

    max_tokens: int | None = None
    entries: str
    fields: Mapping[str, Any]

    def __init__(self, client: Client, provenance: Provenance, template: Mapping[str, str]) -> None:
        self._client, self._template = client, template
        self.provenance = provenance
        self.spent = {"cost_usd": 0.0, "tokens": 0.0}

    def annotate(self, captions: Sequence[str], attempt: int = 0) -> Verdicts:
        """Ask about all items in one prompt, at temperature 0.1 as in ONI."""
        request = Request(
            messages=(Message(role="user", content=self.prompt(captions)),),
            model=self.provenance.model,
            temperature=0.1,
            max_tokens=self.max_tokens,
            schema=self._schema(),
            sample=attempt,
            purpose=self.entries,
        )
        reply = self._client.complete(request)
        self.spent["cost_usd"] += reply.usd or 0.0
        self.spent["tokens"] += reply.tokens_in + reply.tokens_out
        return self.read(reply, captions)

    def prompt(self, items: Sequence[str]) -> str:
        """Return the prompt about items, numbered from 1."""
        name = self.provenance.prompt.rpartition("-v")[0]
        numbered = "\n".join(f"{n}. {self.show(item)}" for n, item in enumerate(items, start=1))
        template = Template(assets.text(f"prompts/{name}.md"))
        return template.substitute(self._template, captions=numbered, count=len(items))

    def read(self, reply: Reply, items: Sequence[str]) -> dict[str, float | None]:
        """Return the label of every item that the reply names once and consistently, else None."""
        verdicts: dict[str, float | None] = dict.fromkeys(items)
        data, problem = checked(reply, self._schema())
        if data is None or problem:
            return verdicts
        said: dict[int, list[Mapping[str, Any]]] = {}
        for entry in data[self.entries]:
            said.setdefault(entry["n"], []).append(entry)
        for n, item in enumerate(items, start=1):
            if len(said.get(n, [])) == 1:
                verdicts[item] = self.value(said[n][0])
        return verdicts

    def show(self, item: str) -> str:
        """Return an item as the prompt shows it."""
        return f"{{{item}}}"

    def value(self, entry: Mapping[str, Any]) -> float | None:
        """Return what an entry is worth, or None if it contradicts itself."""
        raise NotImplementedError

    def _schema(self) -> dict[str, Any]:
        entry = {
            "type": "object",
            "properties": {"n": {"type": "integer"}, **self.fields},
            "required": ["n", *self.fields],
        }
        return {
            "type": "object",
            "properties": {
                "knowledge": {"type": "string"},
                self.entries: {"type": "array", "items": entry},
            },
            "required": [self.entries],
        }
