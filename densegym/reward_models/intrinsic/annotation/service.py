"""Labels captions while the policy learns: threads that ask, store and retry.

Training never waits for a label. A server that is slow, fails or is gone only delays labels; a
process that is killed finds on its next start every label it had and every caption it had queued.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from densegym.errors import DenseGymError
from densegym.reward_models.intrinsic.annotation.asking import Annotator, Verdicts
from densegym.reward_models.intrinsic.annotation.queue import CaptionQueue, Priority, Waiting
from densegym.reward_models.intrinsic.annotation.table import CaptionTable
from densegym.reward_models.llm.types import FatalLLMError, LLMError, Unreachable

_LOG = logging.getLogger(__name__)
_AGAIN = 10  # captions a prompt, where an earlier reply about them was unusable


class AnnotationService:
    """Asks an annotator about every caption that has no label, and keeps what it says.

    A failed call is repeated after a pause that doubles up to ``longest_pause_s``, for as long as
    the service lives; a caption whose calls keep failing goes behind all others. An unusable
    reply about a caption is asked for once more; then the caption waits for the next start and is
    worth the default. No failure ever becomes a label. A spent budget or a refused key halts the
    service, not the training; ``halted`` says why.

    Args:
        annotator: who is asked.
        table: where labels are kept.
        journal: file of queued captions, or None to start empty next time.
        batch: most captions a prompt.
        workers: prompts at a time.
        capacity: most captions that wait in memory.
        priority: ``recency``, ``frequency`` or ``fifo``.
        pause_s: pause after the first failed call.
        longest_pause_s: longest pause between failed calls.

    Attributes:
        table: where labels are kept.
        halted: why no more is asked, or empty.
        pauses: shortest and longest pause after failed calls, in seconds.
    """

    def __init__(
        self,
        annotator: Annotator,
        table: CaptionTable,
        *,
        journal: Path | None = None,
        batch: int = 50,
        workers: int = 1,
        capacity: int = 10_000,
        priority: Priority = "recency",
        pause_s: float = 1.0,
        longest_pause_s: float = 60.0,
    ) -> None:
        if batch < 1 or workers < 1:
            raise DenseGymError(f"batch and workers are at least 1; given {batch} and {workers}")
        self.table = table
        self.halted = ""
        self._annotator, self._batch = annotator, batch
        self._queue = CaptionQueue(table, journal, capacity=capacity, priority=priority)
        self.pauses = pause_s, longest_pause_s
        self._failures = 0  # calls in a row
        self._counters: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"captions-{n}", daemon=True)
            for n in range(workers)
        ]

    def start(self) -> None:
        """Begin to ask."""
        for thread in self._threads:
            thread.start()

    def ask(self, caption: str) -> bool:
        """Note that a caption occurred; return whether it has a label."""
        if caption in self.table:
            return True
        with self._changed:
            if self._queue.put(caption):
                self._counters["queued"] += 1
                self._changed.notify()
        return False

    def drain(self, timeout_s: float) -> bool:
        """Wait until nothing waits or the service halts; return whether nothing waits."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting() or bool(self.halted), timeout_s)
            return not self._waiting()

    def metrics(self) -> dict[str, float]:
        """Return what was counted since the start.

        ``queued`` captions; ``model_calls``, and ``asked`` captions in them; ``labelled``,
        ``unusable`` replies about a caption; ``failures`` of calls; captions that have ``failed``
        and that are ``waiting``, of them ``in_memory``; ``halted``; ``cost_usd`` and ``tokens``.
        """
        with self._changed:
            names = ("queued", "model_calls", "asked", "labelled", "unusable", "failures")
            return {
                **{name: float(self._counters[name]) for name in names},
                "failed": float(len(self._queue.failed)),
                "waiting": float(self._waiting()),
                "in_memory": float(len(self._queue)),
                "halted": float(bool(self.halted)),
                **self._annotator.spent,
            }

    def close(self, timeout_s: float = 5.0) -> None:
        """Stop asking and close the files; an answer still on its way is asked for next time."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout_s)
        with self._changed:
            self._queue.close()
            self.table.close()

    def _waiting(self) -> int:
        return len(self._queue) + self._queue.overflowed

    def _work(self) -> None:
        while True:
            items = self._next()
            if not items:
                return
            captions = [item.caption for item in items]
            attempt = max(item.strikes for item in items)
            try:
                self._keep(captions, self._annotator.annotate(captions, attempt))
            except LLMError as error:
                fatal = isinstance(error, FatalLLMError) and not isinstance(error, Unreachable)
                self._fail(captions, str(error), fatal=fatal)
            except Exception as error:  # a broken annotator must not stop the training
                self._fail(captions, repr(error), fatal=True)

    def _next(self) -> list[Waiting]:
        """Return the next batch, once there is one; empty when it is time to stop."""
        with self._changed:
            while not self._stopping and not self.halted:
                items = self._queue.take(self._batch, _AGAIN)
                if items:
                    self._counters["model_calls"] += 1
                    self._counters["asked"] += len(items)
                    return items
                self._changed.wait()
            return []

    def _keep(self, captions: Sequence[str], verdicts: Verdicts) -> None:
        said = {c: v for c in captions if (v := verdicts.get(c)) is not None}
        silent = [c for c in captions if c not in said]
        self.table.add(said)  # on disk before the queue forgets them; training does not wait
        with self._changed:
            self._queue.done(list(said))
            self._queue.strike(silent)
            self._counters["labelled"] += len(said)
            self._counters["unusable"] += len(silent)
            self._failures = 0
            self._changed.notify_all()

    def _fail(self, captions: Sequence[str], why: str, *, fatal: bool) -> None:
        with self._changed:
            self._queue.give_back(captions)
            self._counters["failures"] += 1
            self._failures += 1
            if fatal:
                self.halted = why
                _LOG.warning("no more captions are labelled in this run: %s", why)
            self._changed.notify_all()
            shortest, longest = self.pauses
            pause = min(shortest * 2.0 ** min(self._failures - 1, 30), longest)
            self._changed.wait_for(lambda: self._stopping or bool(self.halted), pause)
