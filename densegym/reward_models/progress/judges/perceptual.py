"""Unsupervised Perceptual Rewards (arXiv 1612.06699): steps of a task found in few demonstrations.

Demonstrations are cut into steps where features change least within; every step gets the features
that tell it best from the others, and a Gaussian over these. The value of a picture is the mean of
its steps' values, each step counting twice the one before; the first, the start, does not count.
The paper's features come from an ImageNet network, as here with ``features="efficientnet-lite0"``;
fixed random convolutions, the default, and pixels need nothing installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.progress.judge import BaseJudge, Seen, Verdict, hop_between
from densegym.reward_models.progress.judge import check_images as checked
from densegym.reward_models.progress.judges.examples import (
    by_view,
    find_features,
    read_examples,
)
from densegym.reward_models.progress.judges.options import Fusing, potential
from densegym.reward_models.progress.potential import ProgressPotential
from densegym.reward_models.progress.vlm.pictures import fit
from densegym.reward_models.types import Float, Frames, Pictures, TaskCard

_CONTRAST = 5.0  # weight of the difference of means when features are chosen
_LEAST_SD = 0.1  # of a standardised feature


@dataclass(frozen=True, slots=True, kw_only=True)
class PerceptualOptions:
    """What can be chosen of perceptual rewards.

    Attributes:
        demos: films or folders of pictures, one per demonstration, of the first camera; none takes
            the task's expert demonstrations.
        steps: of the task.
        shortest: pictures of a step.
        kept: features per step.
        features: ``"efficientnet-lite0"``, ``"random-conv"`` or ``"pixels"``.
        side: pixels to which ImageNet's network is shown a picture; a multiple of 32.
    """

    demos: str | Sequence[str] = ()
    steps: int = 3
    shortest: int = 3
    kept: int = 32
    features: str = "random-conv"
    side: int = 128


class PerceptualJudge(BaseJudge):
    """Values pictures by the steps of a task.

    Args:
        demos: pictures (T, H, W, 3) of each demonstration.
        options: see there.
        seed: of the random convolutions.
        pictures: what a host must render to be compared with them.

    Raises:
        RewardError: no demonstration, or one that is shorter than its steps.
    """

    name = "perceptual"

    def __init__(
        self,
        demos: Sequence[Frames],
        options: PerceptualOptions,
        seed: int,
        pictures: Pictures | None = None,
    ) -> None:
        need = options.steps * options.shortest
        if options.steps < 2 or options.shortest < 1 or options.kept < 1:
            raise RewardError("steps is at least 2, shortest and kept at least 1")
        if not demos or min(map(len, demos)) < need:
            raise RewardError(
                f'"progress/perceptual" learns from demonstrations of at least {need} pictures '
                f"({options.steps} steps of {options.shortest}); given "
                f"{[len(demo) for demo in demos]}. Name films or folders with demos=[...]."
            )
        self._features, self._side = find_features(options.features, options.side, seed)
        self.pictures = pictures or Pictures(size=self._side, markers=False)
        raw = [self._embed(demo[:, None]) for demo in demos]
        every = np.concatenate(raw)
        self._mean, self._sd = every.mean(axis=0), np.maximum(every.std(axis=0), 1e-6)
        seen = [(one - self._mean) / self._sd for one in raw]
        cuts = [segment(one, options.steps, options.shortest) for one in seen]
        self._chosen, self._centre, self._spread = _classifiers(seen, cuts, options)
        self._best = max(float(self._value(one).max()) for one in seen)

    def hop(
        self, before: Seen, after: Seen, start: Seen, goal: Seen | None, text: Sequence[str]
    ) -> Verdict:
        """Return the value of a picture as the hop from the start, else the hop of two values."""
        value = self.values(after)
        anchored = np.array([np.array_equal(b, s) for b, s in zip(before, start, strict=True)])
        hops = np.where(anchored, value, hop_between(self.values(before), value))
        return Verdict(hops, np.ones(len(hops), dtype=np.bool_))

    def see(self, images: Frames) -> Seen:
        """Return the standardised features (B, D) of the first view of pictures."""
        seen: Seen = (self._embed(checked(images, self.name)) - self._mean) / self._sd
        return seen

    def values(self, seen: Seen) -> Float:
        """Return the value in [0, 1] of seen pictures (B, D)."""
        return np.minimum(1.0, self._value(seen) / self._best)

    def _value(self, seen: Float) -> Float:
        total, weights = np.zeros(len(seen)), 0.0
        steps = zip(self._chosen, self._centre, self._spread, strict=True)
        for step, (chosen, centre, spread) in enumerate(steps):
            if step > 0:
                distance = np.square((seen[:, chosen] - centre) / spread).mean(axis=1)
                total += 2.0**step * np.exp(-distance)
                weights += 2.0**step
        return total / weights

    def _embed(self, images: Frames) -> Float:
        return by_view(self._features, fit(images[:, :1], self._side, "letterbox"))[:, 0]


def segment(features: Float, steps: int, shortest: int) -> list[int]:
    """Return the first picture of each step, and the number of pictures as the end.

    The cuts minimise the sum over steps of the mean standard deviation of features within, by
    dynamic programming in O(T² n) with prefix sums.

    Args:
        features: (T, D), standardised.
        steps: n.
        shortest: pictures of a step.
    """
    count = len(features)
    cost = _within(features)
    best = np.full((steps + 1, count + 1), np.inf)
    came = np.zeros((steps + 1, count + 1), dtype=np.int64)
    best[0, 0] = 0.0
    for step in range(1, steps + 1):
        for end in range(step * shortest, count + 1):
            begins = np.arange((step - 1) * shortest, end - shortest + 1)
            totals = best[step - 1, begins] + cost[begins, end]
            came[step, end] = begins[int(totals.argmin())]
            best[step, end] = totals.min()
    cuts = [count]
    for step in range(steps, 0, -1):
        cuts.append(int(came[step, cuts[-1]]))
    return cuts[::-1]


def _within(features: Float) -> Float:
    """Return (T + 1, T + 1) mean standard deviation of features in [begin, end)."""
    count = len(features)
    zero = np.zeros((1, features.shape[1]))
    first = np.concatenate([zero, features.cumsum(axis=0)])
    second = np.concatenate([zero, np.square(features).cumsum(axis=0)])
    cost = np.full((count + 1, count + 1), np.inf)
    for begin in range(count):
        size = np.arange(1, count - begin + 1)[:, None]
        mean = (first[begin + 1 :] - first[begin]) / size
        variance = (second[begin + 1 :] - second[begin]) / size - np.square(mean)
        cost[begin, begin + 1 :] = np.sqrt(np.maximum(variance, 0.0)).mean(axis=1)
    return cost


def _classifiers(
    seen: Sequence[Float], cuts: Sequence[Sequence[int]], options: PerceptualOptions
) -> tuple[list[Any], list[Float], list[Float]]:
    """Return chosen features, their means and their standard deviations, per step."""
    chosen, centre, spread = [], [], []
    for step in range(options.steps):
        inside = np.concatenate([x[c[step] : c[step + 1]] for x, c in zip(seen, cuts, strict=True)])
        outside = np.concatenate(
            [
                np.delete(x, np.s_[c[step] : c[step + 1]], axis=0)
                for x, c in zip(seen, cuts, strict=True)
            ]
        )
        gap = np.abs(inside.mean(axis=0) - outside.mean(axis=0))
        contrast = _CONTRAST * gap - (inside.std(axis=0) + outside.std(axis=0))
        best = np.argsort(-contrast, kind="stable")[: options.kept]
        chosen.append(best)
        centre.append(inside[:, best].mean(axis=0))
        spread.append(np.maximum(inside[:, best].std(axis=0), _LEAST_SD))
    return chosen, centre, spread


def build(
    *, task: TaskCard, seed: int, options: PerceptualOptions, fusing: Fusing
) -> ProgressPotential:
    """Build ``progress/perceptual``.

    Args:
        task: whose demonstrations are taken where none is named.
        seed: of the random convolutions.
        options: of the judge.
        fusing: how hops become Φ.

    Raises:
        RewardError: there is no demonstration, or one is too short.
    """
    _, side = find_features(options.features, options.side, seed)
    examples = read_examples(options.demos, task, side, "demos")
    films = [film[:, 0] for film in examples.films]
    judge = PerceptualJudge(films, options, seed, examples.pictures)
    return potential("perceptual", judge, fusing, "forward")
