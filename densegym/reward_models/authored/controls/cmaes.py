"""CMA-ES over the weights of a fixed list of cost terms: the control that tells tuning from form.

The terms are a person's, those of the ``l2r`` library of the task's family; only the logarithms
of their weights are searched. One iteration is one generation of the (mu/mu_w, lambda) strategy of
Hansen 2016, arXiv 1604.00772, with lambda = K.

Departures: the strategy lives in the ledger, since every program carries its point in a comment
and the state of a generation is made anew from the rows of all earlier ones; and points that the
screens stopped are drawn again and teach nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from densegym.reward_models.authored.controls.uniform import until_passing
from densegym.reward_models.authored.programs.cost_terms import (
    Library,
    choose,
    load_library,
    print_program,
)
from densegym.reward_models.authored.search.author import refuse_unknown_options
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.context import Context
from densegym.reward_models.authored.search.halving import rank_key
from densegym.reward_models.types import Float

DECADES = 0.5  # first step size, in powers of ten of a weight
REACH = 2.0  # powers of ten from a term's default weight that a point may leave it
_MARK = "# point: "


class WeightSearch:
    """Draws K points a generation and moves towards the better half of those that trained."""

    name = "cmaes"
    asks = False

    def check_options(self, given: Mapping[str, Any]) -> None:
        """Refuse what it does not take; see ``Author``."""
        refuse_unknown_options(given, self.name, ())

    def propose(self, context: Context) -> None:
        """Submit the candidates of one generation.

        Raises:
            RewardError: no cost terms ship for the task's family.
        """
        library = load_library(context.card)
        strategy = Strategy.start(len(library.terms))
        for iteration in sorted({row.iteration for row in context.rows}):
            strategy = strategy.after(_ranked(context.rows, iteration))
        until_passing(
            context, lambda: context.submit(weighted(library, strategy.draw(context.rng)))
        )


@dataclass(frozen=True, slots=True)
class Strategy:
    """A normal distribution over points, and the paths along which it moved.

    Attributes:
        mean: (n,).
        size: the step size sigma.
        covariance: (n, n).
        size_path: (n,) evolution path of the step size.
        path: (n,) evolution path of the covariance.
        generation: how many were taken in.
    """

    mean: Float
    size: float
    covariance: Float
    size_path: Float
    path: Float
    generation: int = 0

    @classmethod
    def start(cls, n: int) -> Strategy:
        """Return the distribution around a person's own weights."""
        return cls(np.zeros(n), DECADES, np.eye(n), np.zeros(n), np.zeros(n))

    def draw(self, rng: np.random.Generator) -> Float:
        """Return a point, (n,)."""
        values, axes = np.linalg.eigh(self.covariance)
        step: Float = axes @ (
            np.sqrt(np.maximum(values, 0.0)) * rng.standard_normal(len(self.mean))
        )
        return self.mean + self.size * step

    def after(self, ranked: Float) -> Strategy:
        """Return the distribution after a generation.

        Args:
            ranked: (lambda, n) points of it, best first; none change nothing.
        """
        mu, n = (len(ranked) + 1) // 2, len(self.mean)
        if mu == 0:
            return self
        raw = math.log(mu + 0.5) - np.log(np.arange(1, mu + 1))
        weights = raw / raw.sum()
        mass = 1.0 / float(np.square(weights).sum())  # mu_eff
        size_rate = (mass + 2) / (n + mass + 5)
        path_rate = (4 + mass / n) / (n + 4 + 2 * mass / n)
        rank_one = 2 / ((n + 1.3) ** 2 + mass)
        rank_mu = min(1 - rank_one, 2 * (mass - 2 + 1 / mass) / ((n + 2) ** 2 + mass))
        damping = 1 + 2 * max(0.0, math.sqrt((mass - 1) / (n + 1)) - 1) + size_rate
        expected = math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))

        steps = (ranked[:mu] - self.mean) / self.size
        move = weights @ steps
        values, axes = np.linalg.eigh(self.covariance)
        whitened = axes @ ((axes.T @ move) / np.sqrt(np.maximum(values, 1e-12)))
        size_path = (1 - size_rate) * self.size_path
        size_path = size_path + math.sqrt(size_rate * (2 - size_rate) * mass) * whitened
        length = float(np.linalg.norm(size_path))
        # After a long move the covariance path waits, or it would grow along an axis already taken.
        settled = math.sqrt(1 - (1 - size_rate) ** (2 * (self.generation + 1)))
        moves = length / settled < (1.4 + 2 / (n + 1)) * expected
        path = (1 - path_rate) * self.path
        path = path + moves * math.sqrt(path_rate * (2 - path_rate) * mass) * move
        covariance = (
            (1 - rank_one - rank_mu) * self.covariance
            + rank_one
            * (np.outer(path, path) + (1 - moves) * path_rate * (2 - path_rate) * self.covariance)
            + rank_mu * (steps.T * weights) @ steps
        )
        size = self.size * math.exp(min(1.0, size_rate / damping * (length / expected - 1)))
        mean = self.mean + self.size * move
        return Strategy(mean, size, covariance, size_path, path, self.generation + 1)


def weighted(library: Library, point: Float) -> str:
    """Return the program whose weights are the defaults times ten to the point.

    Args:
        library: n cost terms.
        point: (n,) powers of ten, bounded to ``REACH``.
    """
    bounded = np.clip(point, -REACH, REACH)
    wishes = {
        name: {"weight": term.weight * 10.0**power}
        for (name, term), power in zip(library.terms.items(), bounded, strict=True)
    }
    text = print_program(choose(library, wishes), "cost terms of l2r, weights by CMA-ES")
    return f"{_MARK}{json.dumps([round(float(value), 6) for value in point])}\n{text}"


def point_of(source: str) -> Float | None:
    """Return the point a program carries, (n,), or None for a program of another author."""
    line = next((line for line in source.splitlines() if line.startswith(_MARK)), None)
    return None if line is None else np.asarray(json.loads(line.removeprefix(_MARK)), np.float64)


def _ranked(rows: Sequence[Row], iteration: int) -> Float:
    """Return the trained points of a generation, (lambda, n), best first."""
    own = [row for row in rows if row.iteration == iteration and row.rungs]
    own.sort(key=lambda row: (len(row.rungs), rank_key(row)), reverse=True)
    points = [point_of(row.source) for row in own]
    return np.array([point for point in points if point is not None])
