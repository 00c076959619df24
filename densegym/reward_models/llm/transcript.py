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
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from densegym.errors import ResultsError
from densegym.reward_models.llm.types import Client, FatalLLMError, LLMError, Reply, Request

Mode = Literal["live", "record", "replay", "replay_or_live"]
_UNRECORDED = ("cached", "latency_s")


def request_key(request: Request) -> str:
    """Return the hash of what decides a reply; ``purpose`` is only for logs."""
    plain = dataclasses.asdict(request)
    del plain["purpose"]
    if not request.alternatives:  # keys of replies recorded before these could be asked for
        del plain["alternatives"]
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
        self._known: dict[str, Reply | LLMError] = {}
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
        if self._mode in ("replay", "replay_or_live") and key in self._known:
            found = self._known[key]
            if isinstance(found, LLMError):
                raise found
            return found
        if self._live is None or self._mode == "replay":
            raise FatalLLMError(
                f"{self._path} holds no reply for {request.purpose or 'this request'} (sample "
                f"{request.sample}, key {key[:12]}): it was recorded with another version of the "
                "prompts, or on another task"
            )
        try:
            reply = dataclasses.replace(self._live.complete(request), key=key)
        except FatalLLMError:
            raise
        except LLMError as error:
            self._record(key, request, error)
            raise
        self._record(key, request, reply)
        return reply

    def _record(self, key: str, request: Request, said: Reply | LLMError) -> None:
        """Keep a reply or a failure; a failure counts too, or a repeated search would differ."""
        if self._mode == "live":
            return
        line = {"key": key, "request": dataclasses.asdict(request), **_plain(said)}
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, sort_keys=True) + "\n")
            file.flush()
            os.fsync(file.fileno())
            self._known[key] = _said(line)

    def _read(self) -> None:
        content = self._path.read_bytes()
        whole, _, torn = content.rpartition(b"\n")
        if torn and self._mode != "replay":  # whoever wrote it was killed meanwhile
            with self._path.open("r+b") as file:
                file.truncate(len(content) - len(torn))
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                stored: dict[str, Any] = json.loads(line)
                self._known[stored["key"]] = _said(stored)
            except (ValueError, KeyError, TypeError) as error:
                raise ResultsError(
                    f"{self._path} line {number} is damaged ({error}); remove the line"
                ) from error


def first_request(path: Path) -> dict[str, Any]:
    """Return the first recorded request, whose model and limits the others share.

    Raises:
        ResultsError: the file is missing, empty or damaged.
    """
    try:
        with path.open(encoding="utf-8") as file:
            request: dict[str, Any] = json.loads(file.readline())["request"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{path} holds no recorded request: {error}") from error
    return request


def spent(path: Path) -> dict[str, Any]:
    """Return calls, tokens and USD behind a file of recorded replies; USD None if unknown.

    Unusable replies count. ``calls_estimated`` is there where a server told no tokens.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    stored = [json.loads(line) for line in lines]
    paid = [line.get("reply") or line["paid"] for line in stored if {"reply", "paid"} & {*line}]
    prices = [reply["usd"] for reply in paid]
    estimated = sum(1 for reply in paid if reply.get("estimated"))
    told = {"calls_estimated": estimated} if estimated else {}
    return {
        "calls": len(lines),
        "tokens_in": sum(reply["tokens_in"] for reply in paid),
        "tokens_out": sum(reply["tokens_out"] for reply in paid),
        "usd": None if None in prices else float(sum(prices)),
        **told,
    }


def _plain(said: Reply | LLMError) -> dict[str, Any]:
    if isinstance(said, LLMError):
        if not said.tokens_in + said.tokens_out:
            return {"error": str(said)}
        paid = {"tokens_in": said.tokens_in, "tokens_out": said.tokens_out, "usd": said.usd}
        return {"error": str(said), "paid": paid}
    values = dataclasses.asdict(said)
    if not said.estimated:
        del values["estimated"]
    if not said.alternatives:
        del values["alternatives"]
    return {"reply": {name: value for name, value in values.items() if name not in _UNRECORDED}}


def _said(stored: Mapping[str, Any]) -> Reply | LLMError:
    if "error" in stored:
        return LLMError(stored["error"])
    reply = {**stored["reply"], "cached": True}
    return Reply(**{**reply, "alternatives": tuple(reply.get("alternatives", ()))})
