"""Robometer (arXiv 2603.02115): progress and success per frame, by two heads on Qwen3-VL-4B.

Where we depart: only the start and the state are shown, not the whole attempt, so that a number
never depends on frames to come nor on how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from densegym.errors import require
from densegym.reward_models.progress.judges.absolute import Attempt
from densegym.reward_models.progress.judges.heads import (
    Headed,
    NumberSource,
    SourceJudge,
    WrittenNumbers,
)
from densegym.reward_models.progress.judges.options import builder
from densegym.reward_models.progress.judges.released import READERS
from densegym.reward_models.progress.vlm.access import Access
from densegym.reward_models.progress.vlm.wording import Wording, find_wording
from densegym.reward_models.types import Pictures

SIZE = 256  # pixels; a multiple of Qwen3-VL's 32
ARCHITECTURES = {"qwen3_vl": "Qwen3-VL with Robometer's heads", "robometer": "LeRobot's layout"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RobometerOptions:
    """What can be chosen of Robometer.

    Attributes:
        processor: folder with tokenizer and picture settings, where the checkpoint has none.
        prompt_file: text to ask with; without it or release the label says paraphrase.
        release: folder with a copy of the released repository, from which the text is read.
    """

    processor: str | None = None
    prompt_file: str | None = None
    release: str | None = None


class RobometerJudge(SourceJudge):
    """Values states by Robometer's progress in [0, 1].

    Args:
        source: of the numbers.
    """

    name = "robometer"

    def __init__(self, source: NumberSource) -> None:
        super().__init__(Pictures(size=SIZE, pretty=True), size=SIZE, how="letterbox")
        self.source = source

    def values(self, attempts: Sequence[Attempt], text: Sequence[str]) -> list[list[float] | None]:
        """Return the progress at every picture."""
        return self.source.numbers(attempts, text)


def _judge(access: Access, options: RobometerOptions, seed: int) -> RobometerJudge:
    wording = _wording(options, "frames" if access.checkpoint is None else "head")
    if access.checkpoint is None:
        asked = WrittenNumbers(access.interview(ARCHITECTURES), wording["frames"], 1.0, None)
        return RobometerJudge(asked)
    require("transformers", extra="vision")
    require("torch", extra="agents")
    from densegym.reward_models.progress.judges.nets.robometer import load

    head = load(access, ARCHITECTURES, wording["head"], options.processor)
    return RobometerJudge(Headed(head))


def _wording(options: RobometerOptions, main: str) -> Wording:
    return find_wording(
        "robometer",
        main,
        prompt_file=options.prompt_file,
        release=options.release,
        released=READERS["robometer"],
        needs={"frames": ("frames",), "head": ("task",)},
    )


build = builder("robometer", RobometerOptions, _judge)
"""Builds ``progress/robometer``."""
