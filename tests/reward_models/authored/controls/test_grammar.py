"""The grammar of the controls: what it prints is what it means, on every robot task."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.envs.tasks import worlds
from densegym.reward_models.authored.controls.genetic import Genetic
from densegym.reward_models.authored.controls.grammar import Grammar, program, tree_of
from densegym.reward_models.authored.controls.uniform import ScreenedUniform, Uniform
from densegym.reward_models.authored.screening.bank import Bank, Trajectory
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.features import feature_names
from densegym.reward_models.sandbox.allowlist import inspect_source
from densegym.reward_models.sandbox.namespace import load_entry
from densegym.reward_models.sandbox.status import Status

CARDS = {world.card.id: world.card for world in worlds() if world.card.features}


def bank(card, steps: int = 40) -> Bank:
    rng = np.random.default_rng(0)
    shapes = {item.name: item.shape for item in card.features}
    features = {
        name: rng.normal(size=(steps, *shapes.get(name, shapes.get(name[5:], ()))))
        for name in feature_names(card)
    }
    features["terminated"] = np.zeros(steps, dtype=np.bool_)
    made = Trajectory(features=features, source="random", success=False, fitness=0.0)
    return Bank(task=card.id, gamma=0.99, trajectories=(made,))


@pytest.mark.parametrize("task", CARDS)
def test_every_tree_passes_the_allow_list_and_survives_its_comment(task):
    card = CARDS[task]
    grammar, rng = Grammar(card, bank(card)), np.random.default_rng(1)
    for _ in range(5):
        tree = grammar.tree(rng)
        inspected = inspect_source(program(tree), known=feature_names(card))
        assert inspected.status is Status.OK, inspected.feedback
        assert tree_of(program(tree)) == tree


@given(st.integers(0, 10_000))
def test_a_program_computes_its_tree(seed):
    card = CARDS["DenseGym/DoorUnlock-v0"]
    stock = bank(card)
    tree = Grammar(card, stock).tree(np.random.default_rng(seed))
    inspected = inspect_source(program(tree), known=feature_names(card))
    batch = stock.stacked()
    total, parts = load_entry(inspected)(*[batch[name] for name in inspected.parameters])
    expected = sum(_value(term, batch) for term in tree)
    assert np.allclose(total, expected)
    assert np.allclose(sum(parts.values()), expected)


def _value(term, batch):
    x = term.scalar.values(batch)
    before = {name.removeprefix("prev_"): v for name, v in batch.items() if name[:5] == "prev_"}
    shaped = {
        "identity": lambda: np.clip(x, -10, 10),
        "bell": lambda: np.exp(-((x / term.scale) ** 2)),
        "rational": lambda: 1 / (1 + (x / term.scale) ** 2),
        "tanh": lambda: np.tanh(x / term.scale),
        "decrease": lambda: (term.scalar.values(before) - x) / term.scale,
    }[term.shape]()
    open_ = 1.0 if term.gate is None else term.gate.scalar.values(batch) < term.gate.threshold
    return term.weight * shaped * open_


class Clerk:
    """A context that passes every third program and trains what passed."""

    def __init__(self, rows=(), seed=0):
        self.card = CARDS["DenseGym/DoorUnlock-v0"]
        self.bank, self.rows, self.candidates = bank(self.card), rows, 4
        self.rng, self.made = np.random.default_rng(seed), []

    def submit(self, source, *, parents=(), note=""):
        ok = len(self.made) % 3 == 0
        row = Row(
            id=f"00-{len(self.made):02d}",
            iteration=0,
            source=source,
            status=Status.OK if ok else Status.TPE_FAIL,
            parents=tuple(parents),
            ast_hash=source,
            screen={"status": "ok" if ok else "tpe_fail"},
        )
        self.made.append(row)
        return row


def trained(row, fitness, rungs=1):
    rung = {"F_mean": fitness, "training_success": fitness, "length": 100.0}
    return row.with_(status=Status.TRAINED, rungs=(rung,) * rungs)


def test_random_submits_k_and_screened_random_until_k_pass():
    blind, careful = Clerk(), Clerk()
    Uniform().propose(blind)
    ScreenedUniform().propose(careful)
    assert len(blind.made) == 4
    assert sum(row.status.passed for row in careful.made) == 4
    assert len(careful.made) == 10


def test_genetic_programming_breeds_from_the_best():
    first = Clerk()
    Genetic().propose(first)
    good, bad = trained(first.made[0], 0.9, rungs=3), trained(first.made[3], 0.8)
    second = Clerk(rows=[bad, good], seed=5)
    Genetic().propose(second)
    chosen = [name for row in second.made for name in row.parents]
    assert set(chosen) <= {good.id, bad.id}
    assert chosen.count(good.id) > chosen.count(bad.id)
    assert all(tree_of(row.source) for row in second.made)


@pytest.mark.parametrize("author", [Uniform, ScreenedUniform, Genetic])
def test_the_same_seed_proposes_the_same(author):
    one, two = Clerk(seed=3), Clerk(seed=3)
    author().propose(one)
    author().propose(two)
    assert [row.source for row in one.made] == [row.source for row in two.made]
