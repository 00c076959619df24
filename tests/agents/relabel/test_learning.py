"""Learning where the world pays only at the end: plumbing, measured.

InvertedPendulum pays 1 a step, so the uniform redistribution nearly equals the dense reward: these
tests prove hooks, boundaries and truncation, not the quality of a decomposition.
"""

from __future__ import annotations

import pytest

from densegym.agents.studies.delayed import (
    ARMS,
    EVENLY,
    FITTED,
    LEARNT,
    RAW,
    Curve,
    DelayedTask,
    build,
    compare,
    over_seeds,
)
from densegym.agents.studies.relabel import cost

PENDULUM = DelayedTask("InvertedPendulum-v5", 500)


def test_a_delayed_pendulum_is_learnt_with_credits_and_not_without():
    arms = {"raw": RAW, "uniform": EVENLY}
    late = over_seeds(compare(PENDULUM, arms, seeds=(0,), steps=14_400), Curve.late)
    assert late["uniform"] >= 1.5 * late["raw"]


@pytest.mark.slow
def test_ppo_with_uniform_credits_is_far_above_raw_and_near_dense():
    late = over_seeds(compare(PENDULUM, ARMS, steps=24_000), Curve.late)
    assert late["uniform"] >= 1.5 * late["raw"]
    assert late["uniform"] >= 0.6 * late["dense"]


@pytest.mark.slow
def test_relabelling_costs_little_of_ppo():
    assert min(cost(EVENLY) for _ in range(3)) <= 0.05
    assert min(cost(FITTED) for _ in range(3)) <= 0.30


def test_finished_runs_are_kept_and_read_back(tmp_path):
    small = DelayedTask("InvertedPendulum-v5", 50)
    told: list[Curve] = []
    first = compare(small, {"dense": "env"}, seeds=(3,), steps=1600, folder=tmp_path)
    again = compare(
        small, {"dense": "env"}, seeds=(3,), steps=1600, folder=tmp_path, on_run=told.append
    )
    assert first == again == told
    assert first[0].bootstraps
    assert len(first[0].returns) == len(first[0].steps) >= 1


def test_workers_change_nothing_but_the_time():
    small = DelayedTask("InvertedPendulum-v5", 50)
    told: list[Curve] = []
    alone = compare(small, ARMS, seeds=(0,), steps=1600)
    pooled = compare(small, ARMS, seeds=(0,), steps=1600, workers=2, on_run=told.append)
    assert pooled == told
    assert [(c.arm, c.steps, c.returns) for c in pooled] == [
        (c.arm, c.steps, c.returns) for c in alone
    ]


def test_every_compared_arm_learns_on_the_cheetah():
    assert list(LEARNT) == ["lare", "rrd", "rrd-unbiased", "uniform", "raw", "dense"]
    for arm, reward in LEARNT.items():
        model = build(DelayedTask("HalfCheetah-v5", 100), reward, algo="ppo", seed=0)
        model.n_epochs = 1
        model.learn(1600)
        fitted = model.get_env().venv.engine.reward.terms[0].model
        assert getattr(fitted, "ready", False) == (arm in ("lare", "rrd", "rrd-unbiased"))
        model.get_env().close()
