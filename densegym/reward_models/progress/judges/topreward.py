"""TOPReward (arXiv 2602.19313): how likely a model finds "True" after "the task is completed".

Any vision-language model that tells the probabilities of its tokens is shown the attempt up to a
picture and asked whether the task is completed by then; the log-probability of "True" is the value.
Where we depart: the published curve is stretched to [0, 1] by the least and the largest value of
the whole attempt, which nobody knows while it goes on. Online a fixed ``floor`` stands for the
least, and only the start and the states at hand are shown; ``film`` does it as published.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.llm.types import Reply
from densegym.reward_models.progress.judge import Seen, Verdict
from densegym.reward_models.progress.judges.absolute import AbsoluteJudge, Attempt, regrouped
from densegym.reward_models.progress.judges.options import builder
from densegym.reward_models.progress.judges.vision import (
    LIKELY,
    Interviewing,
    numbered,
    thinned,
    verdict,
)
from densegym.reward_models.progress.vlm import replies
from densegym.reward_models.progress.vlm.access import Access
from densegym.reward_models.progress.vlm.interview import Form, Interview
from densegym.reward_models.progress.vlm.question import Question
from densegym.reward_models.progress.vlm.wording import find_wording
from densegym.reward_models.types import Pictures

SIZE = 224
ARCHITECTURES = {
    "qwen2_5_vl": "Qwen2.5-VL",
    "qwen3_vl": "Qwen3-VL",
    "internvl": "InternVL",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TopRewardOptions:
    """What can be chosen of TOPReward.

    Attributes:
        floor: log-probability of "True" that is worth 0; below 0.
        frames: pictures of a film in one prompt, evenly spread, first and last among them.
        prompt_file: in place of ``assets/prompts/progress/topreward.txt``.
    """

    floor: float = -10.0
    frames: int = 32
    prompt_file: str | None = None


class TopRewardJudge(Interviewing, AbsoluteJudge):
    """Asks whether "True" follows.

    Args:
        interview: who is asked.
        options: see there.

    Raises:
        RewardError: a floor that is not below 0, or less than two frames.
    """

    name = "topreward"

    def __init__(self, interview: Interview, options: TopRewardOptions) -> None:
        if not options.floor < 0 or options.frames < 2:
            raise RewardError(
                f"floor is below 0 and frames at least 2; given floor={options.floor}, "
                f"frames={options.frames}"
            )
        super().__init__(Pictures(size=SIZE, pretty=True), size=SIZE, how="letterbox")
        self.interview, self._options = interview, options
        wording = find_wording(
            "topreward", "prefix", prompt_file=options.prompt_file, needs={"prefix": ("frames",)}
        )
        self._template = wording["prefix"]
        self._form = Form(
            lambda reply: read_true(reply, options.floor),
            "\nAnswer with nothing but True or False.\n",
        )

    def values(self, attempts: Sequence[Attempt], text: Sequence[str]) -> list[list[float] | None]:
        """Return the values after the first picture, which is 0, by the fixed floor."""
        asked = [
            self._question(attempt[:end], task)
            for attempt, task in zip(attempts, text, strict=True)
            for end in range(2, len(attempt) + 1)
        ]
        said = self.interview.values(asked, self._form)
        floor = self._options.floor
        return regrouped(attempts, [None if one is None else 1.0 - one / floor for one in said])

    def film(self, images: Seen, text: str) -> Verdict:
        """Return the values at every picture (T, V, ...) of a film, stretched to [0, 1]."""
        seen = [picture[0] for picture in images]
        asked = [self._question(seen[: end + 1], text) for end in range(len(seen))]
        said = self.interview.values(asked, self._form)
        value, valid = verdict(said)
        if valid.any():
            low, high = value[valid].min(), value[valid].max()
            value = (value - low) / (high - low) if high > low else np.ones(len(value))
        return Verdict(np.where(valid, value, 0.0), valid)

    def _question(self, attempt: Attempt, task: str) -> Question:
        shown = numbered(thinned(attempt, self._options.frames))
        parts = self._template.fill({"task": task, "frames": shown})
        return Question(parts, max_tokens=2, alternatives=LIKELY)


def read_true(reply: Reply, floor: float) -> float | None:
    """Return the log-probability of "True" in [floor, 0], or None.

    Where a reply tells no probabilities, the word itself is certain. Where "False" is among the
    likely tokens and "True" is not, its probability is below all that are told: the floor.
    """
    if not reply.alternatives:
        said = replies.read_yes(reply.text)
        return None if said is None else (0.0 if said else floor)
    found: dict[str, float] = {}
    for token, logprob in reply.alternatives[0].items():
        label = token.strip().lower()
        if label in ("true", "false") and not math.isnan(logprob):
            found[label] = found.get(label, 0.0) + math.exp(min(logprob, 0.0))
    if not found:
        return None
    likely = found.get("true", 0.0)
    return max(floor, min(0.0, math.log(likely))) if likely > 0 else floor


def _judge(access: Access, options: TopRewardOptions, seed: int) -> TopRewardJudge:
    return TopRewardJudge(access.interview(ARCHITECTURES), options)


build = builder("topreward", TopRewardOptions, _judge)
"""Builds ``progress/topreward``."""
