"""What judges are measured by: nothing bends it, nothing that knows nothing reaches it."""

import dataclasses

import numpy as np
import pytest
import torch

from densegym.reward_models.progress import measures, protocol
from densegym.reward_models.progress.demos import EXPERT, FAILURES, PLANNER, SWEEP, Demo
from densegym.reward_models.progress.judge import BaseJudge, Verdict, hop_between
from densegym.reward_models.progress.local import fitting, local_judge
from densegym.reward_models.progress.local.network import ProgressNetwork
from densegym.reward_models.progress.measures import BARS, Judged
from densegym.reward_models.progress.potential import ProgressPotential
from densegym.reward_models.types import Pictures

SIZE = 64
LOOKS = Pictures(("front",), SIZE)


def film(way, distract, rng) -> np.ndarray:
    """A square that moves across with the way that was made, and a bar that does what it likes."""
    frames = rng.integers(0, 60, (len(way), 1, SIZE, SIZE, 3)).astype(np.uint8)
    for frame, value, other in zip(frames, way, distract, strict=True):
        left, top = round(value * 48), round(other * 12)
        frame[0, 40:56, left : left + 16] = 255
        frame[0, top : top + 6, 10:54] = 200
    return frames


def episode(kind, way, rng, *, count=True) -> Demo:
    distract = np.clip(np.cumsum(rng.normal(0, 0.1, len(way))) + rng.uniform(), 0, 1)
    left = 40.0 * (1.0 - way) if count else None
    return Demo(kind, film(way, distract, rng), way >= 1.0, held_out=True, left=left)


def data(rng, *, count=True) -> list[Demo]:
    """Held-out episodes of experts, failures and a planner: 30 to 50 steps each."""
    made = []
    for _ in range(8):
        way = np.concatenate([np.linspace(0, 1, int(rng.integers(30, 50))), np.ones(4)])
        made.append(episode(EXPERT, way, rng, count=count))
    for kind in FAILURES:
        for _ in range(4):
            top = rng.uniform(0.4, 0.7) if kind == "stall" else 0.05
            way = np.minimum(np.linspace(0, 1, 60), top) + rng.uniform(0, 0.05, 60)
            made.append(episode(kind, way, rng, count=count))
    for top in (0.3, 0.4, 0.5, 0.6, 1.0, 1.0, 1.0, 1.0):
        way = np.interp(np.arange(45), [0, 10, 25, 44], [0, 0.4, 0.2, top])
        made.append(episode(PLANNER, way, rng, count=count))
    return made


class Square(BaseJudge):
    """Reads how far the square is: the judge that a network could become."""

    name = "square"
    pictures = LOOKS

    def see(self, images):
        columns = images[:, 0, 48, :, 0] > 150
        return np.argmax(columns, axis=1)[:, None] / 48.0

    def hop(self, before, after, start, goal, text):
        return Verdict(hop_between(before[:, 0], after[:, 0]), np.ones(len(after), dtype=bool))

    def done(self, image, text):
        return Verdict((image[:, 0] > 0.99) * 1.0, np.ones(len(image), dtype=bool))


def sighted() -> ProgressPotential:
    return ProgressPotential(Square(), name="progress/square", fusion="forward", every=3, cap=False)


@pytest.fixture(scope="module")
def held() -> list[Demo]:
    return data(np.random.default_rng(0))


def blank(seed: int) -> local_judge.LocalJudge:
    torch.manual_seed(seed)
    reference = np.zeros((2, 1, SIZE, SIZE, 3), np.uint8)
    return local_judge.LocalJudge(ProgressNetwork(1, SIZE), reference, LOOKS.cameras)


def test_a_judge_that_sees_passes(held) -> None:
    seen = protocol.evaluate(sighted, held)
    assert seen.passed, seen.missed
    assert seen.untaught == 8
    assert seen.controllers[PLANNER] == (1.0, 1.0)


SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("counted", [True, False])
def test_judges_that_know_nothing_reach_no_bar(counted, seed) -> None:
    held = data(np.random.default_rng(1), count=counted)
    for name, build in fitting.controls(blank(seed), seed).items():
        seen = protocol.evaluate(build, held)
        assert seen.reached == [], (name, seed, seen.measures)
        assert not seen.passed
        assert len(seen.missed) == len(BARS)


@pytest.mark.parametrize(
    "bend", [np.exp, lambda x: np.expm1(7 * x) / np.expm1(7), lambda x: x**9, np.arctan]
)
def test_no_bending_moves_a_measure(held, bend) -> None:
    potential = sighted()
    judged = [protocol.judge_episode(potential, demo) for demo in held]
    bent = [dataclasses.replace(one, phi=bend(one.phi), done=bend(one.done)) for one in judged]
    assert measures.measure(bent) == pytest.approx(measures.measure(judged))
    assert measures.gap_by_kind(bent) == pytest.approx(measures.gap_by_kind(judged))


def test_every_measure_falls_for_what_it_stands_for(held) -> None:
    potential = sighted()
    judged = [protocol.judge_episode(potential, demo) for demo in held]

    def spoilt(which, **changed):
        worse = [
            dataclasses.replace(one, **{key: f(one) for key, f in changed.items()})
            if which(one)
            else one
            for one in judged
        ]
        told = measures.measure(worse)
        return {name for name, least in BARS.items() if not told[name] >= least}

    def failed(one):
        return not one.succeeded

    def planned(one):
        return one.kind == PLANNER

    def high(one):
        return np.ones(len(one.phi))

    assert "auc_phi" in spoilt(lambda one: failed(one) and planned(one), phi=high)
    assert spoilt(lambda one: failed(one) and planned(one), done=high) == {"auc_done"}
    assert spoilt(lambda one: planned(one) and one.succeeded, done=lambda one: 0 * one.done) == {
        "auc_done"
    }
    assert "gap" in spoilt(lambda one: one.kind == "near-miss", phi=high)
    assert "end" in spoilt(lambda one: one.kind == EXPERT, phi=lambda one: 0.1 * one.phi)
    assert spoilt(lambda one: True, backwards=lambda one: 0.5) == {"order"}
    assert "rank" in spoilt(lambda one: True, left=lambda one: np.arange(len(one.phi)) * 1.0)


def test_what_is_unknown_does_not_pass() -> None:
    nothing = measures.measure(
        [Judged("random", np.zeros(3), np.zeros(3), np.zeros(3, dtype=bool))]
    )
    assert not measures.passed(nothing)
    assert all(not nothing[name] >= least for name, least in BARS.items())


def test_few_untaught_episodes_are_judged_among_all(held) -> None:
    potential = sighted()
    judged = [protocol.judge_episode(potential, demo) for demo in held]
    taught = [
        dataclasses.replace(one, kind=SWEEP) if one.kind == PLANNER else one for one in judged
    ]
    assert measures.untaught(taught) == []
    assert len(measures.untaught(judged)) == 8
    assert measures.measure(taught)["auc_phi"] == pytest.approx(1.0)


def test_spreads_apart() -> None:
    rng = np.random.default_rng(0)
    high, low = rng.normal(2.0, 1.0, 4000), rng.normal(0.0, 1.0, 4000)
    assert measures.separation(high, low) == pytest.approx(2.0, abs=0.1)
    assert measures.separation(low, high) == pytest.approx(-2.0, abs=0.1)
    assert measures.separation(np.ones(8), np.ones(8)) == 0.0
    assert 3.0 < measures.separation(np.ones(8), np.zeros(8)) < 4.0
