"""Asks, reads, asks once more, keeps what could be read, and counts what could not."""

from __future__ import annotations

import threading
import warnings
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from densegym.errors import ProgressBackendError
from densegym.reward_models.llm.types import LLMError, Refused, Reply
from densegym.reward_models.progress.vlm.cache import ReplyCache
from densegym.reward_models.progress.vlm.question import SILENT, Asker, Question

T = TypeVar("T")
_WINDOW, _MOST = 100, 20  # more unreadable ones than that among the last replies end a run


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """How a reply is read, and how the model is reminded of its form.

    Attributes:
        read: returns the value of a reply, or None where there is none.
        reminder: appended where the first reply could not be read.
    """

    read: Callable[[Reply], T | None]
    reminder: str


class Interview:
    """Turns questions into values, and into None what it could not read.

    Args:
        asker: who answers.
        cache: of replies.
        still: see ``Access``; judges of pairs read it.

    Attributes:
        counts: ``asked``, ``cached``, ``unreadable`` (also twice), ``refused`` (the endpoint calls
            the question wrong), ``silent`` (late, overloaded, or not asked at all), ``late_kept``
            (arrived after all, and kept for the next time), ``same`` and ``still`` (pairs that
            nobody was asked about, because nothing changed, or too little).
    """

    def __init__(self, asker: Asker, cache: ReplyCache, *, still: float = 0.0) -> None:
        self.asker, self._cache, self.still = asker, cache, still
        self._why = ""
        self._lock = threading.Lock()
        self._last: deque[bool] = deque(maxlen=_WINDOW)
        self.counts: Counter[str] = Counter()

    def values(self, questions: Sequence[Question], form: Form[T]) -> list[T | None]:
        """Return a value per question; None where no readable reply came in time.

        Equal questions are asked once. A reply that cannot be read is asked for once more, at
        temperature 0 and with a reminder.

        Raises:
            ProgressBackendError: more than 20 of the last 100 replies could not be read, or the
                asker cannot go on.
        """
        keys = [question.key(self.asker.who) for question in questions]
        known: dict[str, T | None] = {}
        fresh: dict[str, Question] = {}
        for key, question in zip(keys, questions, strict=True):
            if key in known or key in fresh:
                continue
            kept = self._cache.get(key)
            if kept is None:
                fresh[key] = question
            else:
                known[key] = form.read(kept)
                self.counts["cached"] += 1
        answered: dict[str, T | None] = self._ask(fresh, form)
        known |= answered
        return [known[key] for key in keys]

    def metrics(self) -> dict[str, float]:
        """Return calls and cost of the asker, and ``counts`` as ``questions_<name>``."""
        spent = self.asker.spent
        counted = {f"questions_{name}": float(count) for name, count in self.counts.items()}
        return {"model_calls": spent["calls"], "cost_usd": spent["usd"], **counted}

    def close(self) -> None:
        """Give back the asker and the cache."""
        self.asker.close()
        self._cache.close()

    def _ask(self, fresh: dict[str, Question], form: Form[T]) -> dict[str, T | None]:
        values, unread = self._round(fresh, form)
        if unread:
            again = {key: fresh[key].again(form.reminder) for key in unread}
            second, unread = self._round(again, form)
            values |= second
        self._note(sum(value is not None for value in values.values()), len(unread))
        return values

    def _round(
        self, asked: dict[str, Question], form: Form[T]
    ) -> tuple[dict[str, T | None], list[str]]:
        """Ask; return values by key, None without one, and the keys with unreadable replies."""
        if not asked:
            return {}, []
        keys = list(asked)

        def keep(index: int, reply: Reply) -> None:
            if form.read(reply) is not None:
                self._cache.put(keys[index], reply)
                with self._lock:
                    self.counts["late_kept"] += 1

        values: dict[str, T | None] = {}
        unread = []
        for key, said in zip(keys, self.asker.ask(list(asked.values()), keep), strict=True):
            self.counts["asked"] += 1
            values[key] = None
            if isinstance(said, SILENT):
                self.counts["silent"] += 1
                continue
            if isinstance(said, Refused):
                self._refused(said)
                continue
            self._why = str(said) if isinstance(said, LLMError) else said.text
            values[key] = None if isinstance(said, LLMError) else form.read(said)
            if values[key] is None:
                unread.append(key)
            elif isinstance(said, Reply):
                self._cache.put(key, said)
        return values, unread

    def _refused(self, said: Refused) -> None:
        """Count a refusal, and say the first one's reason: all others may be alike."""
        if not self.counts["refused"]:
            warnings.warn(f"{self.asker.who} abstains: {said}", RuntimeWarning, stacklevel=2)
        self.counts["refused"] += 1
        self._note(0, 1, f"were refused: {said}")

    def _note(self, good: int, bad: int, why: str = "") -> None:
        if bad and not why:
            self.counts["unreadable"] += bad
            why = f"could not be read as scores, the last one: {self._why!r:.200}"
        self._last.extend([True] * good + [False] * bad)
        failed = sum(not readable for readable in self._last)
        if failed > _MOST:
            raise ProgressBackendError(
                f"{self.asker.who}: {failed} of the last {len(self._last)} replies were of no use; "
                f"the latest {why}. Is it a vision model that was made for this prompt? Give "
                'another model, or another prompt with the option "prompt_file".'
            )
