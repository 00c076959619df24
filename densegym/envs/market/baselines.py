"""Players that learn nothing, beside which every learner is shown; B games at once.

A constant policy beats the published learners of these worlds, so the best constant is part of
every table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from densegym.envs.market.core import MarketCore
from densegym.envs.market.params import MODES, Market, Mode, Payoff
from densegym.envs.market.statics import nash, optimum, stackelberg
from densegym.reward_models.types import Float, Int

Plan: TypeAlias = Callable[[MarketCore], Float]
"""From games to actions (B, n) in units of the endowment; asked at every step."""
LEVELS = 101  # constants, 0 % to 100 % of every endowment
_POPULATION, _ELITE, _GENERATIONS = 96, 12, 40  # of the search for the best sequence


class Played(NamedTuple):
    """What B games came to.

    Attributes:
        returns: by mode, (B, n) sums of what it pays.
        welfare: (B,) sum of Σπ.
        length: (B,) steps.
        trust: (B,) mean trust in the end.
    """

    returns: dict[Mode, Float]
    welfare: Float
    length: Int
    trust: Float


def play(core: MarketCore, plan: Plan, rngs: Any = None) -> Played:
    """Play one episode in every game."""
    core.begin(rngs=rngs)
    returns: dict[Mode, Float] = {m: np.zeros((core.games, core.market.agents)) for m in MODES}
    welfare, length = np.zeros(core.games), np.zeros(core.games, np.int64)
    trust, live = core.mean_trust(), np.ones(core.games, np.bool_)
    while live.any():
        step = core.step(plan(core), idle=~live)
        for mode in MODES:
            returns[mode] += np.where(live[:, None], core.paid(mode), 0.0)
        welfare += np.where(live, core.welfare, 0.0)
        length += live
        trust = np.where(live, core.mean_trust(), trust)
        live &= ~(step.terminated | step.truncated)
    return Played(returns, welfare, length, trust)


def constants(core: MarketCore) -> Float:
    """Return the plan of 101 games: game k plays k % of every endowment."""
    return np.linspace(0.0, 1.0, LEVELS)[:, None] * core.endowment.T


def constant(share: float) -> Plan:
    """Return the plan that always plays one share of every endowment."""
    return lambda core: np.tile(share * core.endowment.T, (core.games, 1))


def profile(actions: Float) -> Plan:
    """Return the plan that always plays (n,) actions."""
    return lambda core: np.tile(actions, (core.games, 1))


def tit_for_tat(core: MarketCore, *, absolute: bool = False) -> Float:
    """Play half, then the share that the next agent played; ``absolute``: its amount, as there."""
    scale: Any = 1.0 if absolute else core.endowment.T
    own = core.actions.T / scale
    copied = np.roll(own, -1, axis=1) * scale
    return np.where(core.t[:, None] == 0, 0.5 * core.endowment.T, copied)


class GrimTrigger:
    """Plays a share until anybody gives less than the baseline.

    Args:
        share: of every endowment.
        punishment: (n,) actions from then on.

    Attributes:
        angry: (B,) bool games in which somebody did; None before the first step.
    """

    def __init__(self, share: float, punishment: Float) -> None:
        self._share, self._punishment = share, punishment
        self.angry: Any = None

    def __call__(self, core: MarketCore) -> Float:
        """Return actions (B, n)."""
        if self.angry is None:
            self.angry = np.zeros(core.games, np.bool_)
        below = (core.actions < np.array(core.market.baseline)[:, None]).any(axis=0)
        self.angry = (core.t > 0) & (self.angry | below)
        return np.where(self.angry[:, None], self._punishment, self._share * core.endowment.T)


def uniform(seed: int = 0) -> Plan:
    """Return the plan that draws every action."""
    rng = np.random.default_rng(seed)
    return lambda core: rng.random((core.games, core.market.agents)) * core.endowment.T


def best_sequence(
    market: Market, *, mode: Mode, payoff: Payoff | None = None, start: float = 0.5, seed: int = 0
) -> tuple[Float, float]:
    """Search the best sequence of shares, the same for all agents, by the cross-entropy method.

    Args:
        market: the game.
        mode: whose sum over agents counts.
        payoff: None is the market's own.
        start: share that the search starts around.
        seed: of the search.

    Returns:
        (horizon,) shares, and the sum over agents of what the mode pays for them.
    """
    rng = np.random.default_rng(seed)
    mean, spread = np.full(market.horizon, start), np.full(market.horizon, 0.2)
    core = MarketCore(market, _POPULATION, mode=mode, payoff=payoff, jitter=0.0)
    best, worth = mean, -np.inf
    for _ in range(_GENERATIONS):
        drawn = rng.normal(mean, spread, (_POPULATION, market.horizon))
        tried = np.clip(drawn, 0.0, 1.0)
        tried[0], tried[1] = mean, best

        def plan(core: MarketCore, tried: Float = tried) -> Float:
            now = np.minimum(core.t, market.horizon - 1)
            return tried[np.arange(_POPULATION), now][:, None] * core.endowment.T

        totals = play(core, plan).returns[mode].sum(axis=1)
        order = np.argsort(totals)[::-1]
        if totals[order[0]] > worth:
            best, worth = tried[order[0]].copy(), float(totals[order[0]])
        elite = tried[order[:_ELITE]]
        mean, spread = elite.mean(axis=0), elite.std(axis=0) + 1e-3
    return best, worth


def best_constant(core_of: Callable[[int], MarketCore], mode: Mode) -> tuple[int, float]:
    """Return the best of 101 constants, in percent, and the sum over agents of its return."""
    totals = play(core_of(LEVELS), constants).returns[mode].sum(axis=1)
    best = int(np.argmax(totals))
    return best, float(totals[best])


def roster(market: Market, payoff: Payoff | None, share: float) -> dict[str, Plan]:
    """Return the baselines by name, but for constants and the best sequence.

    Args:
        market: the game.
        payoff: None is the market's own.
        share: of the best constant, which grim triggers play until they are crossed.
    """
    alone = nash(market, payoff)
    return {
        "nash": profile(alone.actions),
        "integrated nash": profile(nash(market, payoff, "integrated").actions),
        "stackelberg": profile(stackelberg(market, payoff).actions),
        "optimum": profile(optimum(market, payoff).actions),
        "tit-for-tat": tit_for_tat,
        "grim-trigger": GrimTrigger(share, alone.actions),
        "random": uniform(),
        "nothing": constant(0.0),
        "everything": constant(1.0),
    }
