"""What a step is worth to each agent, batched over games: arrays are (n, B), games last.

Games stand last because sums over a handful of agents are then sums of long rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from densegym.envs.market.params import Market, Payoff, Team
from densegym.reward_models.types import Float

_NOTHING = 1e-10  # an action no larger stops what all make together


def private(market: Market, payoff: Payoff, actions: Float, synergy: Any) -> Float:
    """Return π (n, B): what each keeps and earns by itself and its share of what all make.

    Args:
        market: the game.
        payoff: ``"paper"`` is the team payoff of TR-3.
        actions: (n, B) in [0, endowment].
        synergy: γ, (B,) or a number.
    """
    if payoff == "paper":
        return _team_private(market, _team(market), actions)
    kept = column(market.endowment) - actions + market.value * np.log1p(actions)
    payoffs: Float = kept + column(market.share) * (synergy * together(actions))
    return payoffs


def together(actions: Float) -> Float:
    """Return (B,) the geometric mean of all actions; exactly 0 where one of them is nothing."""
    mean = np.multiply.reduce(actions, axis=0) ** (1.0 / len(actions))
    return np.where(np.minimum.reduce(actions, axis=0) <= _NOTHING, 0.0, mean)


def loyal(market: Market, payoffs: Float, actions: Float, loyalty: Float) -> Float:
    """Return TR-3's utilities U (n, B): the loyal care for the others and feel less of the cost.

    Args:
        market: a game with a team.
        payoffs: π (n, B) of ``private`` under ``"paper"``.
        actions: (n, B).
        loyalty: l (n, B).
    """
    team, n = _team(market), len(actions)
    others = payoffs
    if team.power is None:  # a public good: what the others get of it beyond what they paid
        others = team.scale * actions.sum(axis=0) / n - actions
    mean = (others.sum(axis=0) - others) / (n - 1)
    felt: Float = payoffs + loyalty * (team.warmth * mean + team.relief * actions)
    return felt


def integrated(payoffs: Float, weights: Float) -> Float:
    """Return TR-1's utilities U_i = π_i + Σ_j w_ij π_j, (n, B), of weights (n, n, B)."""
    utilities: Float = payoffs + (weights * payoffs).sum(axis=1)
    return utilities


def welfare_instead(
    market: Market, payoff: Payoff, actions: Float, synergy: Any, instead: Float
) -> Float:
    """Return Σπ (K, n, B) had agent i alone taken another of K actions.

    Args:
        market: the game.
        payoff: whose π.
        actions: (n, B), what was done.
        synergy: γ, (B,) or a number.
        instead: (K, n, B) or what broadcasts to it, what agent i might have done.
    """
    n = len(actions)
    if payoff == "paper":
        team, total = _team(market), actions.sum(axis=0)
        return _team_welfare(market, team, total - actions + instead)
    own = -actions + market.value * np.log1p(actions)
    kept = sum(market.endowment) + (own.sum(axis=0) - own)
    others = np.ones_like(actions)
    for i in range(n):  # no division: another's action may be 0
        others[i] = np.multiply.reduce(np.delete(actions, i, axis=0), axis=0)
    idle = actions <= _NOTHING
    blocked = idle.sum(axis=0) > idle  # another one gives nothing
    mean = (others * instead) ** (1.0 / n)
    mean = np.where(blocked | (instead <= _NOTHING), 0.0, mean)
    made: Float = kept - instead + market.value * np.log1p(instead) + synergy * mean
    return made


def column(values: Any) -> Float:
    """Return numbers per agent as (n, 1)."""
    return np.array(values, dtype=np.float64)[:, None]


def _team(market: Market) -> Team:
    assert market.team is not None, "checked by the core"
    return market.team


def _team_private(market: Market, team: Team, actions: Float) -> Float:
    total: Float = actions.sum(axis=0)
    if team.power is None:
        return column(market.endowment) - actions + team.scale * total / len(actions)
    made: Float = team.scale * total**team.power / len(actions) - actions
    return made


def _team_welfare(market: Market, team: Team, total: Float) -> Float:
    if team.power is None:
        return sum(market.endowment) + (team.scale - 1.0) * total
    made: Float = team.scale * total**team.power - total
    return made
