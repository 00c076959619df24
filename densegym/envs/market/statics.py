"""Equilibria and optima of one step, solved numerically: what a dilemma's numbers are made of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from densegym.envs.market import payoffs
from densegym.envs.market.params import Market, Mode, Payoff
from densegym.reward_models.types import Float

_GRID, _LEADER = 2001, 601  # levels of a share, and of a leader's action
_FEW = 10  # agents; a leader of more has a tenth of the levels
_LEVELS, _ZOOMS = 61, 4  # of the grids that close in on a best response
_ROUNDS, _BISECTIONS, _STILL = 200, 40, 1e-6
_LOYALTY = 0.5


class Profile(NamedTuple):
    """One action each.

    Attributes:
        actions: (n,) in units of the endowment.
        payoffs: (n,) π, or U where an equilibrium of integrated utilities was asked for.
        welfare: Σπ.
    """

    actions: Float
    payoffs: Float
    welfare: float


@lru_cache(maxsize=256)
def nash(market: Market, payoff: Payoff | None = None, mode: Mode = "private") -> Profile:
    """Return the equilibrium of one step: by best responses in turn, or by symmetry.

    Integrated utilities are those at full trust, and at loyalty one half under ``"paper"``.

    Args:
        market: the game.
        payoff: whose π; None is the market's own.
        mode: ``"private"``, or ``"integrated"`` for equilibria of U.
    """
    kind = payoff or market.payoff
    start = 0.3 * payoffs.column(market.endowment)
    actions = _settle(market, kind, mode, start, range(market.agents))
    return _profile(market, kind, mode, actions)


@lru_cache(maxsize=256)
def stackelberg(market: Market, payoff: Payoff | None = None, mode: Mode = "private") -> Profile:
    """Return what agent 0 chooses if it moves first and the others settle on best responses."""
    kind = payoff or market.payoff
    count = _LEADER if market.agents <= _FEW else 1 + _LEADER // 10
    start = np.repeat(0.3 * payoffs.column(market.endowment), count, axis=1)
    start[0] = np.linspace(0.0, market.endowment[0], count)
    settled = _settle(market, kind, mode, start, range(1, market.agents))
    best = int(np.argmax(_utilities(market, kind, mode, settled)[0]))
    return _profile(market, kind, mode, settled[:, [best]])


@lru_cache(maxsize=256)
def optimum(market: Market, payoff: Payoff | None = None) -> Profile:
    """Return the profile of the largest Σπ that single changes from equal shares lead to."""
    kind = payoff or market.payoff
    endowment = payoffs.column(market.endowment)
    shares = np.linspace(0.0, 1.0, _GRID)
    total = payoffs.private(market, kind, endowment * shares, market.synergy).sum(axis=0)
    actions = endowment * shares[int(np.argmax(total))]
    for _ in range(_ROUNDS):
        before = actions
        for i in range(market.agents):
            instead = (shares * market.endowment[i])[:, None, None]
            made = payoffs.welfare_instead(market, kind, actions, market.synergy, instead)
            actions = actions.copy()
            actions[i] = instead[int(np.argmax(made[:, i, 0])), 0, 0]
        if np.abs(actions - before).max() < _STILL:
            break
    return _profile(market, kind, "private", actions)


def _settle(
    market: Market, payoff: Payoff, mode: Mode, start: Float, movers: Sequence[int]
) -> Float:
    """Return (n, B) actions from which no mover gains by moving, from (n, B) on."""
    if _alike(market):
        return _settle_alike(market, payoff, mode, start, movers)
    actions = start.copy()
    for _ in range(_ROUNDS):
        before = actions.copy()
        for i in movers:
            actions[i] = _best_response(market, payoff, mode, actions, i)
        if np.abs(actions - before).max() < _STILL:
            break
    return actions


def _settle_alike(
    market: Market, payoff: Payoff, mode: Mode, start: Float, movers: Sequence[int]
) -> Float:
    """Return the same where movers cannot be told apart: their action is its own best response.

    Found by bisection; in turn, many who make up for each other would swing for ever.
    """
    actions = start.copy()
    low, high = np.zeros(start.shape[1]), np.full(start.shape[1], market.endowment[0])
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        actions[list(movers)] = middle
        more = _best_response(market, payoff, mode, actions, movers[0]) > middle
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    ends = np.where(
        high >= market.endowment[0], high, np.where(low <= 0.0, low, 0.5 * (low + high))
    )
    actions[list(movers)] = ends
    return actions


def _best_response(market: Market, payoff: Payoff, mode: Mode, actions: Float, agent: int) -> Float:
    """Return (B,) the best action of one agent, by grids that close in on it."""
    games, endowment = actions.shape[1], market.endowment[agent]
    low, high = np.zeros(games), np.full(games, endowment)
    best, count = low, _LEVELS
    for _ in range(_ZOOMS):
        levels = np.linspace(low, high, count)  # (K, B)
        tried = np.repeat(actions[:, None], count, axis=1)
        tried[agent] = levels
        flat = tried.reshape(len(actions), -1)
        worth = _utilities(market, payoff, mode, flat)[agent].reshape(count, games)
        best = levels[np.argmax(worth, axis=0), np.arange(games)]
        width = (high - low) / (count - 1)
        low, high = np.maximum(best - width, 0.0), np.minimum(best + width, endowment)
    return best


def _utilities(market: Market, payoff: Payoff, mode: Mode, actions: Float) -> Float:
    own = payoffs.private(market, payoff, actions, market.synergy)
    if mode == "private":
        return own
    if payoff == "paper":
        return payoffs.loyal(market, own, actions, np.full_like(own, _LOYALTY))
    return payoffs.integrated(own, np.array(market.depends)[:, :, None])


def _profile(market: Market, payoff: Payoff, mode: Mode, actions: Float) -> Profile:
    own = payoffs.private(market, payoff, actions, market.synergy)
    told = _utilities(market, payoff, mode, actions)
    return Profile(actions[:, 0], told[:, 0], float(own.sum()))


def _alike(market: Market) -> bool:
    """Return whether agents cannot be told apart, so that one best response is everybody's."""
    off = {d for i, row in enumerate(market.depends) for j, d in enumerate(row) if i != j}
    return all(len(set(v)) == 1 for v in (market.endowment, market.share)) and len(off) == 1
