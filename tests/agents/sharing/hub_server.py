"""A Hugging Face Hub on the loopback: repositories, commits, and files by revision."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

TOKEN = "hf_" + "a" * 34
_COMMIT = "c" * 40


class Hub:
    """What the server keeps: files by repository, and what was asked of it."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.url = ""
        self.down = False


@contextmanager
def running() -> Iterator[Hub]:
    """Serve an empty Hub."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None: ...

        def _answer(self, content: Any, status: int = 200, **headers: str) -> None:
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _refuse(self, status: int, code: str) -> None:
            self._answer({"error": code}, status, X_Error_Code=code, X_Error_Message=code)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if hub.down:
                return self._refuse(503, "Down")
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self._refuse(401, "Unauthorized")
            if self.path == "/api/repos/create":
                told = json.loads(body)
                name = "/".join(filter(None, (told.get("organization"), told["name"])))
                hub.files.setdefault(name, {})
                hub.private[name] = bool(told.get("private")) or told.get("visibility") == "private"
                return self._answer({"url": f"{hub.url}/{name}"})
            if self.path == "/api/validate-yaml":
                return self._answer({"errors": [], "warnings": []})
            name = "/".join(self.path.split("/")[3:5])
            if "/preupload/" in self.path:
                asked = json.loads(body)["files"]
                kept = [
                    {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for f in asked
                ]
                return self._answer({"files": kept})
            for line in body.decode().splitlines():
                told = json.loads(line)
                if told["key"] == "file":
                    content = base64.b64decode(told["value"]["content"])
                    hub.files[name][told["value"]["path"]] = content
            url = f"{hub.url}/{name}/commit/{_COMMIT}"
            return self._answer({"commitUrl": url, "commitOid": _COMMIT, "success": True})

        def do_GET(self) -> None:
            path = unquote(self.path.partition("?")[0])
            if hub.down:
                return self._refuse(503, "Down")
            if path.startswith("/api/models/"):
                _, _, _, owner, rest, *more = path.split("/")
                name = f"{owner}/{rest}"
                if name not in hub.files:
                    return self._refuse(404, "RepoNotFound")
                if more[:1] == ["revision"] and more[1] not in ("main", _COMMIT):
                    return self._refuse(404, "RevisionNotFound")
                if more[:1] == ["tree"]:
                    listed = [
                        {"type": "file", "path": path, "size": len(content), "oid": _oid(content)}
                        for path, content in hub.files[name].items()
                    ]
                    return self._answer(listed)
                siblings = [{"rfilename": path} for path in hub.files[name]]
                return self._answer({"id": name, "sha": _COMMIT, "siblings": siblings})
            if path.startswith("/api/"):
                return self._refuse(404, "Unknown")
            owner, rest, _, _, *parts = path.strip("/").split("/")
            content = hub.files.get(f"{owner}/{rest}", {}).get("/".join(parts))
            if content is None:
                return self._refuse(404, "EntryNotFound")
            etag = f'"{_oid(content)}"'
            return self._answer(content, ETag=etag, X_Repo_Commit=_COMMIT)

        do_HEAD = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _oid(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
