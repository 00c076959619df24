"""A mailbox instead of an endpoint: prompts become files, replies are files that somebody writes.

For chat windows without an API, and for people.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from densegym.reward_models.llm.transcript import request_key
from densegym.reward_models.llm.types import FatalLLMError, Reply, Request

_HOW = """
# How to answer

Write the reply, and nothing else, to `{reply}` in this folder. To name the model as well, write
`{plain}` instead: a JSON object with `text`, and if you like `model`, `tokens_in`, `tokens_out`.
"""
_SCHEMA = "\nThe reply is one JSON object that meets this schema:\n\n```json\n{schema}\n```\n"


class MailboxClient:
    """Writes ``<key>.prompt.md`` and waits for ``<key>.reply.md`` or ``<key>.reply.json``.

    A prompt that was answered before is answered at once; one that still waits is not written
    again, so several processes can share a mailbox.

    Args:
        folder: the mailbox.
        timeout_s: how long to wait for each reply.
        poll_s: how often to look.
    """

    def __init__(self, folder: Path, *, timeout_s: float = 86_400.0, poll_s: float = 0.5) -> None:
        self._folder, self._timeout, self._poll = folder, timeout_s, poll_s
        folder.mkdir(parents=True, exist_ok=True)

    def complete(self, request: Request) -> Reply:
        """Write the prompt and wait for its reply.

        Raises:
            FatalLLMError: no reply came in time; names the file.
        """
        key = request_key(request)
        stem = f"{_slug(request.purpose)}{request.sample:05d}-{key[:12]}"
        prompt = self._folder / f"{stem}.prompt.md"
        text, plain = (self._folder / f"{stem}.reply.{kind}" for kind in ("md", "json"))
        if not prompt.is_file():
            _write(prompt, _page(request, text.name, plain.name))
        started = time.monotonic()
        while time.monotonic() - started < self._timeout:
            told = _read(text, plain, self._poll)
            if told is not None:
                seconds = time.monotonic() - started
                return Reply(**{"model": request.model, **told}, latency_s=seconds, key=key)
            time.sleep(self._poll)
        raise FatalLLMError(f"nobody wrote {text} within {self._timeout:.0f} s")


def _slug(purpose: str) -> str:
    kept = "".join(c if c.isalnum() else "-" for c in purpose.lower()).strip("-")
    return f"{kept[:40]}-" if kept else ""


def _page(request: Request, reply: str, plain: str) -> str:
    parts = [f"# {message['role']}\n\n{message['content']}\n" for message in request.messages]
    how = _HOW.format(reply=reply, plain=plain)
    if request.schema is not None:
        how += _SCHEMA.format(schema=json.dumps(request.schema, indent=2))
    return "\n".join([*parts, how])


def _read(text: Path, plain: Path, settle_s: float) -> dict[str, Any] | None:
    """Return a reply that is whole: its file has not grown for a moment."""
    path = plain if plain.is_file() else text
    if not path.is_file():
        return None
    before = path.stat().st_size
    time.sleep(min(settle_s, 0.2))
    if not before or path.stat().st_size != before:
        return None
    content = path.read_text(encoding="utf-8")
    if path is text:
        return {"text": content}
    try:
        stored = json.loads(content)
    except json.JSONDecodeError:
        return None  # still being written
    fields = ("text", "model", "finish", "tokens_in", "tokens_out")
    return {key: stored[key] for key in fields if key in stored}


def _write(path: Path, content: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(content, encoding="utf-8")
    os.replace(temporary, path)
