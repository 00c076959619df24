"""Milestones as rewards and gates, and the progression reward."""

from __future__ import annotations

import numpy as np
import pytest

from densegym.errors import RewardError
from densegym.reward_models.spec import build_engine
from densegym.reward_models.types import TaskCard


def run(spec, told, starts=None):
    engine = build_engine(spec, 1, task=TaskCard(id="toy"))
    slot = engine.slots
    engine.begin(slot, None, [starts or {"milestones": (), "progression": 0.0}])
    paid = []
    for info in told:
        never = np.zeros(1, dtype=np.bool_)
        outcome = engine.advance(
            slot=slot, action=None, next_obs=None, env_reward=np.array([1.0]),
            terminated=never, truncated=never, info=[info],
        )  # fmt: skip
        paid.append(float(outcome.reward[0]))
    return paid


def told(*names, progression=0.0):
    return {"milestones": names, "progression": progression}


def test_one_milestone_or_each() -> None:
    steps = [told(), told("depth-2", "gold"), told("key-taken")]
    assert run({"model": "milestone", "mode": "replace"}, steps) == [0.0, 2.0, 1.0]
    assert run({"model": "milestone", "name": "gold"}, steps) == [1.0, 2.0, 1.0]


def test_a_latched_gate_opens_at_the_milestone() -> None:
    spec = {
        "model": "env",
        "gate": {"model": "milestone", "name": "depth-2"},
        "gate_latch": True,
        "mode": "replace",
    }
    assert run(spec, [told(), told("depth-2"), told(), told("gold")]) == [0.0, 1.0, 1.0, 1.0]


def test_progression_pays_its_rise() -> None:
    steps = [told(progression=p) for p in (0.1, 0.1, 0.3)]
    start = told(progression=0.05)
    paid = run({"model": "progression", "mode": "replace"}, steps, start)
    assert paid == pytest.approx([0.05, 0.0, 0.2])


@pytest.mark.parametrize("model", ["milestone", "progression"])
def test_other_worlds_are_refused(model: str) -> None:
    with pytest.raises(RewardError, match="DenseGym/NetHack"):
        run(model, [{}])
