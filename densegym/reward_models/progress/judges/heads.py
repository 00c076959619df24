"""Judges with a head on a vision-language model: the head itself, or any model asked instead.

``progress/robometer`` and ``progress/rynnvalue`` read numbers off hidden states. An endpoint
cannot serve these heads, so there the same question is put in words and the numbers are read from
the reply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from densegym.reward_models.progress.judge import Seen, Verdict
from densegym.reward_models.progress.judges.absolute import AbsoluteJudge, Attempt
from densegym.reward_models.progress.judges.vision import ask_done, numbered, verdict
from densegym.reward_models.progress.vlm import replies
from densegym.reward_models.progress.vlm.interview import Form, Interview
from densegym.reward_models.progress.vlm.question import Question
from densegym.reward_models.progress.vlm.template import Template


class NumberSource(Protocol):
    """Tells a number for every picture of an attempt, and whether a task is done."""

    def numbers(self, attempts: Sequence[Attempt], text: Sequence[str]) -> list[list[float] | None]:
        """Return one number per picture of each attempt, or None."""

    def done(self, image: Seen, text: Sequence[str]) -> Verdict:
        """Return the probability that the task is completed in pictures (B, V, H, W, 3)."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How many questions were asked, cached, unreadable, silent."""

    def metrics(self) -> dict[str, float]:
        """Return calls and cost, and how questions fared."""

    def close(self) -> None:
        """Give back what is held."""


class WrittenNumbers:
    """Numbers from the replies of a model that writes.

    Args:
        interview: who is asked.
        template: with places for ``task``, ``frames`` and ``count``.
        high: highest number that counts as an answer.
        goal: picture of the finished task, or None.
    """

    def __init__(
        self, interview: Interview, template: Template, high: float, goal: Seen | None
    ) -> None:
        self._interview, self._template = interview, template
        self._high, self._goal = high, goal

    @property
    def counts(self) -> Mapping[str, int]:
        """How many questions were asked, cached, unreadable, silent."""
        return dict(self._interview.counts)

    def metrics(self) -> dict[str, float]:
        """Return calls and cost of the model that answers, and how questions fared."""
        return self._interview.metrics()

    def numbers(self, attempts: Sequence[Attempt], text: Sequence[str]) -> list[list[float] | None]:
        """Ask for a JSON list per attempt."""
        told: list[list[float] | None] = [None] * len(attempts)
        for count in {len(attempt) for attempt in attempts}:
            rows = [row for row, attempt in enumerate(attempts) if len(attempt) == count]
            questions = [self._question(attempts[row], text[row]) for row in rows]
            said = self._interview.values(questions, self._form(count))
            for row, one in zip(rows, said, strict=True):
                told[row] = one
        return told

    def done(self, image: Seen, text: Sequence[str]) -> Verdict:
        """Ask for a yes or no."""
        return ask_done(self._interview, image, text, self._goal)

    def close(self) -> None:
        """Give back threads and files."""
        self._interview.close()

    def _question(self, attempt: Attempt, task: str) -> Question:
        given = {"task": task, "frames": numbered(attempt), "count": str(len(attempt))}
        return Question(self._template.fill(given), max_tokens=16 + 8 * len(attempt))

    def _form(self, count: int) -> Form[list[float]]:
        return Form(
            lambda reply: replies.read_numbers(reply.text, count, 0.0, self._high),
            f"\nAnswer with nothing but a JSON list of {count} numbers.\n",
        )


class Head(Protocol):
    """A head on a checkpoint; see ``nets``."""

    def numbers(self, attempts: Sequence[Attempt], text: Sequence[str]) -> list[list[float]]:
        """Return one number per picture of each attempt."""

    def done(self, images: Sequence[Attempt], text: Sequence[str]) -> list[float]:
        """Return the probability that the task is completed at the end of each attempt."""


class Headed:
    """Numbers from a head.

    Args:
        head: on a checkpoint.
    """

    counts: Mapping[str, int] = {}

    def __init__(self, head: Head) -> None:
        self._head = head

    def numbers(self, attempts: Sequence[Attempt], text: Sequence[str]) -> list[list[float] | None]:
        """Return the head's numbers."""
        return [*self._head.numbers(attempts, text)]

    def done(self, image: Seen, text: Sequence[str]) -> Verdict:
        """Return the head's probabilities."""
        return verdict(self._head.done([[picture[0]] for picture in image], text))

    def metrics(self) -> dict[str, float]:
        """Return no numbers: nobody is asked."""
        return {}

    def close(self) -> None:
        """Hold nothing."""


class SourceJudge(AbsoluteJudge):
    """An absolute judge whose numbers come from a source."""

    source: NumberSource

    @property
    def counts(self) -> Mapping[str, int]:
        """How many questions were asked, cached, unreadable, silent."""
        return self.source.counts

    def metrics(self) -> dict[str, float]:
        """Return calls and cost of the source, and how questions fared."""
        return self.source.metrics()

    def done(self, image: Seen, text: Sequence[str]) -> Verdict:
        """Return the probability that the task is completed."""
        return self.source.done(image, text)

    def close(self) -> None:
        """Give back what the source holds."""
        self.source.close()
