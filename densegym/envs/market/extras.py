"""What happens in three markets beside the payoffs: agreements, tiers of reputation, partners.

Arrays are (n, B), games last. Reputations and their thresholds are float32, as in the reference.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from densegym.envs.market.params import Market
from densegym.envs.market.payoffs import column
from densegym.reward_models.types import Float

_F4 = np.float32
_CLOSE, _FINE = 10.0, 3.0  # how far apart actions agree; what a unit of a breach costs
_TIERS = ((0.8, 1.3), (0.5, 1.0), (0.25, 0.7), (-1.0, 0.4))
_HABIT, _NEW = _F4(0.9), _F4(0.1)


class Agreement:
    """Actions within 10 of each other are agreed on; straying by more than that is fined.

    Attributes:
        shown: (n + 1, B), what was agreed before the latest step, zeros without, and whether.
    """

    def __init__(self, market: Market, games: int, *, kept: bool) -> None:
        self._agreed = np.zeros((market.agents, games))
        self._there = np.zeros(games, np.bool_)
        self._scale = 1.0 / column(market.endowment)
        self._endowment = column(market.endowment)
        self.shown = np.zeros((market.agents + 1, games))

    def begin(self, games: Any) -> None:
        """Forget agreements in some games."""
        self._agreed[:, games], self._there[games] = 0.0, False
        self.shown[:, games] = 0.0

    def step(self, raw: Float) -> tuple[Any, Any]:
        """Return the factor 1 and fines (n, B), then take note of what was agreed."""
        acted = np.clip(raw, 0.0, self._endowment)
        self.shown = np.concatenate([self._agreed, self._there[None]])
        away = np.abs(acted - self._agreed)
        breached = self._there & (away > _CLOSE).any(axis=0)
        agree = np.abs(acted[0] - acted[1]) <= _CLOSE
        self._agreed = np.where(agree, acted, self._agreed)
        self._there = self._there | agree
        return 1.0, np.where(breached, _FINE * away, 0.0)

    def features(self) -> Float:
        """Return (n + 1, B) what is agreed in shares of the endowment, and whether."""
        return np.concatenate([self._agreed * self._scale, self._there[None]])


class Tiers:
    """A public reputation decides what a reward is worth.

    Attributes:
        shown: (n, B), reputations before the latest step.
    """

    def __init__(self, market: Market, games: int, *, kept: bool) -> None:
        self._endowment = column(market.endowment)
        self._clip = not kept
        self._standing = np.full((market.agents, games), 0.5, _F4)
        self.shown = self._standing.astype(np.float64)

    def begin(self, games: Any) -> None:
        """Start at one half in some games."""
        self._standing[:, games] = 0.5
        self.shown[:, games] = 0.5

    def step(self, raw: Float) -> tuple[Any, Any]:
        """Return factors (n, B), 1.3, 1, 0.7 or 0.4, and no fine."""
        acted = np.clip(raw, 0.0, self._endowment) if self._clip else raw
        self.shown = self._standing.astype(np.float64)
        rate = acted.astype(_F4) / self._endowment.astype(_F4)
        moved = self._standing + _F4(0.1) * (rate - _F4(0.5))
        self._standing = np.clip(moved, _F4(0), _F4(1)).astype(_F4)
        tiers = [self._standing >= _F4(low) for low, _ in _TIERS]
        return np.select(tiers, [worth for _, worth in _TIERS]), 0.0

    def features(self) -> Float:
        """Return (n, B) reputations."""
        return self._standing.astype(np.float64)


class Partners:
    """A running mean of everybody's rate that everybody sees; the reference keeps it for good.

    Attributes:
        shown: (n, B), means before the latest step.
    """

    def __init__(self, market: Market, games: int, *, kept: bool) -> None:
        self._endowment, self._kept = column(market.endowment).astype(_F4), kept
        self._mean = np.zeros((market.agents, games), _F4)
        self.shown = np.zeros((market.agents, games))

    def begin(self, games: Any) -> None:
        """Start at 0 in some games."""
        if not self._kept:
            self._mean[:, games] = 0.0
        self.shown[:, games] = self._mean[:, games]

    def step(self, raw: Float) -> tuple[Any, Any]:
        """Take note of the rates; return the factor 1 and no fine."""
        self.shown = self._mean.astype(np.float64)
        rate = raw.astype(_F4) / self._endowment
        moved = _HABIT * self._mean + _NEW * rate
        self._mean = np.asarray(moved if self._kept else np.clip(moved, 0, 1), _F4)
        return 1.0, 0.0

    def features(self) -> Float:
        """Return (n, B) means."""
        return self._mean.astype(np.float64)
