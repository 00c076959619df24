"""Which lane an episode is played in decides nothing, and a checkpoint ends it as a clock does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from densegym.reward_models.engine import RewardEngine
from tests.reward_models.credit.pipelines import SPREADERS, made
from tests.reward_models.credit.worlds import drifts

LANES, LENGTH, ROUNDS = 4, 12, 5  # enough episodes for networks to be fitted and asked


def play(engine: RewardEngine, round_: int, order: Any, *, until: int = LENGTH) -> dict[int, Any]:
    """Play one episode a lane, ``order`` saying which; return credits by episode."""
    episodes = [drifts(LANES, seed=round_, length=LENGTH)[i] for i in order]
    info: list[dict[str, Any]] = [{"is_success": float(i % 2)} for i in order]
    engine.begin(engine.slots, np.stack([one.obs[0] for one in episodes]), info)
    credits: dict[int, Any] = {}
    for t in range(until):
        last = np.full(LANES, t == LENGTH - 1)
        outcome = engine.advance(
            slot=engine.slots,
            action=np.stack([one.action[t] for one in episodes]),
            next_obs=np.stack([one.obs[t + 1] for one in episodes]),
            env_reward=np.array([one.env_reward[t] for one in episodes]),
            terminated=last & False,
            truncated=last,
            info=info,
        )
        credits |= {int(order[slot]): credit for slot, credit in outcome.credits}
    return credits


@pytest.mark.parametrize("name", SPREADERS)
def test_episodes_that_end_together_are_credited_alike_in_any_lanes(name: str) -> None:
    straight, mixed = (RewardEngine(made(name), LANES, shown=True) for _ in range(2))
    draws = np.random.default_rng(0)
    for round_ in range(ROUNDS):
        one = play(straight, round_, np.arange(LANES))
        other = play(mixed, round_, draws.permutation(LANES))
        for episode, credit in one.items():
            assert np.array_equal(credit, other[episode])


@pytest.mark.parametrize("name", SPREADERS)
def test_a_cut_tells_a_model_what_a_time_limit_would(name: str) -> None:
    engines = [RewardEngine(made(name), LANES) for _ in range(2)]
    for engine in engines:
        engine.collect()
    cut, clocked = engines
    for engine in engines:
        for round_ in range(3):
            play(engine, round_, np.arange(LANES))
        engine.late()
    play(cut, 3, np.arange(LANES), until=LENGTH - 1)
    cut.cut()
    limited = drifts(LANES, seed=3, length=LENGTH)
    info = [{"is_success": float(i % 2)} for i in range(LANES)]
    clocked.begin(clocked.slots, np.stack([one.obs[0] for one in limited]), info)
    for t in range(LENGTH - 1):
        clocked.advance(
            slot=clocked.slots,
            action=np.stack([one.action[t] for one in limited]),
            next_obs=np.stack([one.obs[t + 1] for one in limited]),
            env_reward=np.array([one.env_reward[t] for one in limited]),
            terminated=np.zeros(LANES, dtype=bool),
            truncated=np.full(LANES, t == LENGTH - 2),
            info=info,
        )
    said = [sorted(engine.late(), key=lambda late: int(late.slot[0])) for engine in engines]
    assert len(said[0]) == LANES
    for one, other in zip(*said, strict=True):
        assert np.array_equal(one.tick, other.tick)
        assert np.array_equal(one.worth, other.worth)
    cut.cut()
    assert cut.late() == [], "there is nothing left to end"
