"""RoboReward (arXiv 2601.00675): a grade from 1 to 5 for how far an attempt has come.

Where we depart: the model was trained to grade whole attempts by their last state; online it is
shown the start and the states at hand, so Φ has five levels. Pictures are shown one by one instead
of as a video. ``film`` grades a whole film, at its end, as published.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from densegym.reward_models.progress.judge import Seen, Verdict
from densegym.reward_models.progress.judges.absolute import AbsoluteJudge, Attempt, regrouped
from densegym.reward_models.progress.judges.options import builder
from densegym.reward_models.progress.judges.released import READERS
from densegym.reward_models.progress.judges.vision import Interviewing, numbered, thinned
from densegym.reward_models.progress.vlm.access import Access
from densegym.reward_models.progress.vlm.interview import Form, Interview
from densegym.reward_models.progress.vlm.question import Question
from densegym.reward_models.progress.vlm.wording import Wording, find_wording
from densegym.reward_models.types import Pictures

SIZE = 224
ARCHITECTURES = {"qwen3_vl": "Qwen3-VL (RoboReward-4B, RoboReward-8B)"}
_FRAMES = 32  # of a film in one prompt
_GRADE = re.compile(r"ANSWER:\W*([1-5])(?!\.?\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoboRewardOptions:
    """What can be chosen of RoboReward.

    Attributes:
        prompt_file: text to ask with; without it or release the label says paraphrase.
        release: folder with a repository that asks RoboReward, from which the text is read.
    """

    prompt_file: str | None = None
    release: str | None = None


class RoboRewardJudge(Interviewing, AbsoluteJudge):
    """Asks for a grade.

    Args:
        interview: who is asked.
        wording: what is asked.
    """

    name = "roboreward"

    def __init__(self, interview: Interview, wording: Wording) -> None:
        super().__init__(Pictures(size=SIZE, pretty=True), size=SIZE, how="letterbox")
        self.interview, self._template = interview, wording["score"]
        self._form = Form(
            lambda reply: read_grade(reply.text), "\nAnswer with nothing but ANSWER: and a grade.\n"
        )

    def values(self, attempts: Sequence[Attempt], text: Sequence[str]) -> list[list[float] | None]:
        """Return the grades after the first picture, which is 0, as 0, 0.25, ... 1."""
        asked = [
            self._question(attempt[:end], task)
            for attempt, task in zip(attempts, text, strict=True)
            for end in range(2, len(attempt) + 1)
        ]
        said = self.interview.values(asked, self._form)
        return regrouped(attempts, said)

    def film(self, images: Seen, text: str) -> Verdict:
        """Return the grade of a whole film (T, V, ...) at its last picture; the others abstain."""
        (said,) = self.interview.values(
            [self._question([picture[0] for picture in images], text)], self._form
        )
        value, valid = np.zeros(len(images)), np.zeros(len(images), dtype=np.bool_)
        value[-1], valid[-1] = said or 0.0, said is not None
        return Verdict(value, valid)

    def _question(self, attempt: Attempt, task: str) -> Question:
        shown = numbered(thinned(attempt, _FRAMES))
        return Question(self._template.fill({"task": task, "frames": shown}), max_tokens=16)


def read_grade(text: str) -> float | None:
    """Return a grade from 1 to 5 as 0 to 1, or None; a reply that is a digit alone counts too."""
    found = _GRADE.findall(text[:10_000]) or re.findall(r"^\W*([1-5])\W*$", text[:100])
    return (int(found[-1]) - 1) / 4 if found else None


def _judge(access: Access, options: RoboRewardOptions, seed: int) -> RoboRewardJudge:
    wording = find_wording(
        "roboreward",
        "score",
        prompt_file=options.prompt_file,
        release=options.release,
        released=READERS["roboreward"],
        needs={"score": ("frames", "task")},
    )
    return RoboRewardJudge(access.interview(ARCHITECTURES), wording)


build = builder("roboreward", RoboRewardOptions, _judge)
"""Builds ``progress/roboreward``."""
