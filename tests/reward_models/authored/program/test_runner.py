"""Runners: in process and in a worker, on batches and banks, against loops in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densegym.errors import RewardError
from densegym.reward_models.authored.programs.program import build_program, plain_header
from densegym.reward_models.authored.programs.runner import LIMIT, LocalRunner, open_runner
from densegym.reward_models.authored.screening.bank import Bank, Trajectory
from densegym.reward_models.authored.screening.scoring import score_bank
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.features import feature_names
from densegym.reward_models.sandbox.allowlist import inspect_source
from densegym.reward_models.sandbox.process import Worker
from densegym.reward_models.shaping import Shaped
from tests.toys import CARD

REWARD = """
def compute_reward(position, prev_height, height, terminated):
    near = np.exp(-np.linalg.norm(position, axis=1))
    gain = np.log(height + 2.0) - 3000.0 * prev_height
    return near + gain - terminated, {"near": near, "gain": gain, "end": -1.0 * terminated}
"""
POTENTIAL = """
def potential(position, height, told, prev_height):
    return np.sqrt(height + 1.5) + 0.1 * told + position[:, 0] + prev_height
"""
MEMORY = """
MEMORY = 2
def compute_reward(height, memory):
    count = memory[:, 0] + 1.0
    best = np.maximum(memory[:, 1], height)
    return count * best, {"count": count, "best": best}, np.stack([count, best], axis=1)
