"""Replies that are JSON: read from whatever stands around it, checked, and asked for again.

How a model is asked for JSON is the endpoint's business, which tries ``json_schema``, then
``json_object``, then plain text. That the reply meets the schema is checked here in any case.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from densegym.errors import require
from densegym.reward_models.llm.types import Client, LLMError, Message, Reply, Request

REPAIRS = 2
_TRIES = 1000  # braces at which JSON may begin; a reply of nothing else must end too
_JSON = json.JSONDecoder(strict=False)  # models write line breaks into strings


class Structured:
    """Asks again, at most twice, where a reply does not meet the schema of its request.

    Requests without a schema pass through. The text of a checked reply is its JSON alone; tokens,
    price and time are of all turns together.

    Args:
        client: who is asked.
        repairs: most further turns.
    """

    def __init__(self, client: Client, repairs: int = REPAIRS) -> None:
        self._client, self._repairs = client, repairs

    def complete(self, request: Request) -> Reply:
        """Return a reply that meets the request's schema.

        Raises:
            LLMError: no such reply after all repairs; says what was wrong with the last.
        """
        reply = self._client.complete(request)
        if request.schema is None:
            return reply
        spent, problem = reply, ""
        for turn in range(self._repairs + 1):
            data, problem = checked(reply, request.schema)
            if not problem:
                return dataclasses.replace(spent, text=json.dumps(data, ensure_ascii=False))
            if turn < self._repairs:
                reply = self._client.complete(_complaint(request, reply, problem))
                spent = _together(spent, reply)
        raise LLMError(f"no reply met its JSON schema after {self._repairs} repairs: {problem}")


def checked(reply: Reply, schema: Any) -> tuple[dict[str, Any] | None, str]:
    """Return the JSON object of a reply and, where it does not meet the schema, why not."""
    if reply.finish == "length":
        return None, "it was cut off at its longest allowed length; answer more briefly"
    data = json_object(reply.text)
    if data is None:
        return None, "there is no JSON object in it"
    jsonschema = require("jsonschema", extra="llm")
    error = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(schema).iter_errors(data)
    )
    return data, "" if error is None else f"{error.json_path}: {error.message[:300]}"


def json_object(text: str) -> dict[str, Any] | None:
    """Return the longest JSON object in a text, whatever stands around it, or None."""
    longest: dict[str, Any] | None = None
    size, end = 0, 0
    for _ in range(_TRIES):
        start = text.find("{", end)
        if start < 0:
            break
        end = start + 1
        try:
            value, end = _JSON.raw_decode(text, start)
        except (ValueError, RecursionError):
            pass  # a brace that opens no JSON; the next one may
        else:
            if end - start > size:
                longest, size = value, end - start
    return longest


def _complaint(request: Request, reply: Reply, problem: str) -> Request:
    turns = (
        *request.messages,
        Message(role="assistant", content=reply.text),
        Message(
            role="user",
            content=f"This cannot be used: {problem}. Answer again with the whole JSON object, "
            "and nothing else.",
        ),
    )
    return dataclasses.replace(request, messages=turns, purpose=f"{request.purpose} repair")


def _together(spent: Reply, reply: Reply) -> Reply:
    known = spent.usd is not None and reply.usd is not None
    return dataclasses.replace(
        reply,
        tokens_in=spent.tokens_in + reply.tokens_in,
        tokens_out=spent.tokens_out + reply.tokens_out,
        usd=(spent.usd or 0.0) + (reply.usd or 0.0) if known else None,
        latency_s=spent.latency_s + reply.latency_s,
        cached=spent.cached and reply.cached,
    )
