"""Caption tables: what an annotator said of each caption, in one append-only JSON-lines file.

The first line says what the numbers are and where they come from; every other line is one
caption. A table read again pays bit-equal rewards, whoever labelled it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from densegym.errors import ResultsError

SCHEMA = 1
Kind = Literal["grade", "preference", "subgoal"]
"""``grade``: 0 to 9, how helpful; ``preference`` of a pair: 0 first, 1 second, 0.5 neither;
``subgoal``: index of the subgoal that a caption completes, or -1."""
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "grade": (0.0, 9.0),
    "preference": (0.0, 1.0),
    "subgoal": (-1.0, 99.0),
}
HELPFUL = 5.0  # grades from here on are positive labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a table holds and who said it; tables that differ in it but for the date do not mix.

    Attributes:
        kind: what the numbers mean.
        goal: key of the goal that captions were judged by.
        prompt: name and version of the prompt, or of the rule.
        annotator: type of whoever labelled: ``"language model, by mailbox"``, ``"lexicon"``, ...
        model: the model's name, or empty.
        date: when the table was begun, ISO 8601.
    """

    kind: Kind
    goal: str
    prompt: str
    annotator: str
    model: str = ""
    date: str = ""

    def mixes_with(self, other: Provenance) -> bool:
        """Return whether labels of both may stand in one table."""
        return {**asdict(self), "date": ""} == {**asdict(other), "date": ""}


class CaptionTable(Mapping[str, float]):
    """Labels by canonical caption, in memory and, if it has a path, on disk.

    Safe between threads. A last line torn by a kill is cut off when the table is opened for
    writing; any other damage is refused.

    Args:
        provenance: of a new table; a table on disk must mix with it. None takes the file's.
        path: of the file, or None to keep labels in memory alone.
        readonly: never write.

    Raises:
        ResultsError: the file is missing where it must exist, damaged, or of other provenance.
    """

    def __init__(
        self,
        provenance: Provenance | None = None,
        path: Path | None = None,
        *,
        readonly: bool = False,
    ) -> None:
        self.path = path
        self.seen: dict[str, int] = {}
        self._values: dict[str, float] = {}
        self._lock = threading.Lock()
        self._writes = path is not None and not readonly
        self._at_close: list[Callable[[], None]] = []
        exists = path is not None and path.is_file() and path.stat().st_size > 0
        if exists:
            assert path is not None
            self.provenance = self._read(path, truncate=not readonly)
            if provenance is not None and not self.provenance.mixes_with(provenance):
                raise ResultsError(_differs(path, self.provenance, provenance))
        elif provenance is None or readonly:
            raise ResultsError(f"no caption table at {path}; make one: densegym captions label")
        else:
            date = datetime.now(UTC).isoformat(timespec="seconds")
            fields = {**asdict(provenance), "date": provenance.date or date}
            self.provenance = Provenance(**fields)
        if path is not None and not readonly:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not exists:
                self._write([{"schema": SCHEMA, **asdict(self.provenance)}])

    def __getitem__(self, caption: str) -> float:
        return self._values[caption]

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(tuple(self._values))

    def __contains__(self, caption: object) -> bool:
        return caption in self._values

    def get(self, caption: str, default: Any = None) -> Any:
        """Return a caption's label, or the default."""
        return self._values.get(caption, default)

    def add(self, labels: Mapping[str, float]) -> int:
        """Keep new labels, on disk before in memory; known captions keep theirs.

        Returns:
            How many were new.

        Raises:
            ResultsError: a label is out of its kind's bounds.
        """
        with self._lock:
            fresh = {c: float(v) for c, v in labels.items() if c not in self._values}
            for caption, value in fresh.items():
                self._check(caption, value)
            self._write([{"caption": c, "value": v} for c, v in fresh.items()])
            self._values.update(fresh)
        return len(fresh)

    def merge(self, other: CaptionTable) -> list[str]:
        """Take over another table's labels; return captions on which the two disagree.

        Raises:
            ResultsError: the tables are of different provenance.
        """
        if not self.provenance.mixes_with(other.provenance):
            raise ResultsError(_differs(other.path, other.provenance, self.provenance))
        clashes = [c for c, v in other.items() if self.get(c, v) != v]
        self.add(other)
        return clashes

    def on_close(self, act: Callable[[], None]) -> None:
        """Call ``act`` when the table is closed."""
        self._at_close.append(act)

    def close(self) -> None:
        """Let go of the file; labels stay readable."""
        with self._lock:
            self._writes = False
            while self._at_close:
                self._at_close.pop()()

    def _write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if not self._writes or not rows:
            return
        assert self.path is not None
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            file.flush()
            os.fsync(file.fileno())

    def _check(self, caption: str, value: float) -> None:
        low, high = _BOUNDS[self.provenance.kind]
        if not caption or not low <= value <= high:
            raise ResultsError(
                f"a {self.provenance.kind} is between {low:g} and {high:g} for a caption that is "
                f"not empty; given {value} for {caption!r}"
            )

    def _read(self, path: Path, *, truncate: bool) -> Provenance:
        content = path.read_bytes()
        whole, _, torn = content.rpartition(b"\n")
        if torn and truncate:
            with path.open("r+b") as file:
                file.truncate(len(content) - len(torn))
        lines = whole.split(b"\n")
        self.provenance = _provenance(lines[0], path)
        for number, line in enumerate(lines[1:], start=2):
            try:
                row = json.loads(line)
                caption, value = str(row["caption"]), float(row["value"])
                self._check(caption, value)
            except (ValueError, KeyError, TypeError) as error:
                raise ResultsError(
                    f"{path} line {number} is damaged ({error}); remove the line"
                ) from error
            if self._values.setdefault(caption, value) != value:
                raise ResultsError(
                    f"{path} line {number} contradicts an earlier label of {caption!r}; remove one"
                )
            if "seen" in row:
                self.seen[caption] = int(row["seen"])
        return self.provenance


def _provenance(line: bytes, path: Path) -> Provenance:
    try:
        head = json.loads(line)
        if head.pop("schema") != SCHEMA or head["kind"] not in get_args(Kind):
            raise ValueError("another schema or kind")
        return Provenance(**head)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"{path} is no caption table of schema {SCHEMA}: its first line is not a header "
            f"({error})"
        ) from error


def _differs(path: Path | None, found: Provenance, wanted: Provenance) -> str:
    one, other = asdict(found), asdict(wanted)
    parts = [f"{k} {one[k]!r}, not {other[k]!r}" for k in one if k != "date" and one[k] != other[k]]
    return (
        f"the caption table {path} has {'; '.join(parts)}. Labels for different goals, prompts or "
        "annotators never share a table: choose another file."
    )
