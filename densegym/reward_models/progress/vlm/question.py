"""One question to a vision-language model, who answers it, and the errors of not answering."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from densegym.reward_models.llm.types import (
    BudgetExceeded,
    Late,
    LLMError,
    Reply,
    ServerError,
    Unreachable,
)
from densegym.reward_models.progress.vlm.pictures import digest
from densegym.reward_models.progress.vlm.template import Part


class Silence(LLMError):
    """Nobody was asked: the endpoint is left alone for a while, or the budget is spent."""


SILENT = (Silence, Late, Unreachable, ServerError, BudgetExceeded)
"""Reasons that say nothing of the question itself: the same one may be answered later."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is asked.

    Attributes:
        parts: texts and pictures in their order.
        max_tokens: of the reply.
        alternatives: how many likely tokens to report at every position.
        system: the system prompt, or empty.
        attempt: 0, then 1 where the first reply could not be read.
    """

    parts: tuple[Part, ...]
    max_tokens: int = 16
    alternatives: int = 0
    system: str = ""
    attempt: int = 0

    def again(self, reminder: str) -> Question:
        """Return the question with a reminder of the form of its answer, to be asked once more."""
        return dataclasses.replace(self, parts=(*self.parts, reminder), attempt=self.attempt + 1)

    def key(self, who: str) -> str:
        """Return the hash of what decides the reply of model ``who``: words, pixels, limits."""
        hashed = hashlib.blake2b(digest_size=20)
        limits = (who, self.system, self.max_tokens, self.alternatives, self.attempt)
        hashed.update(repr(limits).encode())
        for part in self.parts:
            if isinstance(part, str):
                hashed.update(b"t" + len(part.encode()).to_bytes(8, "big") + part.encode())
            else:
                hashed.update(b"p" + digest(part))
        return hashed.hexdigest()


Arrived: TypeAlias = Callable[[int, Reply], None]
"""Told the index of a question whose reply came after ``ask`` had returned."""


class Asker(Protocol):
    """Answers questions in batches."""

    @property
    def who(self) -> str:
        """Which model answers; part of every cache key."""

    @property
    def spent(self) -> Mapping[str, float]:
        """``calls`` and ``usd`` so far."""

    def ask(self, questions: Sequence[Question], arrived: Arrived) -> list[Reply | LLMError]:
        """Return a reply or the reason why there is none, per question.

        Raises:
            ProgressBackendError: every further question would fail the same way.
        """

    def batch(self) -> AbstractContextManager[None]:
        """Let everything that is asked inside share one deadline, if there is any."""

    def close(self) -> None:
        """Give back what is held."""
