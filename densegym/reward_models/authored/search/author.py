"""What an author of reward programs does: propose an iteration.

An author holds no state between iterations: all it knows is in the context, so a search that was
killed goes on from its ledger as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from densegym.errors import DenseGymError, unknown
from densegym.reward_models.authored.search.context import Context


class Author(Protocol):
    """Writes the candidates of one iteration."""

    name: str
    """As typed after ``--author``."""
    asks: bool
    """Whether it needs a language model."""

    def check_options(self, given: Mapping[str, Any]) -> None:
        """Refuse options that it does not have, or of the wrong type, before anything begins.

        Raises:
            DenseGymError: says which it has, or what was expected.
        """

    def propose(self, context: Context) -> None:
        """Submit the candidates of one iteration through ``context.submit``."""


def refuse_unknown_options(given: Mapping[str, Any], author: str, known: Collection[str]) -> None:
    """Raise an error for an option that the author does not have.

    Raises:
        DenseGymError: names the closest, or says that there are none.
    """
    for name in given:
        if not known:
            raise DenseGymError(f'the author {author} takes no options; given "{name}"')
        if name not in known:
            raise unknown(f"option of {author}", name, known)
