"""What judges share that ask a vision-language model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import numpy as np

from densegym.reward_models.progress.accumulate import Fusion
from densegym.reward_models.progress.films import read_film
from densegym.reward_models.progress.judge import BaseJudge, Seen, Verdict, check_images
from densegym.reward_models.progress.vlm import replies
from densegym.reward_models.progress.vlm.interview import Form, Interview
from densegym.reward_models.progress.vlm.pictures import Fit, changed, fit
from densegym.reward_models.progress.vlm.question import Question
from densegym.reward_models.progress.vlm.template import Part
from densegym.reward_models.progress.vlm.wording import find_wording
from densegym.reward_models.types import Frames, Pictures

LIKELY = 20  # tokens whose probabilities an endpoint reports at most
_LETTERS = "ABCDEFGHIJKLMNOPQRSTU"
HOP_LETTERS = dict(zip(_LETTERS, np.linspace(-1.0, 1.0, 21).tolist(), strict=True))
_BY_LETTER = (
    " Write one letter instead of a number: A is -100%, B is -90% and so on in steps of 10%; "
    "K is 0%, U is +100%."
)


class LookingJudge(BaseJudge):
    """Resizes pictures as its model wants them, and may know a picture of the goal.

    Args:
        pictures: what the host is to render.
        size: of pictures the model is shown; see ``pictures.fit``.
        how: pictures are resized.
        goal: picture of the finished task, best of another attempt; a file, or a film whose last
            picture counts.

    Attributes:
        fusion: how its hops become a potential, unless the user says otherwise.
    """

    fusion: Fusion

    def __init__(self, pictures: Pictures, *, size: int, how: Fit, goal: str | None = None) -> None:
        self.pictures, self._size, self._how = replace(pictures, markers=False), size, how
        self.goal = None if goal is None else self.see(read_film(goal)[None, -1:])

    def see(self, images: Frames) -> Seen:
        """Return the pictures in the size the model is shown."""
        return fit(check_images(images, self.name), self._size, self._how)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many questions were asked, cached, unreadable, silent; empty where none are asked."""
        return {}


class Interviewing:
    """What a judge that asks a model reports of its interview, and its end."""

    interview: Interview

    @property
    def counts(self) -> Mapping[str, int]:
        """How many questions were asked, cached, unreadable, silent."""
        return dict(self.interview.counts)

    def metrics(self) -> dict[str, float]:
        """Return calls and cost of the model that answers, and how questions fared."""
        return self.interview.metrics()

    def batch(self) -> AbstractContextManager[None]:
        """Let all questions inside share one deadline."""
        return self.interview.asker.batch()

    def close(self) -> None:
        """Give back threads and files."""
        self.interview.close()


class VisionJudge(Interviewing, LookingJudge):
    """Asks a vision-language model about pairs, and abstains where there is no answer.

    Pairs in which no pixel changes hop 0 without being asked about. With ``Access.still``, so do
    not those that change little, which abstain: a small object may have moved.

    Args:
        interview: who is asked.
        pictures: what the host is to render.
        size: of pictures the model is shown.
        how: pictures are resized.
        goal: picture of the finished task.
    """

    def __init__(
        self,
        interview: Interview,
        pictures: Pictures,
        *,
        size: int,
        how: Fit,
        goal: str | None = None,
    ) -> None:
        super().__init__(pictures, size=size, how=how, goal=goal)
        self.interview = interview

    def ask_hops(
        self,
        before: Seen,
        after: Seen,
        start: Seen,
        question: Callable[[int], Question],
        form: Form[float],
    ) -> Verdict:
        """Return hops of B pairs; equal pictures hop 0, and those too much alike are abstentions.

        What is too much alike is measured by what has changed since ``start``, so that it hangs
        neither on how large things are in the picture nor on its size.
        """
        moved = np.ones(len(after))
        if before.shape == after.shape:
            moved = changed(before, after)
        same, alike = moved == 0, np.zeros(len(after), dtype=np.bool_)
        if self.interview.still > 0 and start.shape == after.shape:
            alike = ~same & (moved < self.interview.still * changed(start, after))
        for name, pairs in (("same", same), ("still", alike)):
            if pairs.any():
                self.interview.counts[name] += int(pairs.sum())
        rows = np.flatnonzero(~same & ~alike)
        said = self.interview.values([question(row) for row in rows.tolist()], form)
        value, valid = np.zeros(len(moved)), same.copy()
        value[rows], valid[rows] = verdict(said)
        return Verdict(value, valid)


def numbered(attempt: Sequence[Frames]) -> list[Part]:
    """Return pictures as parts of a prompt, each with its number before it."""
    parts: list[Part] = []
    for number, picture in enumerate(attempt, start=1):
        parts += [f"Frame {number}: ", picture, "\n"]
    return parts


def thinned(attempt: Sequence[Frames], most: int) -> list[Frames]:
    """Return at most so many pictures, evenly spread, first and last among them."""
    count = min(most, len(attempt))
    return [attempt[at] for at in np.linspace(0, len(attempt) - 1, count).round().astype(int)]


def verdict(said: Sequence[float | None]) -> Verdict:
    """Return values as a verdict; None is an abstention."""
    valid = np.array([one is not None for one in said], dtype=np.bool_)
    return Verdict(np.array([one or 0.0 for one in said], dtype=np.float64), valid)


def ask_done(interview: Interview, image: Seen, text: Sequence[str], goal: Seen | None) -> Verdict:
    """Ask any vision-language model whether the task is completed, yes or no."""
    template = find_wording("done", "done")["done"]
    shown: tuple[str | Frames, ...] = ()
    if goal is not None:
        shown = ("The task, completed in another attempt: ", goal[0, 0], "\n")
    questions = [
        Question(
            template.fill({"task": task, "goal": shown, "image": picture[0]}),
            max_tokens=4,
            alternatives=LIKELY,
        )
        for picture, task in zip(image, text, strict=True)
    ]
    said = interview.values(questions, yes_form({"Yes": 1.0, "No": 0.0}))
    return verdict(said)


def score_form(*, soft: bool, example: str) -> Form[float]:
    """Return how a signed score is read: a number, or the mean of letters (``soft``)."""
    if not soft:
        return Form(
            lambda reply: replies.read_score(reply.text),
            f"\nAnswer with nothing but the score, such as {example}.\n",
        )
    return Form(
        lambda reply: _by_letter(reply.text, reply.alternatives),
        "\nAnswer with nothing but one letter from A to U.\n",
    )


def letters(soft: bool) -> str:
    """Return what is added to a prompt so that the reply is one letter, or nothing."""
    return _BY_LETTER if soft else ""


def yes_form(values: Mapping[str, float]) -> Form[float]:
    """Return how a yes or no is read: its probability where it is told, else 1 or 0."""
    return Form(
        lambda reply: (
            replies.expectation(reply.alternatives, values)
            if reply.alternatives
            else replies.read_yes(reply.text)
        ),
        f"\nAnswer with nothing but {' or '.join(values)}.\n",
    )


def _by_letter(text: str, alternatives: Sequence[Mapping[str, float]]) -> float | None:
    if alternatives:
        return replies.expectation(alternatives, HOP_LETTERS)
    return HOP_LETTERS.get(text.strip(" .*`\"'\n").upper())
