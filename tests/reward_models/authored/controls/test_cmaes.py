"""CMA-ES on weights: the strategy itself, and that a ledger is all it needs."""

from __future__ import annotations

import numpy as np
import pytest

from densegym.envs.tasks import worlds
from densegym.reward_models.authored.controls.cmaes import (
    Strategy,
    WeightSearch,
    point_of,
    weighted,
)
from densegym.reward_models.authored.programs.cost_terms import load_library
from densegym.reward_models.authored.programs.program import plain_header
from densegym.reward_models.features import feature_names
from densegym.reward_models.sandbox.allowlist import inspect_source
from densegym.reward_models.sandbox.status import Status
from tests.reward_models.authored.controls.test_grammar import Clerk, trained

CARD = {world.card.id: world.card for world in worlds()}["DenseGym/DoorUnlock-v0"]


def minimise(function, n, generations, population=10, seed=0):
    rng, strategy = np.random.default_rng(seed), Strategy.start(n)
    for _ in range(generations):
        points = [strategy.draw(rng) for _ in range(population)]
        strategy = strategy.after(np.array(sorted(points, key=function)))
    return strategy


@pytest.mark.parametrize("scales", [(1, 1, 1, 1), (1, 10, 100, 1000)])
def test_it_finds_the_minimum_of_a_quadratic_however_it_is_scaled(scales):
    goal = np.array([0.7, -0.4, 0.2, 1.1])
    found = minimise(lambda x: np.sum(np.array(scales) * (x - goal) ** 2), 4, 150)
    np.testing.assert_allclose(found.mean, goal, atol=1e-3)
    assert found.size < 1e-2


def test_it_learns_the_shape_of_a_narrow_valley():
    found = minimise(lambda x: np.sum((100.0, 1.0) * x**2), 2, 15)
    assert found.covariance[1, 1] > 3.0 * found.covariance[0, 0]


def test_a_generation_without_a_trained_candidate_changes_nothing():
    start = Strategy.start(3)
    assert start.after(np.empty((0, 3))) is start
    moved = start.after(np.ones((1, 3)))
    np.testing.assert_allclose(moved.mean, np.ones(3))


def test_a_program_carries_its_point_and_its_weights_are_powers_of_ten_from_the_default():
    library = load_library(CARD)
    point = np.linspace(-0.5, 0.5, len(library.terms))
    text = weighted(library, point)
    np.testing.assert_allclose(point_of(text), point, atol=1e-6)
    assert inspect_source(text, known=feature_names(CARD)).status is Status.OK
    assert plain_header(text, CARD.id, "x").task == CARD.id
    name, term = next(iter(library.terms.items()))
    assert f"{name}_cost = {term.weight * 10**-0.5:.6g} *" in text
    assert weighted(library, np.full(len(point), 9.0)) != weighted(library, point)
    assert point_of("def compute_reward(a): ...") is None


def test_the_next_generation_comes_from_the_ledger_alone():
    first = Clerk()
    WeightSearch().propose(first)
    assert sum(row.status.passed for row in first.made) == 4
    passing = [row for row in first.made if row.status.passed]
    rows = [
        trained(row, fitness) for row, fitness in zip(passing, (0.9, 0.8, 0.1, 0.0), strict=True)
    ]
    again = [Clerk(rows=list(order), seed=3) for order in (rows, rows[::-1])]
    for clerk in again:
        WeightSearch().propose(clerk)
    drawn = [[row.source for row in clerk.made] for clerk in again]
    assert drawn[0] == drawn[1]
    mean = np.mean([point_of(source) for source in drawn[0]], axis=0)
    near = np.linalg.norm(mean - point_of(rows[0].source))
    assert near < np.linalg.norm(mean - point_of(rows[3].source))
