"""Replies by the hash of their question: the last ones in memory, all of them in a file."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import threading
from collections import OrderedDict
from pathlib import Path

from densegym.errors import ResultsError
from densegym.reward_models.llm.types import Reply

_IN_MEMORY = 50_000  # replies of a few hundred bytes
_WAIT_S = 10.0  # for another process that writes


class ReplyCache:
    """Keeps replies that could be read; safe to use from several threads and processes.

    Args:
        path: SQLite file, made where there is none; None keeps replies in memory only.

    Raises:
        ResultsError: the file is damaged or no database.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path, self._lock = path, threading.Lock()
        self._memory: OrderedDict[str, Reply] = OrderedDict()
        self._file = None if path is None else self._open(Path(path))

    def _open(self, path: Path) -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = sqlite3.connect(path, timeout=_WAIT_S, check_same_thread=False)
            file.execute("PRAGMA journal_mode=WAL")
            file.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT)")
            file.commit()
        except sqlite3.Error as error:
            raise ResultsError(f"{path} is no cache of replies ({error}); remove it") from error
        return file

    def get(self, key: str) -> Reply | None:
        """Return a kept reply, marked as cached, or None."""
        with self._lock:
            if key in self._memory:
                self._memory.move_to_end(key)
                return self._memory[key]
            reply = self._read(key)
            if reply is not None:
                self._remember(key, reply)
            return reply

    def put(self, key: str, reply: Reply) -> None:
        """Keep a reply."""
        kept = dataclasses.replace(reply, cached=True, usd=0.0, latency_s=0.0)
        with self._lock:
            self._remember(key, kept)
            if self._file is not None:
                line = json.dumps(dataclasses.asdict(kept))
                with self._file:
                    self._file.execute("INSERT OR REPLACE INTO replies VALUES (?, ?)", (key, line))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _remember(self, key: str, reply: Reply) -> None:
        self._memory[key] = reply
        if len(self._memory) > _IN_MEMORY:
            self._memory.popitem(last=False)

    def _read(self, key: str) -> Reply | None:
        if self._file is None:
            return None
        try:
            row = self._file.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            stored = json.loads(row[0])
            return Reply(**{**stored, "alternatives": tuple(stored["alternatives"])})
        except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
            raise ResultsError(f"{self._path} is damaged ({error}); remove it") from error
