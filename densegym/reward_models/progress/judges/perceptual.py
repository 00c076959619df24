"""Unsupervised Perceptual Rewards (arXiv 1612.06699): steps of a task found in few demonstrations.

Demonstrations are cut into steps where features change least within; every step gets the features
that tell it best from the others, and a Gaussian over these. The value of a picture is the mean of
its steps' values, each step counting twice the one before; the first, the start, does not count.
The paper's features come from an ImageNet network; here they are those of fixed random
convolutions, or pixels, so that nothing needs to be downloaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from densegym.errors import RewardError, unknown
from densegym.reward_models.progress.films import read_film
from densegym.reward_models.progress.judge import BaseJudge, Seen, Verdict, hop_between
from densegym.reward_models.progress.judge import check_images as checked
from densegym.reward_models.progress.judges.options import Fusing, potential
from densegym.reward_models.progress.potential import ProgressPotential
from densegym.reward_models.progress.vlm.pictures import fit
from densegym.reward_models.types import Float, Frames, Pictures, TaskCard

SIZE = 64
_CONTRAST = 5.0  # weight of the difference of means when features are chosen
_LEAST_SD = 0.1  # of a standardised feature
_FEATURES = ("random-conv", "pixels")


@dataclass(frozen=True, slots=True, kw_only=True)
class PerceptualOptions:
    """What can be chosen of perceptual rewards.

    Attributes:
        demos: films or folders of pictures, one per demonstration, of the first camera.
        steps: of the task.
        shortest: pictures of a step.
        kept: features per step.
        features: ``"random-conv"`` or ``"pixels"``.
    """

    demos: Sequence[str] = ()
    steps: int = 3
    shortest: int = 3
    kept: int = 32
    features: str = "random-conv"


class PerceptualJudge(BaseJudge):
    """Values pictures by the steps of a task.

    Args:
        demos: pictures (T, H, W, 3) of each demonstration.
        options: see there.
        seed: of the random convolutions.

    Raises:
        RewardError: no demonstration, or one that is shorter than its steps.
    """

    name = "perceptual"

    def __init__(self, demos: Sequence[Frames], options: PerceptualOptions, seed: int) -> None:
        need = options.steps * options.shortest
        if options.steps < 2 or options.shortest < 1 or options.kept < 1:
            raise RewardError("steps is at least 2, shortest and kept at least 1")
        if not demos or min(map(len, demos)) < need:
            raise RewardError(
                f'"progress/perceptual" learns from demonstrations of at least {need} pictures '
                f"({options.steps} steps of {options.shortest}); given "
                f"{[len(demo) for demo in demos]}. Name films or folders with demos=[...]."
            )
        if options.features not in _FEATURES:
            raise unknown("features", options.features, _FEATURES)
        self.pictures = Pictures(size=SIZE)
        self._kernels = _kernels(seed) if options.features == "random-conv" else []
        raw = [self._features(fit(demo[:, None], SIZE, "letterbox")[:, 0]) for demo in demos]
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
        value = self.progress(after[:, 0])
        anchored = np.array([np.array_equal(b, s) for b, s in zip(before, start, strict=True)])
        hops = np.where(anchored, value, hop_between(self.progress(before[:, 0]), value))
        return Verdict(hops, np.ones(len(hops), dtype=np.bool_))

    def see(self, images: Frames) -> Seen:
        """Return the pictures in the size of the demonstrations."""
        return fit(checked(images, self.name), SIZE, "letterbox")

    def progress(self, pictures: Frames) -> Float:
        """Return the value in [0, 1] of pictures (B, H, W, 3)."""
        seen = (self._features(pictures) - self._mean) / self._sd
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

    def _features(self, pictures: Frames) -> Float:
        x = pictures.astype(np.float64) / 255.0 - 0.5
        if not self._kernels:
            return _pooled(x, 8).reshape(len(x), -1)
        found = []
        for kernel in self._kernels:
            x = np.maximum(_convolve(x, kernel), 0.0)
            found.append(_pooled(x, max(1, x.shape[1] // 4)).reshape(len(x), -1))
        return np.concatenate(found, axis=1)


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


def _kernels(seed: int) -> list[Float]:
    rng = np.random.default_rng(seed)
    shapes = ((5, 3, 16), (3, 16, 32), (3, 32, 32))
    return [
        rng.normal(size=(size, size, into, out)) / np.sqrt(size * size * into)
        for size, into, out in shapes
    ]


def _convolve(x: Float, kernel: Float) -> Float:
    """Return the convolution of (B, H, W, C) with stride 2, without padding."""
    size = kernel.shape[0]
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))[:, ::2, ::2]
    result: Float = np.einsum("bhwcij,ijco->bhwo", windows, kernel, optimize=True)
    return result


def _pooled(x: Float, size: int) -> Float:
    """Return means over blocks of ``size`` squared pixels."""
    height, width = x.shape[1] // size, x.shape[2] // size
    cut = x[:, : height * size, : width * size]
    blocks: Float = cut.reshape(len(x), height, size, width, size, -1).mean(axis=(2, 4))
    return blocks


def build(
    *, task: TaskCard, seed: int, options: PerceptualOptions, fusing: Fusing
) -> ProgressPotential:
    """Build ``progress/perceptual``.

    Args:
        task: not read.
        seed: of the random convolutions.
        options: of the judge.
        fusing: how hops become Φ.

    Raises:
        RewardError: no demonstration is named, or one is too short.
    """
    demos = [options.demos] if isinstance(options.demos, str) else options.demos
    judge = PerceptualJudge([read_film(path) for path in demos], options, seed)
    return potential("perceptual", judge, fusing, "forward")
