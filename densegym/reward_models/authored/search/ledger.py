"""The ledger of a search: append-only JSON lines, one whole candidate a line, the last one counts.

Nothing that differs between two runs of the same search (clocks, folders) is written here, so two
of them leave the same bytes.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from densegym.errors import ResultsError
from densegym.reward_models.authored.search.candidate import Row, row_from_dict

DIGITS = 6


class Ledger:
    """Every candidate of a search, in order of submission.

    Args:
        path: of the ``.jsonl`` file; read if it exists.

    Raises:
        ResultsError: a line other than a torn last one is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: dict[str, Row] = {}
        if path.is_file():
            self._read()

    def rows(self) -> list[Row]:
        """Return the candidates as they stand, in order of submission."""
        return list(self._rows.values())

    def find(self, candidate: str) -> Row | None:
        """Return a candidate by id, or None."""
        return self._rows.get(candidate)

    def write(self, row: Row) -> Row:
        """Append a row unless the ledger already says the same; return it as a reader sees it."""
        line = json.dumps(_rounded(row.as_dict()), sort_keys=True, allow_nan=False)
        kept = row_from_dict(json.loads(line))
        if self._rows.get(kept.id) != kept:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())
            self._rows[kept.id] = kept
        return kept

    def _read(self) -> None:
        content = self.path.read_bytes()
        whole, _, torn = content.rpartition(b"\n")
        if torn:  # the process was killed while it wrote this line
            with self.path.open("r+b") as file:
                file.truncate(len(content) - len(torn))
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                row = row_from_dict(json.loads(line))
            except (json.JSONDecodeError, UnicodeDecodeError, ResultsError) as error:
                raise ResultsError(
                    f"{self.path} line {number} is damaged ({error}). Remove the line, or the "
                    "whole folder to search anew."
                ) from error
            self._rows[row.id] = row


def _rounded(value: Any) -> Any:
    """Return plain values with six significant digits, and null for what JSON cannot hold."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
