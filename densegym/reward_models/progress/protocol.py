"""The fixed evaluation of progress models on held-out placements and controllers.

A frame counter orders every film perfectly and any bending moves an absolute bar, so a model is
measured by ranks alone (``measures``), against counted steps and on failures of every kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from densegym.reward_models.progress import measures
from densegym.reward_models.progress.demos import EXPERT, Demo
from densegym.reward_models.progress.judge import BaseJudge, Seen, Verdict
from densegym.reward_models.progress.measures import Judged
from densegym.reward_models.progress.potential import ProgressPotential
from densegym.reward_models.types import Bool, Float, Frames, Int, Pictures, Starts, Steps


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model says of held-out episodes.

    Attributes:
        measures: those of ``measures.BARS``.
        gaps: experts' ends above the failures of each kind, in spreads.
        controllers: AUC of largest Φ and of done per controller that succeeded and failed.
        max_phi: mean over failed episodes of the largest Φ, per kind; as bent, so no bar.
        final_phi: mean Φ at experts' success; as bent, so no bar.
        episodes: how many were seen.
        untaught: how many of them by controllers that were never trained on.
    """

    measures: dict[str, float]
    gaps: dict[str, float]
    controllers: dict[str, tuple[float, float]]
    max_phi: dict[str, float]
    final_phi: float
    episodes: int
    untaught: int

    @property
    def passed(self) -> bool:
        """Whether every measure reaches its bar."""
        return measures.passed(self.measures)

    @property
    def missed(self) -> list[str]:
        """Measures below their bars, or unknown, in words."""
        return [
            f"{name} {self.measures[name]:.2f}, at least {least:g} wanted"
            for name, least in measures.BARS.items()
            if not self.measures[name] >= least
        ]

    @property
    def reached(self) -> list[str]:
        """Measures that reach their bars."""
        bars = measures.BARS.items()
        return [name for name, least in bars if self.measures[name] >= least]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a card or a line of JSON; what is unknown is None."""
        told = {
            **self.measures,
            **{f"gap/{kind}": value for kind, value in self.gaps.items()},
            **{f"auc_phi/{kind}": both[0] for kind, both in self.controllers.items()},
            **{f"auc_done/{kind}": both[1] for kind, both in self.controllers.items()},
            **{f"max_phi/{kind}": value for kind, value in self.max_phi.items()},
            "final_phi": self.final_phi,
        }
        plain = {name: None if np.isnan(value) else value for name, value in told.items()}
        counts = {"episodes": self.episodes, "untaught": self.untaught, "passed": self.passed}
        return {**plain, **counts}


class FrameCounter(BaseJudge):
    """The control: every picture is a twelfth of what is left, whatever it shows."""

    name = "frame-counter"

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures

    def hop(
        self, before: Seen, after: Seen, start: Seen, goal: Seen | None, text: Sequence[str]
    ) -> Verdict:
        """Return one twelfth."""
        return Verdict(np.full(len(after), 1 / 12), np.ones(len(after), dtype=np.bool_))


class Constant(FrameCounter):
    """The control that says of every picture that nothing changed."""

    name = "constant"

    def hop(
        self, before: Seen, after: Seen, start: Seen, goal: Seen | None, text: Sequence[str]
    ) -> Verdict:
        """Return 0."""
        return Verdict(np.zeros(len(after)), np.ones(len(after), dtype=np.bool_))


def voc(phi: Float) -> float:
    """Return Spearman's correlation of Φ with its index; ties get average ranks, constants 0."""
    if len(phi) < 2 or np.ptp(phi) == 0:
        return 0.0
    _, inverse, counts = np.unique(phi, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2.0)[inverse]
    return float(np.corrcoef(ranks, np.arange(len(phi)))[0, 1])


def trace(potential: ProgressPotential, pictures: Frames, text: str = "") -> Float:
    """Return Φ at every ``every``-th picture of one film, the first omitted; see ``shown``."""
    slot = np.zeros(1, dtype=np.int64)
    potential.value(Starts(slot, None, [{}], pictures[:1], [text]))
    phi = []
    for row in shown(potential, len(pictures)).tolist():
        ended = np.array([row == len(pictures) - 1])
        phi.append(potential.value(_step(slot, row - 1, ended, pictures[row : row + 1])).phi[0])
    return np.array(phi)


def shown(potential: ProgressPotential, count: int) -> Int:
    """Return which of ``count`` pictures a potential is shown after the first; always the last."""
    t = np.arange(count - 1)
    return np.flatnonzero(potential.pictures.due(t, t == count - 2)) + 1


