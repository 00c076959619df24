"""Recorded conversations: every reply in one JSON-lines file, replayed without key or network.

A reply's key is the hash of its request, sample index included, so repeated samples stay
independent although they are cached. Keys of vendors never come near this file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any, Literal

from densegym.errors import ResultsError
from densegym.reward_models.llm.types import Client, FatalLLMError, Reply, Request

Mode = Literal["live", "record", "replay", "replay_or_live"]
_UNRECORDED = ("cached", "latency_s")


def request_key(request: Request) -> str:
    """Return the hash of what decides a reply; ``purpose`` is only for logs."""
    plain = dataclasses.asdict(request)
    del plain["purpose"]
    text = json.dumps(plain, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Transcript:
    """A client that records, replays, or both.

    Args:
        path: of the file; its torn last line is dropped.
        mode: ``replay`` asks nobody; ``replay_or_live`` asks for what is not recorded, and
            records it; ``record`` always asks.
        live: whom to ask, or None with ``replay``.

    Raises:
        ResultsError: the file is damaged, or missing where it is all there is.
    """

    def __init__(self, path: Path, mode: Mode, live: Client | None = None) -> None:
        self._path, self._mode, self._live = path, mode, live
        self._lock = threading.Lock()
        self._replies: dict[str, Reply] = {}
        if path.is_file():
            self._read()
        elif mode == "replay":
            raise ResultsError(f"no recorded replies at {path}")

    def complete(self, request: Request) -> Reply:
        """Return the recorded reply, or a live one which is recorded before it is used.

        Raises:
            FatalLLMError: nothing is recorded for this request and nobody may be asked.
            LLMError: whoever was asked failed.
        """
        key = request_key(request)
        if self._mode in ("replay", "replay_or_live") and key in self._replies:
            return self._replies[key]
        if self._live is None or self._mode == "replay":
            raise FatalLLMError(
                f"{self._path} holds no reply for {request.purpose or 'this request'} (sample "
                f"{request.sample}, key {key[:12]}): it was recorded with another version of the "
                "prompts, or on another task"
            )
        reply = dataclasses.replace(self._live.complete(request), key=key)
        if self._mode != "live":
            self._record(key, request, reply)
        return reply

    def _record(self, key: str, request: Request, reply: Reply) -> None:
        kept = {k: v for k, v in dataclasses.asdict(reply).items() if k not in _UNRECORDED}
        line = {"key": key, "request": dataclasses.asdict(request), "reply": kept}
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, sort_keys=True) + "\n")
            file.flush()
            os.fsync(file.fileno())
            self._replies[key] = dataclasses.replace(reply, cached=True, latency_s=0.0)

    def _read(self) -> None:
        content = self._path.read_bytes()
        whole, _, torn = content.rpartition(b"\n")
        if torn and self._mode != "replay":  # whoever wrote it was killed meanwhile
            with self._path.open("r+b") as file:
                file.truncate(len(content) - len(torn))
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                stored: dict[str, Any] = json.loads(line)
                self._replies[stored["key"]] = Reply(**{**stored["reply"], "cached": True})
            except (ValueError, KeyError, TypeError) as error:
                raise ResultsError(
                    f"{self._path} line {number} is damaged ({error}); remove the line"
                ) from error
