"""Which captions still wait for a label, most wanted first, each once, in bounded memory.

States: waiting, pending (somebody was asked), failed (two unusable replies; asked again after a
restart), and labelled, which the table knows. What does not fit in memory stays in the journal.
"""

from __future__ import annotations

import heapq
import json
import os
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from densegym.errors import DenseGymError, unknown
from densegym.reward_models.intrinsic.keys import digest

Priority = Literal["recency", "frequency", "fifo"]
PRIORITIES: tuple[Priority, ...] = ("recency", "frequency", "fifo")
STRIKES = 2  # unusable replies after which a caption has failed
_PATIENCE = 3  # failed calls after which a caption goes behind all others


@dataclass(slots=True)
class Waiting:
    """A caption without a label.

    Attributes:
        caption: the canonical text.
        first: rank of its first occurrence.
        latest: rank of its latest occurrence.
        seen: occurrences while it waited.
        strikes: unusable replies about it.
        failures: calls about it that failed.
        pending: somebody is being asked about it.
    """

    caption: str
    first: int
    latest: int
    seen: int = 1
    strikes: int = 0
    failures: int = 0
    pending: bool = False


_RANK: dict[Priority, Callable[[Waiting], int]] = {
    "recency": lambda item: item.latest,
    "frequency": lambda item: item.seen,
    "fifo": lambda item: -item.first,
}


class CaptionQueue:
    """A de-duplicating priority queue; not safe between threads by itself.

    Args:
        labelled: captions that need no label; grows while labels arrive.
        journal: file of every caption that was ever queued, or None to forget what overflows.
        capacity: most captions in memory.
        priority: ``recency`` (ONI's), ``frequency`` or ``fifo``.
    """

    def __init__(
        self,
        labelled: Container[str],
        journal: Path | None = None,
        *,
        capacity: int = 10_000,
        priority: Priority = "recency",
    ) -> None:
        if priority not in PRIORITIES:
            raise unknown("priority", priority, PRIORITIES)
        if capacity < 1:
            raise DenseGymError(f"capacity is at least 1; given {capacity}")
        self.failed: set[str] = set()
        self._labelled, self._journal_path, self._capacity = labelled, journal, capacity
        self._rank = _RANK[priority]
        self._items: dict[str, Waiting] = {}
        self._noted: set[int] = set()
        self._clock = 0
        self._overflowed = 0
        self._journal = None
        if journal is not None:
            journal.parent.mkdir(parents=True, exist_ok=True)
            self._compact(journal)
            self._journal = journal.open("a", encoding="utf-8")

    def __len__(self) -> int:
        """Number of captions in memory that wait or are pending."""
        return len(self._items)

    @property
    def overflowed(self) -> int:
        """Number of captions that wait in the journal alone."""
        return self._overflowed

    def put(self, caption: str) -> bool:
        """Note an occurrence of a caption without a label; return whether it is new."""
        self._clock += 1
        item = self._items.get(caption)
        if item is not None:
            item.seen += 1
            item.latest = self._clock
            return False
        if caption in self._labelled or caption in self.failed:
            return False
        mark = digest(caption.encode())
        new = mark not in self._noted
        if new:
            self._noted.add(mark)
            if self._journal is not None:
                self._journal.write(json.dumps(caption, ensure_ascii=False) + "\n")
                self._journal.flush()
        elif self._overflowed:
            self._overflowed -= 1
        self._items[caption] = Waiting(caption, self._clock, self._clock)
        if len(self._items) > self._capacity:
            self._overflow()
        return new

    def take(self, most: int, most_again: int) -> list[Waiting]:
        """Mark the most wanted captions pending and return them.

        Args:
            most: at most so many.
            most_again: at most so many where the most wanted had an unusable reply before.
        """
        ready = [item for item in self._items.values() if not item.pending]
        if not ready and self._overflowed:
            self._reload()
            ready = [item for item in self._items.values() if not item.pending]
        best = heapq.nlargest(
            most, ready, key=lambda item: (-min(item.failures, _PATIENCE), self._rank(item))
        )
        if best and best[0].strikes:
            best = [item for item in best if item.strikes][:most_again]
        else:
            best = [item for item in best if not item.strikes]
        for item in best:
            item.pending = True
        return best

    def done(self, captions: Sequence[str]) -> None:
        """Forget captions that have a label now."""
        for caption in captions:
            self._items.pop(caption, None)

    def strike(self, captions: Sequence[str]) -> None:
        """Note unusable replies; after the second the caption has failed."""
        for caption in captions:
            item = self._items[caption]
            item.strikes, item.pending = item.strikes + 1, False
            if item.strikes >= STRIKES:
                self.failed.add(caption)
                del self._items[caption]

    def give_back(self, captions: Sequence[str]) -> None:
        """Let captions wait again after a call that failed."""
        for caption in captions:
            item = self._items[caption]
            item.failures, item.pending = item.failures + 1, False

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _overflow(self) -> None:
        """Drop a tenth from memory, the least seen and oldest first; the newest stays."""
        spare = [item for item in self._items.values() if not item.pending][:-1]
        drop = heapq.nsmallest(
            max(self._capacity // 10, 1), spare, key=lambda item: (item.seen, item.latest)
        )
        for item in drop:
            del self._items[item.caption]
            if self._journal is not None:
                self._overflowed += 1
            else:
                self._noted.discard(digest(item.caption.encode()))

    def _reload(self) -> None:
        """Bring captions that overflowed back from the journal, as many as fit."""
        assert self._journal_path is not None
        self._overflowed = 0
        for caption in _journalled(self._journal_path):
            if caption in self._labelled or caption in self.failed or caption in self._items:
                continue
            if len(self._items) >= self._capacity:
                self._overflowed += 1
                continue
            self._clock += 1
            self._items[caption] = Waiting(caption, self._clock, self._clock)

    def _compact(self, journal: Path) -> None:
        """Rewrite the journal without labelled captions, and queue what is left."""
        if not journal.is_file():
            return
        temporary = journal.with_suffix(".tmp")
        with temporary.open("w", encoding="utf-8") as file:
            for caption in _journalled(journal):
                mark = digest(caption.encode())
                if caption not in self._labelled and mark not in self._noted:
                    self._noted.add(mark)
                    file.write(json.dumps(caption, ensure_ascii=False) + "\n")
        os.replace(temporary, journal)
        self._overflowed = len(self._noted)
        self._reload()


def _journalled(path: Path) -> Iterator[str]:
    """Yield the captions of a journal, without lines that are torn or foreign."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                caption = json.loads(line)
            except ValueError:
                continue
            if isinstance(caption, str) and caption:
                yield caption
