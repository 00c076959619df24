"""A local server that speaks the vision protocol and misbehaves on demand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class VisionServer:
    """Answers chat completions with what ``answer`` returns: a text, or (status, text).

    Args:
        answer: called with the request; may sleep.

    Attributes:
        seen: requests, in order.
    """

    def __init__(self, answer: Callable[[dict[str, Any]], Any]) -> None:
        self.answer, self.seen = answer, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.seen.append(asked)
                said = outer.answer(asked)
                status, text = said if isinstance(said, tuple) else (200, said)
                body = {"error": {"message": text}} if status != 200 else _completion(text)
                raw = json.dumps(body).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(raw)))
                    self.end_headers()
                    self.wfile.write(raw)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the client gave up, which is what the test is about

            def log_message(self, *args):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def texts(request: dict[str, Any]) -> list[str]:
    """Return the texts of a request's parts; pictures are ``"<image>"``."""
    parts = request["messages"][-1]["content"]
    return [part["text"] if part["type"] == "text" else "<image>" for part in parts]


def slowly(seconds: float, text: str) -> Callable[[dict[str, Any]], str]:
    """Return an answer that takes its time."""

    def answer(request: dict[str, Any]) -> str:
        time.sleep(seconds)
        return text

    return answer


def _completion(text: Any) -> dict[str, Any]:
    likely = text if isinstance(text, dict) else None
    message = {"role": "assistant", "content": "K" if likely else text}
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": "stop"}
    if likely:
        tops = [{"token": k, "logprob": v, "bytes": None} for k, v in likely.items()]
        at = {"token": "K", "logprob": 0.0, "bytes": None, "top_logprobs": tops}
        choice["logprobs"] = {"content": [at]}
    usage = {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "served",
        "choices": [choice],
        "usage": usage,
    }