"""
FACTORS = "def factors(height, told):\n    return {'height': height, 'told': told}"


def inspected(source: str):
    return inspect_source(source, known=feature_names(CARD))


def trajectory(rng: np.random.Generator, length: int) -> Trajectory:
    obs = rng.normal(size=(length + 1, 3))
    terminated = np.zeros(length, bool)
    terminated[-1] = rng.random() < 0.5
    features = {
        "position": obs[1:],
        "prev_position": obs[:-1],
        "height": obs[1:, 2],
        "prev_height": obs[:-1, 2],
        "push": rng.normal(size=(length, 2)),
        "told": rng.normal(size=length),
        "terminated": terminated,
    }
    return Trajectory(features=features, source="random", success=False, fitness=0.0)


def make_bank(seed: int, lengths, gamma: float = 0.9) -> Bank:
    rng = np.random.default_rng(seed)
    return Bank(task=CARD.id, gamma=gamma, trajectories=tuple(trajectory(rng, n) for n in lengths))


BANKS = st.builds(make_bank, st.integers(0, 2**16), st.lists(st.integers(1, 9), min_size=1))


def settled(value: float) -> float:
    return min(max(value, -LIMIT), LIMIT) if math.isfinite(value) else 0.0


def loop_reward(features: dict) -> list[float]:
    paid = []
    for t in range(len(features["height"])):
        near = math.exp(-math.dist(features["position"][t], (0, 0, 0)))
        inside = features["height"][t] + 2.0
        log = math.log(inside) if inside > 0 else math.nan
        gain = log - 3000.0 * features["prev_height"][t]
        paid.append(settled(near + gain - features["terminated"][t]))
    return paid


def loop_memory(features: dict) -> list[float]:
    count, best, paid = 0.0, 0.0, []
    for height in features["height"]:
        count, best = count + 1, max(best, height)
        paid.append(count * best)
    return paid


def loop_potential(features: dict, gamma: float) -> list[float]:
    def phi(x, told, prev):
        inside = x[2] + 1.5
        return math.sqrt(inside) + 0.1 * told + x[0] + prev if inside >= 0 else math.nan

    first = features["prev_position"][0]
    before = phi(first, features["told"][0], first[2])
    before = before if math.isfinite(before) else 0.0
    paid = []
    for t in range(len(features["height"])):
        after = phi(features["position"][t], features["told"][t], features["prev_height"][t])
        if features["terminated"][t]:
            after = 0.0
        if not math.isfinite(after):
            before = before / gamma
            paid.append(0.0)
            continue
        paid.append(gamma * after - before)
        before = after
    return paid


@given(bank=BANKS)
def test_bank_scores_equal_plain_loops(bank):
    loops = {
        REWARD: loop_reward,
        MEMORY: loop_memory,
        POTENTIAL: lambda features: loop_potential(features, bank.gamma),
    }
    for source, loop in loops.items():
        scored = score_bank(LocalRunner(inspected(source)), bank)
        assert [len(item.total) for item in scored] == bank.lengths()
        for item, one in zip(scored, bank.trajectories, strict=True):
            np.testing.assert_allclose(item.total, loop(one.features), rtol=1e-9, atol=1e-9)
            assert all(part.shape == item.total.shape for part in item.parts.values())


@given(bank=BANKS)
def test_a_bank_scores_like_its_trajectories_alone(bank):
    for source in (REWARD, MEMORY, POTENTIAL):
        runner = LocalRunner(inspected(source))
        together = score_bank(runner, bank)
        for item, one in zip(together, bank.trajectories, strict=True):
            alone = score_bank(runner, Bank(task=bank.task, gamma=bank.gamma, trajectories=(one,)))[
                0
            ]
            np.testing.assert_allclose(item.total, alone.total, rtol=1e-12, atol=1e-12)
            assert item.parts.keys() == alone.parts.keys()


@settings(max_examples=15)
@given(seed=st.integers(0, 2**16), length=st.integers(1, 8))
def test_a_bank_scores_like_the_engine_pays(seed, length):
    # The engine reads told of the reset, which a bank has not.
    for source in (REWARD, MEMORY, POTENTIAL.replace("0.1 * told", "0.0 * told")):
        bank = make_bank(seed, [length])
        features = bank.trajectories[0].features
        model = build_program(plain_header(source, CARD.id, "authored/toy"), CARD)
        model = Shaped(model, gamma=bank.gamma) if "def potential" in source else model
        engine = RewardEngine(model, 1)
        engine.begin(engine.slots, features["prev_position"][:1], [{"told": 0.0}])
        paid = [
            engine.advance(
                slot=engine.slots,
                action=features["push"][t : t + 1],
                next_obs=features["position"][t : t + 1],
                env_reward=np.zeros(1),
                terminated=features["terminated"][t : t + 1],
                truncated=np.zeros(1, bool),
                info=[{"told": features["told"][t]}],
            ).reward[0]
            for t in range(length)
        ]
        scored = score_bank(LocalRunner(inspected(source)), bank)[0]
        np.testing.assert_allclose(scored.total, paid, rtol=1e-9, atol=1e-9)


def test_a_worker_scores_like_this_process():
    bank = make_bank(3, [5, 1, 8])
    with Worker() as worker:
        for source in (REWARD, MEMORY, POTENTIAL):
            here = score_bank(LocalRunner(inspected(source)), bank)
            with open_runner(inspected(source), worker=worker) as runner:
                there = score_bank(runner, bank)
                assert runner.isolation.startswith("ast+process")
            for one, other in zip(here, there, strict=True):
                np.testing.assert_allclose(one.total, other.total, rtol=1e-6, atol=1e-6)
                assert one.parts.keys() == other.parts.keys()
        with open_runner(inspected(FACTORS), worker=worker) as runner:
            told = runner(bank.stacked())
            here = LocalRunner(inspected(FACTORS))(bank.stacked())
            assert list(told.parts) == list(here.parts) == ["height", "told"]
            assert not told.total.any()
            np.testing.assert_array_equal(told.total, here.total)


def test_a_runner_of_its_own_worker_stops_it():
    with open_runner(inspected(REWARD), isolated=True) as runner:
        assert runner.kind == "compute_reward"
        assert len(runner(make_bank(0, [4]).stacked()).total) == 4


def test_runners_leave_inputs_alone():
    source = "def compute_reward(height):\n    height[:] = 1.0\n    return height, {'h': height}"
    height = np.zeros(3)
    with open_runner(inspected(source), isolated=False) as runner:
        assert runner({"height": height}).total.tolist() == [1, 1, 1]
    assert not height.any()


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(RewardError, match="static_reject"), open_runner(inspected("import os")):
        pass
    with (
        open_runner(inspected(FACTORS), isolated=False) as runner,
        pytest.raises(RewardError, match="credit/lare"),
    ):
        score_bank(runner, make_bank(0, [2]))


def test_an_empty_bank_has_no_scores():
    assert score_bank(LocalRunner(inspected(REWARD)), make_bank(0, [])) == []
