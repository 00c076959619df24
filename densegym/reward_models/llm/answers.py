"""Reads what an endpoint said: text in every form that servers give it, and why there is none."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

_WHY = {
    "length": "spent all its tokens before any text; raise --max-tokens",
    "content_filter": "withheld the text: its content filter struck",
    "tool_calls": "called a tool instead of writing text; none was offered",
    "function_call": "called a function instead of writing text; none was offered",
}


def text_of(choice: Any) -> str:
    """Return the text of a choice, "" where there is none; parts of a text are joined."""
    content = getattr(getattr(choice, "message", None), "content", None)
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part if isinstance(part, dict) else vars(part) for part in content if part]
    texts = [part.get("text") for part in parts if "text" in str(part.get("type", "text"))]
    return "".join(text for text in texts if isinstance(text, str))


def why_no_text(said: Any) -> str:
    """Return why a reply holds no text, as the end of a sentence about the endpoint."""
    error = getattr(said, "error", None)
    if error:  # some proxies answer 200 and put the failure into the body
        message = error.get("message", error) if isinstance(error, dict) else error
        return f"reported a failure inside its reply: {str(message)[:200]}"
    choices = getattr(said, "choices", None)
    if not choices:
        return "sent a reply without text"
    message = getattr(choices[0], "message", None)
    refusal = getattr(message, "refusal", None)
    if refusal:
        return f"declined: {str(refusal)[:200]}"
    finish = getattr(choices[0], "finish_reason", None)
    if finish in _WHY:
        return _WHY[finish]
    if getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None):
        return "sent reasoning, but a reply without text; raise --max-tokens"
    return "sent a reply without text"


def gathered(chunks: Iterable[Any]) -> Any:
    """Return a stream's chunks as the one reply that they are parts of."""
    texts, finish, model, usage = list[str](), None, None, None
    for chunk in chunks:
        model, usage = getattr(chunk, "model", model), getattr(chunk, "usage", None) or usage
        for choice in getattr(chunk, "choices", None) or ():
            finish = choice.finish_reason or finish
            texts.append(getattr(choice.delta, "content", None) or "")
    message = SimpleNamespace(content="".join(texts))
    choice = SimpleNamespace(message=message, finish_reason=finish)
    return SimpleNamespace(choices=[choice], model=model, usage=usage)
