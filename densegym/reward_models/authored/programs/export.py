"""Puts a provenance header on a program, replacing the one it may carry."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Any

_OPEN, _CLOSE = "# /// densegym-reward", "# ///"


def header_text(source: str, entries: Mapping[str, Any]) -> str:
    """Return a program's text under a new header block; see ``program.read_header``.

    Args:
        source: the program, with or without a header.
        entries: of the block: texts, numbers, truth values and dates.
    """
    block = [f"# {key} = {_toml(value)}" for key, value in entries.items()]
    body = _body(source).strip("\n")
    if "import numpy as np" not in body:  # the sandbox needs none, a reader and his linter do
        body = f"import numpy as np\n\n\n{body}"
    return "\n".join([_OPEN, *block, _CLOSE, body, ""])


def _body(source: str) -> str:
    lines = source.splitlines()
    if lines and lines[0].strip() == _OPEN and _CLOSE in lines[1:]:
        lines = lines[lines.index(_CLOSE, 1) + 1 :]
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, datetime.date):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False)
