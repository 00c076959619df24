"""Controls that draw programs blindly from the grammar, with and without screening."""

from __future__ import annotations

from densegym.reward_models.authored.author import Context
from densegym.reward_models.authored.grammar import Grammar, program

TRIES = 50  # per wanted candidate


class Uniform:
    """Submits K uniform programs an iteration, whatever the checks say of them."""

    name = "random"
    asks = False

    def propose(self, context: Context) -> None:
        """Submit the candidates of one iteration."""
        grammar = Grammar(context.card, context.bank)
        for _ in range(context.candidates):
            context.submit(program(grammar.tree(context.rng)))


class ScreenedUniform:
    """Draws until K programs have passed every check and screen."""

    name = "random-screen"
    asks = False

    def propose(self, context: Context) -> None:
        """Submit the candidates of one iteration."""
        grammar, passed = Grammar(context.card, context.bank), 0
        for _ in range(TRIES * context.candidates):
            row = context.submit(program(grammar.tree(context.rng)))
            passed += row.ast_hash != "" and not row.duplicate_of and _passed_checks(row.screen)
            if passed == context.candidates:
                return


def _passed_checks(screen: object) -> bool:
    """Return whether the screens passed, whatever became of the candidate in training."""
    return isinstance(screen, dict) and screen.get("status") == "ok"