def evaluate(
    build: Callable[[], ProgressPotential], demos: Sequence[Demo], text: str = ""
) -> Evaluation:
    """Evaluate a potential on the demonstrations that are held out.

    Args:
        build: makes the potential; goal pictures must come from other episodes.
        demos: demonstrations, held out or not; only the former are looked at.
        text: the task's sentence.
    """
    potential = build()
    held = _as_long([_until_done(demo) for demo in demos if demo.held_out])
    never = None
    if all(demo.left is None for demo in held):
        never = max((float(demo.done_at) for demo in held if demo.done_at), default=None)
    judged = [judge_episode(potential, demo, text, never) for demo in held]
    peaks: dict[str, list[float]] = {}
    for one in judged:
        if one.kind != EXPERT and not one.succeeded:
            peaks.setdefault(one.kind, []).append(float(one.phi.max()))
    ends = [one.end for one in judged if one.kind == EXPERT]
    return Evaluation(
        measures=measures.measure(judged),
        gaps=measures.gap_by_kind(judged),
        controllers=measures.auc_by_kind(judged),
        max_phi={kind: float(np.mean(values)) for kind, values in peaks.items()},
        final_phi=float(np.mean(ends)) if ends else float("nan"),
        episodes=len(judged),
        untaught=len(measures.untaught(judged)),
    )


def _until_done(demo: Demo) -> Demo:
    """Return an episode up to its first success, where worlds end it."""
    return demo if demo.done_at is None else _rows(demo, np.arange(max(demo.done_at + 1, 2)))


def _as_long(demos: Sequence[Demo]) -> list[Demo]:
    """Return episodes of which every failure lasts as long as the longest, standing still at last.

    Where failures are shorter than successes, a frame counter tells one from the other.
    """
    longest = max((len(demo.pictures) for demo in demos), default=0)
    still = np.minimum(np.arange(longest)[None], [[len(demo.pictures) - 1] for demo in demos])
    return [
        demo if demo.done_at is not None else _uncounted(_rows(demo, rows), len(demo.pictures))
        for demo, rows in zip(demos, still, strict=True)
    ]


def _uncounted(demo: Demo, since: int) -> Demo:
    """Return an episode whose steps left are not known from a picture on, if they were before."""
    if demo.left is None:
        return demo
    known = np.arange(len(demo.left)) < since
    return replace(demo, left=np.where(known, demo.left, np.nan))


def _rows(demo: Demo, rows: Int) -> Demo:
    left = None if demo.left is None else demo.left[rows]
    return replace(demo, pictures=demo.pictures[rows], success=demo.success[rows], left=left)


def judge_episode(
    potential: ProgressPotential, demo: Demo, text: str = "", never: float | None = None
) -> Judged:
    """Return what a potential says of one episode.

    Args:
        potential: says it; experts are also shown backwards.
        demo: the episode.
        text: the task's sentence.
        never: steps left at every picture of a failure that nobody counted, where successes that
            nobody counted need as many as they took; None leaves both unknown.
    """
    film, count, left = demo.pictures, len(demo.pictures), demo.left
    rows = shown(potential, count)
    if left is None and never is not None:
        took = np.arange(count)[::-1].astype(np.float64)
        left = np.full(count, never) if demo.done_at is None else took
    phi, is_expert = trace(potential, film, text), demo.kind == EXPERT
    return Judged(
        kind=demo.kind,
        phi=phi,
        done=_done(potential, film[rows], text),
        success=demo.success[rows],
        left=None if left is None else left[rows],
        order=voc(phi) if is_expert else float("nan"),
        backwards=voc(_reversed(potential, film, text)) if is_expert else float("nan"),
    )


def _reversed(potential: ProgressPotential, film: Frames, text: str) -> Float:
    """Return Φ along a film played backwards that is anchored at its true first picture."""
    return trace(potential, np.concatenate([film[:1], film[::-1]]), text)


def _done(potential: ProgressPotential, film: Frames, text: str) -> Float:
    """Return the done probability of every picture; 0 where the judge abstains."""
    sure = potential.judge.done(potential.judge.see(film), [text] * len(film))
    return np.where(sure.valid, sure.value, 0.0)


def _step(slot: Any, t: int, ended: Bool, picture: Frames) -> Steps:
    return Steps(
        slot=slot,
        t=np.array([t]),
        obs=None,
        action=None,
        next_obs=None,
        env_reward=np.zeros(1),
        terminated=np.zeros(1, dtype=np.bool_),
        truncated=ended,
        info=[{}],
        frame=picture,
    )
