"""Stages of a task and progress within them, as SARM values states (arXiv 2509.25358).

SARM trains one head that names the stage and one for the progress within it. Here any
vision-language model is asked for both, by sentences that the user writes, and the stages before
the present one count as done. Each stage is worth the same unless ``shares`` says otherwise, so a
long stage and a short one weigh alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.progress.judge import Seen, Verdict
from densegym.reward_models.progress.judges.absolute import AbsoluteJudge, Attempt, regrouped
from densegym.reward_models.progress.judges.options import builder
from densegym.reward_models.progress.judges.vision import Interviewing, ask_done
from densegym.reward_models.progress.vlm import replies
from densegym.reward_models.progress.vlm.access import Access
from densegym.reward_models.progress.vlm.interview import Form, Interview
from densegym.reward_models.progress.vlm.question import Question
from densegym.reward_models.progress.vlm.wording import find_wording
from densegym.reward_models.types import Frames, Pictures

SIZE = 256
ARCHITECTURES = {
    "qwen2_5_vl": "Qwen2.5-VL",
    "qwen3_vl": "Qwen3-VL",
    "internvl": "InternVL",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StagesOptions:
    """What can be chosen of stages.

    Attributes:
        stages: sentences, in their order.
        shares: how much of the task each stage is; none makes them equal.
        prompt_file: in place of ``assets/prompts/progress/stages.txt``.
    """

    stages: Sequence[str] = ()
    shares: Sequence[float] = ()
    prompt_file: str | None = None


class StagesJudge(Interviewing, AbsoluteJudge):
    """Asks for the stage of a state, and how far within it.

    Args:
        interview: who is asked.
        options: see there.

    Raises:
        RewardError: less than two stages, or shares that do not belong to them.
    """

    name = "stages"

    def __init__(self, interview: Interview, options: StagesOptions) -> None:
        count = len(options.stages)
        shares = np.array(options.shares or [1.0] * count, dtype=np.float64)
        if isinstance(options.stages, str) or count < 2:
            raise RewardError(
                '"progress/stages" needs at least two sentences, such as "stages": ["reach the '
                'handle", "pull the drawer open"]'
            )
        if len(shares) != count or not (shares > 0).all():
            raise RewardError(
                f"shares holds one number above 0 per stage; given {list(options.shares)} for "
                f"{count} stages"
            )
        super().__init__(Pictures(size=SIZE, pretty=True), size=SIZE, how="letterbox")
        self.interview = interview
        self._ends = np.concatenate([[0.0], np.cumsum(shares / shares.sum())])
        self._listed = "\n".join(f"{n}. {one}" for n, one in enumerate(options.stages, start=1))
        wording = find_wording(
            "stages", "stage", prompt_file=options.prompt_file, needs={"stage": ("image",)}
        )
        self._template = wording["stage"]
        self._form = Form(
            lambda reply: self._read(reply.text),
            f"\nAnswer with nothing but a JSON list: a stage from 1 to {count}, and percent.\n",
        )

    def values(self, attempts: Sequence[Attempt], text: Sequence[str]) -> list[list[float] | None]:
        """Return the progress after the first picture, which is 0."""
        asked = [
            self._question(attempt[0], picture, task)
            for attempt, task in zip(attempts, text, strict=True)
            for picture in attempt[1:]
        ]
        said = self.interview.values(asked, self._form)
        return regrouped(attempts, said)

    def done(self, image: Seen, text: Sequence[str]) -> Verdict:
        """Ask whether the task is completed."""
        return ask_done(self.interview, image, text, self.goal)

    def _question(self, start: Frames, image: Frames, task: str) -> Question:
        given: dict[str, str | Frames] = {
            "task": task,
            "stages": self._listed,
            "start": start,
            "image": image,
        }
        return Question(self._template.fill(given), max_tokens=16)

    def _read(self, text: str) -> float | None:
        found = replies.read_numbers(text, 2, 0.0, 100.0)
        count = len(self._ends) - 1
        if found is None or found[0] not in range(1, count + 1):
            return None
        stage = int(found[0])
        start, end = self._ends[stage - 1], self._ends[stage]
        return float(min(1.0, start + (end - start) * found[1] / 100.0))


def _judge(access: Access, options: StagesOptions, seed: int) -> StagesJudge:
    return StagesJudge(access.interview(ARCHITECTURES), options)


build = builder("stages", StagesOptions, _judge)
"""Builds ``progress/stages``."""
