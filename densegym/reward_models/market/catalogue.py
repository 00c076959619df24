"""The rewards of markets by name; nothing heavy is imported here."""

from __future__ import annotations

from typing import Any

from densegym.reward_models.catalogue import RewardEntry

_MARKET = "densegym.reward_models.market"


def _row(name: str, target: str, summary: str, **more: Any) -> RewardEntry:
    return RewardEntry(f"market/{name}", f"{_MARKET}.{target}", summary, asks=("market",), **more)


CATALOGUE = (
    _row("private", "payoffs:build_private", "what an agent keeps and earns by itself"),
    _row("integrated", "payoffs:build_integrated", "private payoffs, and others' by trust"),
    _row("cooperative", "payoffs:build_cooperative", "the mean of all utilities, to everybody"),
    _row("difference", "payoffs:DifferenceReward", "welfare less what it were without the act"),
    _row("coma", "payoffs:ComaReward", "welfare less what it usually is by this agent's doing"),
    _row("trust-potential", "trust:TrustPotential", "rises of trust, as shaping", mode="shape"),
)
