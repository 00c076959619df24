"""What plays a shop: the episode as a player sees it, and what a player does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from densegym.envs.shop.session.core import ShopCore


@dataclass(slots=True)
class Shopper:
    """One episode in progress.

    Honest players read the instruction, the page and the state of ``core``; its goal's target,
    attributes and options are for those that say they are privileged.

    Attributes:
        core: the shop's state machine.
        max_steps: actions until truncation.
        lane: number of the slot in which it runs; slots are taken again.
        refused: why the last action was invalid; "" where it was not.
        notes: the player's own, empty at the beginning of an episode.
    """

    core: ShopCore
    max_steps: int
    lane: int = 0
    refused: str = ""
    notes: dict[str, Any] = field(default_factory=dict)


class Player(Protocol):
    """Chooses actions for shoppers that are in the same or in different shops."""

    def choose(self, shoppers: Sequence[Shopper]) -> Sequence[str]:
        """Return one action string per shopper."""
