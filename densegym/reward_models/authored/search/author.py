"""What an author of reward programs does: propose an iteration.

An author holds no state between iterations: all it knows is in the context, so a search that was
killed goes on from its ledger as if nothing had happened.
"""

from __future__ import annotations

from typing import Protocol

from densegym.reward_models.authored.search.context import Context


class Author(Protocol):
    """Writes the candidates of one iteration."""

    name: str
    """As typed after ``--author``."""
    asks: bool
    """Whether it needs a language model."""

    def propose(self, context: Context) -> None:
        """Submit the candidates of one iteration through ``context.submit``."""
