"""VLAC (arXiv 2509.15937): a critic of picture pairs, in percent of what remained.

Where we depart from the repository InternRobotics/VLAC: a reply that is no number abstains
instead of raising; the soft score is the mean of one letter's probabilities, since the mean digit
by digit writes "3.24.0"; hops end at −1, below which they are not bounded near the goal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.progress.accumulate import Fusion
from densegym.reward_models.progress.films import read_film
from densegym.reward_models.progress.judge import Seen, Verdict
from densegym.reward_models.progress.judges.options import builder
from densegym.reward_models.progress.judges.released import READERS
from densegym.reward_models.progress.judges.vision import (
    LIKELY,
    VisionJudge,
    letters,
    score_form,
    verdict,
    yes_form,
)
from densegym.reward_models.progress.vlm.access import Access
from densegym.reward_models.progress.vlm.interview import Interview
from densegym.reward_models.progress.vlm.question import Question
from densegym.reward_models.progress.vlm.template import Part, joined
from densegym.reward_models.progress.vlm.wording import find_wording
from densegym.reward_models.types import Frames, Pictures

SIZE = 448  # pixels; VLAC stretches pictures to a square of it
ARCHITECTURES = {"internvl": "InternVL2, as released or in transformers' own layout"}
_MOST_REFERENCES = 11
_NEEDS = {
    "critic": ("before", "after"),
    "critic after a reference": ("reference", "start", "before", "after"),
    "done": ("image",),
    "done with a goal": ("goal", "image"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VlacOptions:
    """What can be chosen of VLAC.

    Attributes:
        goal: picture of the finished task; a file, or a film whose last picture counts.
        reference: film of another, successful attempt, shown before every pair.
        prompt_file: text to ask with; without it or release the label says paraphrase.
        release: folder with a copy of the released repository, from which the text is read.
        soft: ask for one of 21 letters and take the mean over their probabilities.
        think: let the model reason before it scores.
        dead_zone: hops within ± this are 0.
    """

    goal: str | None = None
    reference: str | None = None
    prompt_file: str | None = None
    release: str | None = None
    soft: bool = False
    think: bool = False
    dead_zone: float = 0.0


class VlacJudge(VisionJudge):
    """Asks VLAC's critic; looks through the first camera alone.

    Args:
        interview: who is asked.
        options: see there.
    """

    name = "vlac"
    fusion: Fusion = "vlac"

    def __init__(self, interview: Interview, options: VlacOptions) -> None:
        pictures = Pictures(size=SIZE, pretty=True)
        super().__init__(interview, pictures, size=SIZE, how="stretch", goal=options.goal)
        if options.soft and options.think:
            raise RewardError("soft takes the probabilities of the first token; think has others")
        self._options = options
        self._wording = find_wording(
            "vlac",
            "critic",
            prompt_file=options.prompt_file,
            release=options.release,
            released=READERS["vlac"],
            needs=_NEEDS,
        )
        self._section = "critic" if options.reference is None else "critic after a reference"
        self._wording[self._section].check_form(soft=options.soft)
        film = _spread(options.reference)
        self._shown = None if film is None else self.see(film[:, None])[:, 0]

    def hop(
        self, before: Seen, after: Seen, start: Seen, goal: Seen | None, text: Sequence[str]
    ) -> Verdict:
        """Return the progress of pairs in fractions of what remained at ``before``."""
        form = score_form(soft=self._options.soft, example="+12")

        def question(row: int) -> Question:
            return self._question(before[row, 0], after[row, 0], start[row, 0], text[row])

        hops = self.ask_hops(before[:, :1], after[:, :1], start[:, :1], question, form)
        dead = np.abs(hops.value) <= self._options.dead_zone
        return Verdict(np.where(dead, 0.0, hops.value), hops.valid)

    def done(self, image: Seen, text: Sequence[str]) -> Verdict:
        """Return the probability that the task is completed, by VLAC's done prompt."""
        asked = self._wording["done" if self.goal is None else "done with a goal"]
        shown: dict[str, Any] = {} if self.goal is None else {"goal": self.goal[0, 0]}
        questions = [
            Question(
                asked.fill({"task": task, "image": picture[0], **shown}),
                max_tokens=2,
                alternatives=LIKELY,
                system=self._wording.text("system"),
            )
            for picture, task in zip(image, text, strict=True)
        ]
        said = self.interview.values(questions, yes_form({"1": 1.0, "0": 0.0}))
        return verdict(said)

    def _question(self, before: Frames, after: Frames, start: Frames, task: str) -> Question:
        soft, think = self._options.soft, self._options.think
        given: dict[str, Any] = {
            "task": task,
            "before": before,
            "after": after,
            "start": start,
            "form": letters(soft),
            "reference": self._reference_parts(task),
        }
        parts = self._wording[self._section].fill(given)
        return Question(
            joined(parts, self._wording["think"].text if think else ""),
            max_tokens=512 if think else 2 if soft else 8,
            alternatives=LIKELY if soft else 0,
            system=self._wording.text("system"),
        )

    def _reference_parts(self, task: str) -> list[Part]:
        """Return the reference attempt with its percentages."""
        if self._shown is None:
            return []
        last = len(self._shown) - 1
        parts: list[Part] = [f"<trajectory> <task> {task} </task>:"]
        for index, picture in enumerate(self._shown):
            parts += [f" {100 * index // last}% ", picture, "\n"]
        return [*parts, "</trajectory>"]


def _judge(access: Access, options: VlacOptions, seed: int) -> VlacJudge:
    return VlacJudge(access.interview(ARCHITECTURES), options)


build = builder("vlac", VlacOptions, _judge)
"""Builds ``progress/vlac``."""


def _spread(reference: str | None) -> Frames | None:
    """Return at most 11 pictures of a film, evenly spread, first and last among them."""
    if reference is None:
        return None
    film = read_film(reference)
    if len(film) < 2:
        raise RewardError(f"the reference {reference} has one picture; an attempt has at least two")
    chosen = np.linspace(0, len(film) - 1, min(_MOST_REFERENCES, len(film))).round().astype(int)
    shown: Frames = film[chosen]
    return shown
