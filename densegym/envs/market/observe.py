"""What an agent sees of its game: numbers of order one, float32, a row per game and agent."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from densegym.envs.market.core import Api, MarketCore
from densegym.envs.market.params import Market
from densegym.errors import unknown
from densegym.reward_models.types import Float

Visibility: TypeAlias = Literal["full", "row", "minimal"]
VISIBILITIES: tuple[Visibility, ...] = get_args(Visibility)


class Observer:
    """Writes observations of B games, (B, n, D) float32.

    In order: own share of the endowment; the others' (``minimal``: their mean); trust, damage and
    dependence (``full``: of every pair, as rows that begin with the agent; ``row``: its own;
    ``minimal``: its mean trust); the share of the horizon that has passed; what the market adds
    (what was agreed, reputations); in TR-3's worlds loyalty and whether excluded; one-hot agent.
    Others come in turn from the next agent on, so that agents of one kind see alike.

    Args:
        core: whose games.
        visibility: see above.

    Raises:
        UnknownNameError: another visibility.
    """

    def __init__(self, core: MarketCore, visibility: Visibility = "row") -> None:
        if visibility not in VISIBILITIES:
            raise unknown("visibility", str(visibility), VISIBILITIES)
        n = core.market.agents
        self._core, self._visibility = core, visibility
        turn = (np.arange(n)[:, None] + np.arange(n)) % n  # (n, n), row i begins with i
        self._others = turn[:, 1:]
        rows = turn[:, :, None], turn[:, None, :]
        self._pairs = tuple(np.broadcast_to(index, (n, n, n)).reshape(n, -1) for index in rows)
        self._one_hot = np.eye(n)[:, :, None]
        self._turn = turn
        self.width = sum(part.shape[1] for part in self._parts())

    def __call__(self) -> Any:
        """Return what every agent of every game sees now."""
        joined = np.concatenate(self._parts(), axis=1)  # (n, D, B)
        return np.ascontiguousarray(joined.transpose(2, 0, 1), dtype=np.float32)

    def _parts(self) -> list[Any]:
        """Return the columns as (n, d, B)."""
        core, market = self._core, self._core.market
        n, games = market.agents, core.games
        shares = core.actions / core.endowment
        others = shares[self._others]  # (n, n − 1, B)
        own = np.arange(n)[:, None]
        if self._visibility == "minimal":
            trusted = core.trust[own, self._others].mean(axis=1, keepdims=True)
            parts = [shares[:, None], others.mean(axis=1, keepdims=True), trusted]
        elif self._visibility == "row":
            kinds = (core.trust, core.damage, core.depends)
            parts = [shares[:, None], others, *(kind[own, self._others] for kind in kinds)]
        else:
            kinds = (core.trust, core.damage, core.depends)
            parts = [shares[:, None], others, *(kind[self._pairs] for kind in kinds)]
        passed = core.t / market.horizon
        parts.append(np.broadcast_to(passed, (n, 1, games)))
        if core.extra is not None:
            told = core.extra.features()
            parts.append(told[self._turn])
            if len(told) > n:  # whether anything is agreed
                parts.append(np.broadcast_to(told[n:], (n, 1, games)))
        if core.team is not None:
            parts += [core.team.loyalty[:, None], core.team.excluded[:, None]]
        parts.append(np.broadcast_to(self._one_hot, (n, n, games)))
        return parts


def reference_observation(core: MarketCore, api: Api, agent: int, game: int = 0) -> Float:
    """Return what the reference's interface shows, to one agent where it is parallel."""
    actions, trust = core.actions[:, game], core.trust[..., game]
    damage, depends, t = core.damage[..., game], core.depends[..., game], core.t[game]
    if api == "gym":
        extra: Any = [] if core.extra is None else core.extra.shown[:, game]
        return np.concatenate([actions, trust.ravel(), damage.ravel(), depends.ravel(), [t], extra])
    others = np.arange(len(actions)) != agent
    own = [actions[[agent]], actions[others], trust.ravel(), damage[agent]]
    seen = [damage[others].mean(axis=1), depends[agent], [t / core.market.horizon]]
    return np.concatenate([*own, *seen])


def reference_width(market: Market) -> int:
    """Return how many numbers the reference shows each agent of its parallel interface."""
    return market.agents**2 + 4 * market.agents
