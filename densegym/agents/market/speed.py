"""How many steps of games a CPU second holds."""

from __future__ import annotations

import time

import numpy as np

from densegym.envs.market.core import MarketCore
from densegym.envs.market.params import MARKETS

REFERENCE = {2: 5_200.0, 6: 550.0, 40: 27.0}
"""Game-steps per CPU second of the reference by number of agents, measured 2026-11-28."""
CASES = (
    ("TrustDilemma", 256),
    ("TrustDilemma", 1),
    ("DynamicPartnerSelection", 256),
    ("ApacheProject", 64),
)


def measure(rounds: int = 5, seconds: float = 0.3) -> list[dict[str, float | str]]:
    """Return the median speed of each case in game-steps per CPU second, over ``rounds``.

    Args:
        rounds: of each case.
        seconds: CPU seconds of a round, about.
    """
    told: list[dict[str, float | str]] = []
    for name, games in CASES:
        core = MarketCore(MARKETS[name], games, jitter=0.0)
        half = np.tile(0.5 * core.endowment.T, (games, 1))
        speeds = [_round(core, half, seconds) for _ in range(rounds)]
        median, agents = float(np.median(speeds)), core.market.agents
        told.append(
            {
                "world": name,
                "agents": agents,
                "games": games,
                "steps_per_cpu_s": round(median),
                "times_reference": round(median / REFERENCE[agents], 1),
            }
        )
    return told


def _round(core: MarketCore, actions: np.ndarray, seconds: float) -> float:
    core.begin()
    steps, started = 0, time.process_time()
    while True:
        told = core.step(actions)
        steps += core.games
        if told.truncated[0] or told.terminated[0]:
            core.begin()
            spent = time.process_time() - started
            if spent > seconds:
                return steps / spent
