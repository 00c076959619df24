"""What players that learn nothing earn in every market, in every mode, beside the published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from densegym.envs.market.baselines import (
    LEVELS,
    Plan,
    best_sequence,
    constants,
    play,
    roster,
    tit_for_tat,
)
from densegym.envs.market.core import MarketCore
from densegym.envs.market.params import MARKETS, MODES, Market, Mode, Payoff
from densegym.errors import unknown

POLICIES = ("constants", "tft", "grim", "random", "nash", "stackelberg", "optimum", "sequence")
_PLANS = {
    "tft": "tit-for-tat",
    "grim": "grim-trigger",
    "random": "random",
    "nash": "nash",
    "stackelberg": "stackelberg",
    "optimum": "optimum",
}
_RANDOM_GAMES = 100
PUBLISHED = {
    "LoyaltyTeam": ("ISAC", 124_120.0, "Oracle_Loyalty", 123_359.0),
    "PublicGoods": ("ISAC", 183_372.0, "Oracle_Loyalty", 182_166.0),
    "CoalitionFormation": ("ISAC", 424_560.0, "Oracle_Loyalty", 421_152.0),
    "TeamProduction": ("ISAC", 90_548.0, "Oracle_Loyalty", 89_390.0),
    "ApacheProject": ("ISAC", 5_539_736.0, "Oracle_Loyalty", 5_484_826.0),
}
"""Best learner and oracle of the reference's tables, sum over agents, integrated mode."""
_TR4 = (
    "ReciprocalDilemma",
    "GiftExchange",
    "IndirectReciprocity",
    "GraduatedSanction",
    "AppleAppStore",
)
PUBLISHED_MEANS = {
    "TR-3": ("ISAC", 1_272_467.0, tuple(PUBLISHED)),
    "TR-4": ("COMA", 125_819.0, _TR4),
}
"""The winner of a family in its tables: the mean over the family's worlds of the same sums."""


@dataclass(frozen=True, slots=True)
class Row:
    """One player in one market.

    Attributes:
        world: the market.
        player: who plays; constants carry their level in percent.
        returns: by mode, the sum over agents of the return.
        welfare: Σπ per agent and step of the horizon.
        length: steps.
        trust: mean trust at the end.
    """

    world: str
    player: str
    returns: dict[str, float]
    welfare: float
    length: float
    trust: float

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def table(
    worlds: Sequence[str],
    policies: Sequence[str],
    *,
    payoff: Payoff | None = None,
    on_row: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """Return what players earn, jitter 0.

    Args:
        worlds: names of markets; ``"all"`` is every one.
        policies: see ``POLICIES``.
        payoff: ``"reference"`` also for the worlds of TR-3; None is each market's own.
        on_row: told about every row.

    Raises:
        UnknownNameError: no such market or player; names the closest.
    """
    for policy in policies:
        if policy not in POLICIES:
            raise unknown("player", policy, POLICIES)
    names = list(MARKETS) if list(worlds) == ["all"] else list(worlds)
    for name in names:
        if name not in MARKETS:
            raise unknown("market", name, MARKETS)
    rows = []
    for name in names:
        for policy in policies:
            for row in _rows(MARKETS[name], policy, payoff):
                rows.append(row)
                on_row(row)
    return rows


def beside_published(rows: Sequence[Row]) -> list[str]:
    """Return a line per published ranking whose worlds were shown: its winner, our best constant.

    Args:
        rows: constants of the reference's payoffs, among others.
    """
    best: dict[str, float] = {}
    for row in rows:
        if row.player.startswith("constant"):
            best[row.world] = max(best.get(row.world, -np.inf), row.returns["integrated"])
    lines = []
    for name, (learner, paid, oracle, own) in PUBLISHED.items():
        if name in best:
            lines.append(
                f"{name}: published {learner} {paid:,.0f}, {oracle} {own:,.0f}; best constant "
                f"{best[name]:,.0f}"
            )
    for family, (learner, paid, worlds) in PUBLISHED_MEANS.items():
        if set(worlds) <= set(best):
            mean = float(np.mean([best[name] for name in worlds]))
            lines.append(
                f"{family}, mean over worlds: published {learner} {paid:,.0f}; best constant "
                f"{mean:,.0f}"
            )
    return lines


def _rows(market: Market, policy: str, payoff: Payoff | None) -> list[Row]:
    kind = payoff if market.team is not None else None
    share = _best_level(market, kind, "private") / 100
    if policy == "constants":
        chosen = {mode: _best_level(market, kind, mode) for mode in MODES}
        levels = dict.fromkeys((*chosen.values(), 0, 100))
        return [_constant(market, kind, level, chosen) for level in levels]
    if policy == "sequence":
        shares, _ = best_sequence(market, mode="private", payoff=kind, start=share)
        return [_play(market, kind, "best sequence (private)", _follow(shares))]
    if policy == "tft":
        by_amount: Plan = lambda core: tit_for_tat(core, absolute=True)  # noqa: E731
        share_row = _play(market, kind, "tit-for-tat", tit_for_tat)
        return [share_row, _play(market, kind, "tit-for-tat by amount", by_amount)]
    games = _RANDOM_GAMES if policy == "random" else 1
    plan = roster(market, kind, share)[_PLANS[policy]]
    return [_play(market, kind, _PLANS[policy], plan, games)]


def _best_level(market: Market, payoff: Payoff | None, mode: Mode) -> int:
    core = MarketCore(market, LEVELS, mode=mode, payoff=payoff, jitter=0.0)
    return int(np.argmax(play(core, constants).returns[mode].sum(axis=1)))


def _constant(market: Market, payoff: Payoff | None, level: int, chosen: dict[Mode, int]) -> Row:
    best = [mode for mode, found in chosen.items() if found == level]
    name = f"constant {level} %" + (f" (best {', '.join(best)})" if best else "")
    share = level / (LEVELS - 1)
    return _play(
        market, payoff, name, lambda core: np.tile(share * core.endowment.T, (core.games, 1))
    )


def _follow(shares: Any) -> Plan:
    last = len(shares) - 1
    return lambda core: shares[np.minimum(core.t, last)][:, None] * core.endowment.T


def _play(market: Market, payoff: Payoff | None, name: str, plan: Plan, games: int = 1) -> Row:
    core = MarketCore(market, games, payoff=payoff, jitter=0.0)
    seen = play(core, plan)
    return Row(
        world=market.name,
        player=name,
        returns={mode: float(seen.returns[mode].sum(axis=1).mean()) for mode in MODES},
        welfare=float(seen.welfare.mean()) / (market.horizon * market.agents),
        length=float(seen.length.mean()),
        trust=float(seen.trust.mean()),
    )
