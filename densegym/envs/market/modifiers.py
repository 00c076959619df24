"""What the reference multiplies rewards by: TR-3's bonuses and TR-4's reciprocity.

Arrays are (n, B), games last. Loyalty, its mean and every threshold on a rate are float32, as
there: ties at 0.6, 0.25, 0.5 and 0.8 decide up to three quarters of a reward.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from densegym.envs.market.params import Market, Reciprocity, Team
from densegym.envs.market.payoffs import column
from densegym.reward_models.types import Bool, Float, Int

_F4 = np.float32
_RECENT = 10  # steps whose mean rate is an agent's reputation for loyalty
_SLACK, _COOPERATES, _FREE_RIDES = _F4(0.2), _F4(0.5), _F4(0.3)
_LOYAL, _LEAVES, _RETURNS = _F4(0.6), _F4(0.15), _F4(0.4)
_CORE, _AWAY = 3, 5  # members that are never excluded further; steps of an exclusion


class TeamBook:
    """Loyalty l, recent rates and, of a coalition, who belongs to it; of B games.

    Attributes:
        loyalty: l (n, B) float32.
        excluded: (n, B) bool.
    """

    def __init__(self, market: Market, games: int) -> None:
        assert market.team is not None
        n = market.agents
        self._team: Team = market.team
        self._coalition = market.extra == "coalition"
        self._endowment = column(market.endowment).astype(_F4)
        self.loyalty = np.zeros((n, games), _F4)
        self.excluded = np.zeros((n, games), np.bool_)
        self._rates = np.zeros((_RECENT, n, games), _F4)
        self._joined = np.zeros((n, games), np.int64)  # who joined earlier has the smaller number
        self._timer = np.zeros((n, games), np.int64)

    def begin(self, games: Any, factor: Any = 1.0) -> None:
        """Start an episode in some games; ``factor`` (n, games) is the jitter of l."""
        start = 0.5 * self._team.capacity if self._team.capacity < 1.0 else 0.5
        self.loyalty[:, games] = np.minimum(start * np.asarray(factor), self._team.capacity)
        self.excluded[:, games] = False
        self._rates[:, :, games] = 0.0
        self._joined[:, games] = np.arange(len(self.loyalty))[:, None]
        self._timer[:, games] = 0

    def step(self, actions: Float, t: Int) -> None:
        """Take note of a step, the ``t``-th (B,) from 1, before ``factor`` is asked."""
        self.rate = actions.astype(_F4) / self._endowment
        self._recent = self._mean_rate(t)
        up = np.minimum(self.loyalty + _F4(0.02) * self.rate, _F4(self._team.capacity))
        down = np.maximum(self.loyalty - _F4(0.05) * (_COOPERATES - self.rate), _F4(0))
        self.loyalty = np.where(self.rate >= _COOPERATES, up, down).astype(_F4)
        if self._coalition:
            self._exclude()
            self._readmit()

    def factor(self) -> Float:
        """Return (n, B) what the reference multiplies rewards by."""
        if not self._team.bonuses:
            return np.where(self.rate < _SLACK, 0.9, 1.0)
        mean = self._recent.astype(np.float64)
        factor = np.where(self.rate < _FREE_RIDES, 0.5, 1.0)
        factor = factor * np.where(self._recent >= _LOYAL, 1.0 + 0.15 * mean, 1.0)
        factor = factor * np.where((self.rate >= _COOPERATES).all(axis=0), 1.2, 1.0)
        if self._coalition:
            enough = (~self.excluded).sum(axis=0) >= _CORE
            factor = factor * np.where(self.excluded, 0.5, np.where(enough, 1.1, 1.0))
        return factor

    def _mean_rate(self, t: Int) -> Any:
        """Return (n, B) float32 means of the latest rates, added in NumPy's order, oldest first."""
        full = t > _RECENT
        if full.all():
            self._rates[:-1] = self._rates[1:].copy()
            self._rates[-1] = self.rate
        else:
            self._rates[:-1, :, full] = self._rates[1:, :, full]
            self._rates[np.minimum(t, _RECENT) - 1, :, np.arange(len(t))] = self.rate.T
        total = _added(self._rates, t)
        return np.clip(total / np.minimum(t, _RECENT).astype(_F4), _F4(0), _F4(1))

    def _exclude(self) -> None:
        """Exclude the disloyal in the order in which they joined, down to the core."""
        games = np.arange(self.loyalty.shape[1])
        members = (~self.excluded).sum(axis=0)
        for agent in np.argsort(
            np.where(self.excluded, 10**9, self._joined), axis=0, kind="stable"
        ):
            out = (
                ~self.excluded[agent, games]
                & (self.loyalty[agent, games] < _LEAVES)
                & (members > _CORE)
            )
            self.excluded[agent[out], games[out]] = True
            self._timer[agent[out], games[out]] = _AWAY
            members = members - out

    def _readmit(self) -> None:
        self._timer[self.excluded] -= 1
        back = self.excluded & (self._timer <= 0) & (self.loyalty >= _RETURNS)
        last = self._joined.max(axis=0)
        self._joined = np.where(back, last + 1 + np.cumsum(back, axis=0), self._joined)
        self.excluded &= ~back


def _added(rates: Any, t: Int) -> Any:
    """Return the sum of (10, n, B) as NumPy adds rows: one by one below eight, else in pairs."""
    pairs = rates[0:8:2] + rates[1:8:2]
    total = (pairs[0] + pairs[1]) + (pairs[2] + pairs[3]) + rates[8] + rates[9]
    few = t < 8
    if few.any():
        total = np.where(few, np.add.accumulate(rates[:7], axis=0)[-1], total)
    return total


class HabitBook:
    """The latest actions of B games, and what TR-4 makes of a change of habit."""

    def __init__(self, market: Market, games: int) -> None:
        assert market.reciprocity is not None
        self._rule: Reciprocity = market.reciprocity
        self._past = np.zeros((self._rule.memory, market.agents, games))
        self._mean_endowment = float(np.mean(market.endowment))

    def begin(self, games: Any) -> None:
        """Start an episode in some games."""
        self._past[:, :, games] = 0.0

    def step(self, actions: Float, t: Int) -> None:
        """Take note of a step, the ``t``-th (B,) from 1, before ``factor`` is asked."""
        self._past[1:] = self._past[:-1].copy()
        self._past[0] = actions
        window = np.minimum(t - 1, self._rule.memory)
        counted: Bool = np.arange(self._rule.memory)[:, None] < window
        habit = (self._past * counted[:, None]).sum(axis=0) / np.maximum(window, 1)
        self._signal = np.tanh(self._rule.steepness * (actions - habit))

    def factor(self, trust: Float, depends: Float) -> Float:
        """Return (n, B) what rewards are multiplied by, of T' and D (n, n, B)."""
        rule = self._rule
        rate = rule.rate * depends**rule.power
        felt = rule.weight * trust * (1.0 + rule.dependence * depends) * rate
        answer = (felt * self._signal).sum(axis=1) / self._mean_endowment
        factor: Float = np.maximum(0.01, 1.0 + answer)
        return factor
