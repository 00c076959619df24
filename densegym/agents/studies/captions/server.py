"""A local OpenAI-compatible server that grades captions by rule and fails on purpose.

Run by ``densegym captions stress`` and by tests, as a module of its own process.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from densegym.reward_models.intrinsic.annotation.comparing import pair_key
from densegym.reward_models.intrinsic.annotation.sources import random_grade
from densegym.reward_models.intrinsic.annotation.table import HELPFUL

_CAPTION = re.compile(r"^(\d+)\. \{(.*)\}$", re.MULTILINE)
_PAIR = re.compile(r"^(\d+)\. \{(.*?)\} \{(.*)\}$", re.MULTILINE)


def answer(prompt: str) -> tuple[str, list[str]]:
    """Return a well-formed reply to a prompt about captions or pairs, and what it is about."""
    pairs = _PAIR.findall(prompt)
    if pairs:
        graded_pairs = [(int(n), random_grade(a, 0), random_grade(b, 0)) for n, a, b in pairs]
        said = [{"n": n, "best": 0 if a == b else 1 + (b > a)} for n, a, b in graded_pairs]
        return json.dumps({"pairs": said}), [pair_key(a, b) for _, a, b in pairs]
    found = _CAPTION.findall(prompt)
    graded = [(int(n), int(random_grade(caption, 0))) for n, caption in found]
    entries = [
        {"n": n, "label": "FOO" if grade >= HELPFUL else "BAR", "grade": grade}
        for n, grade in graded
    ]
    return json.dumps({"knowledge": "none", "captions": entries}), [c for _, c in found]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: CaptionServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text, captions = answer(body["messages"][-1]["content"])
        time.sleep(self.server.delay_s)
        fault = self.server.draw_fault()
        if fault == "drop":
            self.close_connection = True
            self.connection.close()
            return
        if fault == "error":
            self._send(500, {"error": {"message": "out of luck"}})
            return
        message = {"role": "assistant", "content": "Hm." if fault == "babble" else text}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
        shape = {"id": "r", "object": "chat.completion", "created": 0, "model": body["model"]}
        self._send(200, {**shape, "choices": [choice], "usage": usage})
        self.server.note(captions)

    def _send(self, status: int, content: Any) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class CaptionServer(ThreadingHTTPServer):
    """Grades captions on the loopback interface.

    Args:
        port: 0 takes a free one; see ``server_address``.
        failure: share of calls that fail, half with status 500, half with a cut connection.
        babble: share of calls that are answered with nothing readable.
        delay_s: of every answer.
        log: file to which every answered caption is appended, or None.
        seed: of the faults.
    """

    daemon_threads = True

    def __init__(
        self,
        port: int = 0,
        *,
        failure: float = 0.0,
        babble: float = 0.0,
        delay_s: float = 0.0,
        log: Path | None = None,
        seed: int = 0,
    ) -> None:
        self.delay_s = delay_s
        self._failure, self._babble, self._log = failure, babble, log
        self._rng, self._lock = random.Random(seed), threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def base_url(self) -> str:
        """Return what a client takes as ``base_url``."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def draw_fault(self) -> str:
        """Return ``""``, ``"drop"``, ``"error"`` or ``"babble"``."""
        with self._lock:
            drawn = self._rng.random()
        if drawn < self._failure:
            return "drop" if drawn < self._failure / 2 else "error"
        return "babble" if drawn < self._failure + self._babble else ""

    def note(self, captions: list[str]) -> None:
        """Append answered captions to the log."""
        if self._log is not None:
            with self._lock, self._log.open("a", encoding="utf-8") as file:
                file.writelines(f"{caption}\n" for caption in captions)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent about clients that hang up."""


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--failure", type=float, default=0.0)
    parser.add_argument("--babble", type=float, default=0.0)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with CaptionServer(
        given.port,
        failure=given.failure,
        babble=given.babble,
        delay_s=given.delay,
        log=given.log,
        seed=given.seed,
    ) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
