"""A local server that speaks the chat-completions protocol and misbehaves on demand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Stream:
    """A reply in chunks, with a pause before each."""

    def __init__(self, chunks: Sequence[dict[str, Any]], pause_s: float = 0.0) -> None:
        self.chunks, self.pause_s = chunks, pause_s

    def send(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        try:
            for chunk in self.chunks:
                time.sleep(self.pause_s)
                handler.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                handler.wfile.flush()
            handler.wfile.write(b"data: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client gave up


class ChatServer:
    """Answers with what ``answer`` returns, and keeps what it was asked.

    Args:
        answer: called with the request, may sleep; returns a text, a body, bytes, or
            (status, one of these). The text of another status than 200 is the error's message.

    Attributes:
        url: of the endpoint.
        seen: requests, in order.
    """

    def __init__(self, answer: Callable[[dict[str, Any]], Any]) -> None:
        self.answer, self.seen = answer, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.seen.append(asked)
                said = outer.answer(asked)
                if isinstance(said, Stream):
                    said.send(self)
                    return
                status, body = said if isinstance(said, tuple) else (200, said)
                if isinstance(body, str):
                    body = completion(body) if status == 200 else _error(body)
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
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
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> ChatServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def in_turn(answers: Sequence[Any]) -> Callable[[dict[str, Any]], Any]:
    """Return an answer that takes one after the other; the last one stays."""
    left = list(answers)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


def slowly(seconds: float, text: str) -> Callable[[dict[str, Any]], str]:
    """Return an answer that takes its time."""

    def answer(request: dict[str, Any]) -> str:
        time.sleep(seconds)
        return text

    return answer


def completion(text: str | None, finish: str = "stop", **choice: Any) -> dict[str, Any]:
    """Return the body of a reply of 7 and 3 tokens."""
    message = {"role": "assistant", "content": text}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m-1",
        "choices": [{"index": 0, "message": message, "finish_reason": finish, **choice}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


def likely(token: str, logprobs: dict[str, float]) -> dict[str, Any]:
    """Return the body of a reply of one token, with the likeliest ones."""
    tops = [{"token": k, "logprob": v, "bytes": None} for k, v in logprobs.items()]
    at = {"token": token, "logprob": 0.0, "bytes": None, "top_logprobs": tops}
    return completion(token, logprobs={"content": [at]})


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "x", "code": None, "param": None}}
