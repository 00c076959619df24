"""RynnValue (arXiv 2608.09853): seconds that remain until the task is completed.

Where we depart: the paper's potential is −v, unbounded; here it is 1 − v / v₀ with v₀ the seconds
that remain at the start of the episode, or ``horizon_s`` where that is given. Only the start and
the state are shown, in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from densegym.errors import RewardError, require
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

SIZE = 256
LONGEST_S = 512.0  # the head's range
ARCHITECTURES = {"rynn_value_lang": "RynnValue on Qwen3-VL"}
_LEAST_S = 1.0  # below this the start counts as nearly done, and the ratio would be noise


@dataclass(frozen=True, slots=True, kw_only=True)
class RynnvalueOptions:
    """What can be chosen of RynnValue.

    Attributes:
        horizon_s: seconds at which the potential is 0; None takes those that remain at the start.
        robot: description of the robot, e.g. ``"a Sawyer arm"``, for checkpoints that want one.
        camera: description of the camera.
        prompt_file: text to ask with; without it or release the label says paraphrase.
        release: folder with a copy of the released repository, from which the text is read.
    """

    horizon_s: float | None = None
    robot: str | None = None
    camera: str | None = None
    prompt_file: str | None = None
    release: str | None = None


class RynnvalueJudge(SourceJudge):
    """Values states by the time that remains.

    Args:
        source: of seconds.
        horizon_s: see ``RynnvalueOptions``.

    Raises:
        RewardError: a horizon of no length.
    """

    name = "rynnvalue"

    def __init__(self, source: NumberSource, horizon_s: float | None = None) -> None:
        if horizon_s is not None and horizon_s <= 0:
            raise RewardError(f"horizon_s is above 0; given {horizon_s}")
        super().__init__(Pictures(size=SIZE, pretty=True), size=SIZE, how="letterbox")
        self.source, self._horizon_s = source, horizon_s

    def values(self, attempts: Sequence[Attempt], text: Sequence[str]) -> list[list[float] | None]:
        """Return 1 − v / v₀ in [0, 1] at every picture."""
        told = self.source.numbers(attempts, text)
        return [None if seconds is None else self._progress(seconds) for seconds in told]

    def _progress(self, seconds: Sequence[float]) -> list[float]:
        whole = max(seconds[0], _LEAST_S) if self._horizon_s is None else self._horizon_s
        return [min(1.0, max(0.0, 1.0 - left / whole)) for left in seconds]


def _judge(access: Access, options: RynnvalueOptions, seed: int) -> RynnvalueJudge:
    wording = _wording(options, "frames" if access.checkpoint is None else "head")
    if access.checkpoint is None:
        source: NumberSource = WrittenNumbers(
            access.interview(ARCHITECTURES), wording["frames"], LONGEST_S, None
        )
    else:
        require("transformers", extra="vision")
        require("torch", extra="agents")
        from densegym.reward_models.progress.judges.nets.rynnvalue import load

        described = (options.robot, options.camera)
        source = Headed(load(access, ARCHITECTURES, wording, described))
    return RynnvalueJudge(source, options.horizon_s)


def _wording(options: RynnvalueOptions, main: str) -> Wording:
    return find_wording(
        "rynnvalue",
        main,
        prompt_file=options.prompt_file,
        release=options.release,
        released=READERS["rynnvalue"],
        needs={"frames": ("frames",), "head": ("task",)},
    )


build = builder("rynnvalue", RynnvalueOptions, _judge)
"""Builds ``progress/rynnvalue``."""
