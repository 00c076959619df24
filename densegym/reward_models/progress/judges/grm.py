"""Robo-Dopamine's GRM (arXiv 2512.23703): eight pictures, one hop in percent.

Where we depart from the repository FlagOpen/Robo-Dopamine: a reply that cannot be read abstains
instead of being paid as 0; every pair keeps its own task sentence within a batch; the goal is
never the last picture of the episode that is being judged; a missing goal is a grey picture; Φ is
kept in [0, 1] in all three views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from densegym.reward_models.progress.accumulate import Fusion
from densegym.reward_models.progress.judge import Seen, Verdict
from densegym.reward_models.progress.judges.options import builder
from densegym.reward_models.progress.judges.released import READERS
from densegym.reward_models.progress.judges.vision import (
    LIKELY,
    VisionJudge,
    letters,
    score_form,
)
from densegym.reward_models.progress.vlm.access import Access
from densegym.reward_models.progress.vlm.interview import Interview
from densegym.reward_models.progress.vlm.pictures import grey_like
from densegym.reward_models.progress.vlm.question import Question
from densegym.reward_models.progress.vlm.wording import find_wording
from densegym.reward_models.types import Frames, Pictures

MIN_PIXELS, MAX_PIXELS = 12_544, 76_800  # of a picture, as in training: 112² to 277²
ARCHITECTURES = {
    "qwen2_5_vl": "Qwen2.5-VL (GRM-3B)",
    "qwen3_vl": "Qwen3-VL (GRM-8B, GRM-2.0)",
}
_ROOM_SIZE = 277
_FORM = (
    "Return ONE line, the score as an integer percentage within <score> tags and nothing else:\n"
    "<score>+NN%</score>  or  <score>-NN%</score>  or  <score>0%</score>"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrmOptions:
    """What can be chosen of GRM.

    Attributes:
        goal: picture of the finished task, of another attempt; a file, or a film whose last
            picture counts. With one the three views are averaged, or weighted by their
            agreement with ``fusion="consistency"``; without one the potential is incremental.
        prompt_file: text to ask with; without it or release the label says paraphrase.
        release: folder with a copy of the released repository, from which the text is read.
        soft: ask for one of 21 letters and take the mean over their probabilities.
    """

    goal: str | None = None
    prompt_file: str | None = None
    release: str | None = None
    soft: bool = False


class GrmJudge(VisionJudge):
    """Asks GRM about a front view and two wrist views; missing views repeat the last one given.

    Args:
        interview: who is asked.
        options: see there.
    """

    name = "grm"

    def __init__(self, interview: Interview, options: GrmOptions) -> None:
        pictures = Pictures(size=256, pretty=True)
        super().__init__(interview, pictures, size=_ROOM_SIZE, how="shrink", goal=options.goal)
        self.fusion: Fusion = "incremental" if options.goal is None else "mean"
        self._soft = options.soft
        wording = find_wording(
            "grm",
            "compare",
            prompt_file=options.prompt_file,
            release=options.release,
            released=READERS["grm"],
            needs={"compare": ("before front", "after front")},
        )
        self._template = wording["compare"].check_form(soft=options.soft)

    def hop(
        self, before: Seen, after: Seen, start: Seen, goal: Seen | None, text: Sequence[str]
    ) -> Verdict:
        """Return hops as ``judge.Judge`` defines them."""
        ends = [grey_like(picture) for picture in after] if goal is None else goal
        form = score_form(soft=self._soft, example="<score>+12%</score>")

        def question(row: int) -> Question:
            shown = (start[row], ends[row], before[row], after[row])
            return self._question(*shown, text[row])

        return self.ask_hops(before, after, start, question, form)

    def _question(
        self, start: Frames, end: Frames, before: Frames, after: Frames, task: str
    ) -> Question:
        given: dict[str, Any] = {
            "task": task,
            "reference start": start[0],
            "reference end": end[0],
            "form": letters(True).strip() if self._soft else _FORM,
        }
        for moment, views in (("before", before), ("after", after)):
            for index, view in enumerate(("front", "left", "right")):
                given[f"{moment} {view}"] = views[min(index, len(views) - 1)]
        return Question(
            self._template.fill(given),
            max_tokens=2 if self._soft else 16,
            alternatives=LIKELY if self._soft else 0,
        )


def _judge(access: Access, options: GrmOptions, seed: int) -> GrmJudge:
    asked = access.interview(ARCHITECTURES, min_pixels=MIN_PIXELS, max_pixels=MAX_PIXELS)
    return GrmJudge(asked, options)


build = builder("grm", GrmOptions, _judge)
"""Builds ``progress/grm``."""
