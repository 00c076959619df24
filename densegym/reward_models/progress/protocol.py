"""The fixed evaluation of progress models on held-out placements; VOC alone is not enough.

A frame counter orders every film perfectly, so a model passes only if it also follows films
played backwards and stays low on every kind of failure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from densegym.reward_models.progress.demos import EXPERT, FAILURES, Demo
from densegym.reward_models.progress.judge import BaseJudge, Seen, Verdict
from densegym.reward_models.progress.potential import DONE, ProgressPotential
from densegym.reward_models.types import Bool, Float, Frames, Pictures, Starts, Steps

VOC, MAX_PHI, F1 = 0.95, 0.3, 0.95
"""What a model must reach: order on experts, most Φ in failures, detection of done episodes."""
_IN_A_ROW = 3  # pictures that say done before an episode counts as such


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model says of held-out episodes.

    Attributes:
        voc: mean Spearman correlation of Φ with time on experts.
        voc_sd: its deviation over episodes.
        voc_reversed: the same on films played backwards; −1 is best.
        max_phi: mean over episodes of the largest Φ, per failure kind.
        final_phi: mean last Φ of experts.
        done_f1: of pictures.
        episode_f1: of episodes, done at three pictures in a row.
        episodes: how many experts and failures were seen.
    """

    voc: float
    voc_sd: float
    voc_reversed: float
    max_phi: dict[str, float]
    final_phi: float
    done_f1: float
    episode_f1: float
    episodes: int

    @property
    def passed(self) -> bool:
        """Whether every threshold is met."""
        return (
            self.voc >= VOC
            and self.voc_reversed <= -VOC
            and all(value <= MAX_PHI for value in self.max_phi.values())
            and self.episode_f1 >= F1
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a card or a line of JSON."""
        return {
            "voc": self.voc,
            "voc_sd": self.voc_sd,
            "voc_reversed": self.voc_reversed,
            **{f"max_phi/{kind}": value for kind, value in self.max_phi.items()},
            "final_phi": self.final_phi,
            "done_f1": self.done_f1,
            "episode_f1": self.episode_f1,
            "episodes": self.episodes,
            "passed": self.passed,
        }


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


def voc(phi: Float) -> float:
    """Return Spearman's correlation of Φ with its index; ties get average ranks, constants 0."""
    if len(phi) < 2 or np.ptp(phi) == 0:
        return 0.0
    _, inverse, counts = np.unique(phi, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2.0)[inverse]
    return float(np.corrcoef(ranks, np.arange(len(phi)))[0, 1])


def trace(potential: ProgressPotential, pictures: Frames, text: str = "") -> Float:
    """Return Φ at every ``every``-th picture of one film, the first omitted.

    The last picture is always among them.
    """
    slot = np.zeros(1, dtype=np.int64)
    potential.value(Starts(slot, None, [{}], pictures[:1], [text]))
    phi = []
    for t in range(len(pictures) - 1):
        ended = np.array([t == len(pictures) - 2])
        if not potential.pictures.due(np.array([t]), ended)[0]:
            continue
        phi.append(potential.value(_step(slot, t, ended, pictures[t + 1 : t + 2])).phi[0])
    return np.array(phi)


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
    held = [demo for demo in demos if demo.held_out]
    forwards, backwards, finals = [], [], []
    said: list[Float] = []
    truth: list[Bool] = []
    verdicts: list[tuple[bool, bool]] = []
    peaks: dict[str, list[float]] = {kind: [] for kind in FAILURES}
    for demo in held:
        phi = trace(potential, demo.pictures, text)
        done = _done(potential, demo.pictures, text)
        said.append(done)
        truth.append(demo.success)
        verdicts.append((_confirmed(done), demo.kind == EXPERT))
        if demo.kind != EXPERT:
            peaks[demo.kind].append(float(phi.max()))
            continue
        film = demo.pictures[: (demo.done_at or 0) + 1]
        forwards.append(voc(trace(potential, film, text)))
        backwards.append(voc(_reversed(potential, film, text)))
        finals.append(float(phi[-1]))
    return Evaluation(
        voc=float(np.mean(forwards)),
        voc_sd=float(np.std(forwards)),
        voc_reversed=float(np.mean(backwards)),
        max_phi={kind: float(np.mean(values)) for kind, values in peaks.items() if values},
        final_phi=float(np.mean(finals)),
        done_f1=_f1(np.concatenate(said) > DONE, np.concatenate(truth)),
        episode_f1=_f1(*(np.array(column) for column in zip(*verdicts, strict=True))),
        episodes=len(held),
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


def _confirmed(done: Float) -> bool:
    sure = np.concatenate([[0], (done > DONE).astype(np.int64), [0]])
    edges = np.flatnonzero(np.diff(sure))
    return bool((np.diff(edges)[::2] >= _IN_A_ROW).any())


def _f1(said: Any, truth: Any) -> float:
    hits = float(np.sum(said & truth))
    wrong = float(np.sum(said != truth))
    return 0.0 if hits == 0 else 2 * hits / (2 * hits + wrong)
