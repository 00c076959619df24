"""GVL (arXiv 2411.04549): any vision-language model values shuffled frames.

The first state is given as 0 %; the others are shown in random order, so that their order cannot
be read off. Where we depart: online only the states at hand are shown, not the whole episode,
because values that depend on later frames cannot be paid; ``film`` shows all frames of a film in
one prompt, as published, for scoring recordings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.progress.judge import Seen, Verdict
from densegym.reward_models.progress.judges.absolute import AbsoluteJudge, Attempt
from densegym.reward_models.progress.judges.options import builder
from densegym.reward_models.progress.judges.vision import Interviewing, ask_done, numbered
from densegym.reward_models.progress.vlm import replies
from densegym.reward_models.progress.vlm.access import Access
from densegym.reward_models.progress.vlm.interview import Form, Interview
from densegym.reward_models.progress.vlm.pictures import digest
from densegym.reward_models.progress.vlm.question import Question
from densegym.reward_models.progress.vlm.wording import find_wording
from densegym.reward_models.types import Int, Pictures

SIZE = 256
ARCHITECTURES = {
    "qwen2_5_vl": "Qwen2.5-VL",
    "qwen3_vl": "Qwen3-VL",
    "internvl": "InternVL",
}
_NEEDS = {"frames": ("start", "frames")}


@dataclass(frozen=True, slots=True, kw_only=True)
class GvlOptions:
    """What can be chosen of GVL.

    Attributes:
        goal: picture of the finished task, shown only where ``cap`` asks whether it is done.
        frames: of a film in one prompt, longer films are cut up; none shows them all, as published.
        prompt_file: in place of ``assets/prompts/progress/gvl.txt``.
    """

    goal: str | None = None
    frames: int | None = None
    prompt_file: str | None = None


class GvlJudge(Interviewing, AbsoluteJudge):
    """Asks for the completion of shuffled frames in percent.

    Args:
        interview: who is asked.
        options: see there.
        seed: of the order in which frames are shown.
    """

    name = "gvl"

    def __init__(self, interview: Interview, options: GvlOptions, seed: int) -> None:
        pictures = Pictures(size=SIZE, pretty=True)
        super().__init__(pictures, size=SIZE, how="letterbox", goal=options.goal)
        if options.frames is not None and options.frames < 1:
            raise RewardError(f"frames is at least 1; given {options.frames}")
        self.interview, self._most = interview, options.frames
        wording = find_wording("gvl", "frames", prompt_file=options.prompt_file, needs=_NEEDS)
        self._template, self._seed = wording["frames"], seed

    def values(self, attempts: Sequence[Attempt], text: Sequence[str]) -> list[list[float] | None]:
        """Return the completion of every state; the first is 0 by definition."""
        told: list[list[float] | None] = [None] * len(attempts)
        for count in {len(attempt) - 1 for attempt in attempts}:
            rows = [row for row, attempt in enumerate(attempts) if len(attempt) - 1 == count]
            orders = [self._order(attempts[row]) for row in rows]
            questions = [
                self._question(attempts[row], text[row], order)
                for row, order in zip(rows, orders, strict=True)
            ]
            shown = self.interview.values(questions, _percents(count))
            for row, order, one in zip(rows, orders, shown, strict=True):
                told[row] = None if one is None else [0.0, *_unshuffled(one, order)]
        return told

    def film(self, images: Seen, text: str) -> Verdict:
        """Return the completion at every picture (T, V, ...) of a film."""
        seen = [picture[0] for picture in images]
        most = self._most or max(1, len(seen) - 1)
        pieces = [seen[i : i + most] for i in range(1, len(seen), most)]
        told = self.values([[seen[0], *piece] for piece in pieces], [text] * len(pieces))
        value, valid = np.zeros(len(seen)), np.ones(len(seen), dtype=np.bool_)
        for index, (piece, one) in enumerate(zip(pieces, told, strict=True)):
            where = slice(1 + index * most, 1 + index * most + len(piece))
            value[where] = 0.0 if one is None else one[1:]
            valid[where] = one is not None
        return Verdict(value, valid)

    def done(self, image: Seen, text: Sequence[str]) -> Verdict:
        """Ask whether the task is completed."""
        return ask_done(self.interview, image, text, self.goal)

    def _order(self, attempt: Attempt) -> Int:
        """Return the order of an attempt's later frames: random, but the same for equal frames."""
        drawn = int.from_bytes(digest(attempt[-1])[:4], "big")
        return np.random.default_rng([self._seed, drawn]).permutation(len(attempt) - 1)

    def _question(self, attempt: Attempt, task: str, order: Int) -> Question:
        given: dict[str, Any] = {
            "task": task,
            "start": attempt[0],
            "frames": numbered([attempt[1 + index] for index in order.tolist()]),
            "count": str(len(order)),
        }
        return Question(self._template.fill(given), max_tokens=16 + 8 * len(order))


def _percents(count: int) -> Form[list[float]]:
    return Form(
        lambda reply: replies.read_numbers(reply.text, count, 0.0, 100.0),
        f"\nAnswer with nothing but a JSON list of {count} numbers from 0 to 100.\n",
    )


def _unshuffled(shown: Sequence[float], order: Int) -> list[float]:
    values = np.empty(len(order))
    values[order] = np.asarray(shown) / 100.0
    return [float(value) for value in values]


def _judge(access: Access, options: GvlOptions, seed: int) -> GvlJudge:
    return GvlJudge(access.interview(ARCHITECTURES), options, seed)


build = builder("gvl", GvlOptions, _judge)
"""Builds ``progress/gvl``."""
