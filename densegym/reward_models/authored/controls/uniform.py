"""Controls that draw programs blindly from the grammar, with and without screening."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from densegym.reward_models.authored.controls.grammar import Grammar, program
from densegym.reward_models.authored.search.author import refuse_unknown_options
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.context import Context

TRIES = 50  # per wanted candidate


class Uniform:
    """Submits K uniform programs an iteration, whatever the checks say of them."""

    name = "random"
    asks = False

    def check_options(self, given: Mapping[str, Any]) -> None:
        """Refuse what it does not take; see ``Author``."""
        refuse_unknown_options(given, self.name, ())

    def propose(self, context: Context) -> None:
        """Submit the candidates of one iteration."""
        grammar = Grammar(context.card, context.bank)
        for _ in range(context.candidates):
            context.submit(program(grammar.tree(context.rng)))


class ScreenedUniform:
    """Draws until K programs have passed every check and screen."""

    name = "random-screen"
    asks = False

    def check_options(self, given: Mapping[str, Any]) -> None:
        """Refuse what it does not take; see ``Author``."""
        refuse_unknown_options(given, self.name, ())

    def propose(self, context: Context) -> None:
        """Submit the candidates of one iteration."""
        grammar = Grammar(context.card, context.bank)
        until_passing(context, lambda: context.submit(program(grammar.tree(context.rng))))


def until_passing(context: Context, submit: Callable[[], Row]) -> None:
    """Submit until K new programs have passed every check and screen, 50 tries each at most."""
    passed = 0
    for _ in range(TRIES * context.candidates):
        row = submit()
        # Of a search that goes on, the row may say more: what became of it in training.
        passed += not row.duplicate_of and dict(row.screen).get("status") == "ok"
        if passed == context.candidates:
            return
