"""Genetic programming over the grammar: the control that also learns from its trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from densegym.reward_models.authored.controls.grammar import Grammar, Tree, program, tree_of
from densegym.reward_models.authored.controls.uniform import ScreenedUniform, until_passing
from densegym.reward_models.authored.search.author import refuse_unknown_options
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.context import Context

POPULATION, TOURNAMENT, CROSSOVER, PARSIMONY = 32, 3, 0.5, 0.01


class Genetic:
    """Tournaments of three, crossover by swapping terms, mutation; elites stay in the ledger.

    The first iteration is drawn as by ``random-screen``. The population is the best 32 trained
    rows so far, ranked by the rung they reached and by F less 0.01 a term.
    """

    name = "gp"
    asks = False

    def check_options(self, given: Mapping[str, Any]) -> None:
        """Refuse what it does not take; see ``Author``."""
        refuse_unknown_options(given, self.name, ())

    def propose(self, context: Context) -> None:
        """Submit the candidates of one iteration."""
        parents = _population(context.rows)
        if not parents:
            ScreenedUniform().propose(context)
            return
        grammar = Grammar(context.card, context.bank)

        def bred() -> Row:
            tree, born_of = _child(grammar, parents, context.rng)
            return context.submit(program(tree), parents=born_of, note="crossover, mutation")

        until_passing(context, bred)


def _population(rows: Sequence[Row]) -> list[tuple[Row, Tree]]:
    kept = [(row, tree) for row in rows if row.rungs and (tree := tree_of(row.source))]
    kept.sort(key=lambda pair: _merit(*pair), reverse=True)
    return kept[:POPULATION]


def _merit(row: Row, tree: Tree) -> tuple[int, float]:
    return len(row.rungs), float(row.rungs[-1]["F_mean"]) - PARSIMONY * len(tree)


def _child(
    grammar: Grammar, parents: Sequence[tuple[Row, Tree]], rng: np.random.Generator
) -> tuple[Tree, tuple[str, ...]]:
    first, tree = _selected(parents, rng)
    if rng.random() >= CROSSOVER:
        return grammar.mutated(tree, rng), (first.id,)
    second, other = _selected(parents, rng)
    crossed = grammar.crossed(tree, other, rng)
    return grammar.mutated(crossed, rng), tuple(dict.fromkeys((first.id, second.id)))


def _selected(parents: Sequence[tuple[Row, Tree]], rng: np.random.Generator) -> tuple[Row, Tree]:
    """Return the best of three drawn; the parents come best first."""
    return parents[int(rng.integers(len(parents), size=TOURNAMENT).min())]
