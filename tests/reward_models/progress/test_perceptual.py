"""Perceptual rewards: segmentation, features and values on films whose steps are known."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from densegym.errors import RewardError, UnknownNameError
from densegym.reward_models.options import build as assembled
from densegym.reward_models.progress.judges.perceptual import (
    PerceptualJudge,
    PerceptualOptions,
    build,
    segment,
)
from densegym.reward_models.types import TaskCard


def film(lengths, seed=0):
    """A square that stands in another corner in every step, with noise."""
    rng = np.random.default_rng(seed)
    pictures = []
    for step, length in enumerate(lengths):
        for _ in range(length):
            picture = rng.integers(90, 110, (64, 64, 3)).astype(np.uint8)
            top, left = ((8, 8), (8, 40), (40, 40))[step]
            picture[top : top + 16, left : left + 16] = (200, 40 * step, 30)
            pictures.append(picture)
    return np.stack(pictures)


def test_segmentation_finds_the_best_cuts():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(12, 4))

    def cost(cuts):
        return sum(features[a:b].std(axis=0).mean() for a, b in itertools.pairwise(cuts))

    every = [[0, a, b, 12] for a in range(2, 9) for b in range(a + 2, 11)]
    assert cost(segment(features, 3, 2)) == pytest.approx(min(map(cost, every)))


@pytest.mark.parametrize("features", ["random-conv", "pixels"])
def test_values_rise_with_the_steps(features):
    demos = [film((6, 8, 7), 0), film((9, 5, 6), 1)]
    judge = PerceptualJudge(demos, PerceptualOptions(features=features), seed=0)
    fresh = film((5, 5, 5), 2)
    seen = judge.see(fresh[:, None])
    value = judge.values(seen)
    assert ((value >= 0) & (value <= 1)).all()
    first, second, third = (value[i : i + 5].mean() for i in (0, 5, 10))
    assert first < second < third
    assert first < 0.3
    assert third > 0.3
    hops = judge.hop(seen[[0, 0]], seen[[7, 12]], seen[[0, 0]], None, ["", ""])
    assert hops.valid.all()
    assert hops.value == pytest.approx(value[[7, 12]])


def built(**options):
    return assembled(build, "progress/perceptual", options, task=TaskCard(id="x"))


def test_built_from_folders(tmp_path):
    for index, picture in enumerate(film((4, 4, 4))):
        cv2.imwrite(str(tmp_path / f"{index:02d}.png"), picture)
    made = built(demos=[str(tmp_path)])
    assert made.name == "progress/perceptual"
    assert made.fusion == "forward"
    with pytest.raises(RewardError, match='"demos"'):
        built()
    with pytest.raises(UnknownNameError, match="random-conv"):
        built(demos=[str(tmp_path)], features="conv")
    with pytest.raises(UnknownNameError, match="steps"):
        built(demos=[str(tmp_path)], step=2)
