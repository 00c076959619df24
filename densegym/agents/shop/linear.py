"""The linear scorer: eight numbers per listed product, weights by REINFORCE on the final reward.

The baseline to print beside every other number. It does not navigate by itself: a script searches
the whole request, and the scorer sees the option lists of the first ten products, and the shop
query they were filed under, without paying for the clicks.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from densegym.agents.shop.errands import Errand, ErrandRunner, likeliest_options
from densegym.agents.shop.rules import first_listed
from densegym.agents.shop.shopper import Player
from densegym.envs.shop.environments.features import (
    Featurizer,
    Request,
    body_words,
    option_match,
    share,
    title_words,
)
from densegym.envs.shop.goals.goals import Goal
from densegym.envs.shop.session.core import Shop, ShopCore
from densegym.envs.shop.session.world import ShopWorld
from densegym.envs.shop.store.catalogue import Product

NAMES = (
    "1/(1+rank)", "title recall", "body recall", "price fits", "option groups hit", "has options",
    "all groups hit", "query in request",
)  # fmt: skip
FIRST = 10
EPISODES = 3_000
RATE = 0.3
SHARPNESS = 3.0
BASELINE_RATE = 0.01
Weights = NDArray[np.float64]


class LinearScorer:
    """Features and choices of the scorer on one shop.

    Args:
        shop: where.
        weights: (8,), in the order of ``NAMES``.
    """

    def __init__(self, shop: Shop, weights: Weights | None = None) -> None:
        self._shop = shop
        self.weights = np.zeros(len(NAMES)) if weights is None else np.array(weights, np.float64)
        self._request = Featurizer(shop).request
        self.look = lru_cache(maxsize=16_384)(self._look)

    def _look(self, goal: Goal) -> tuple[tuple[Errand, ...], NDArray[np.float64]]:
        """Return the purchases to choose from, at most ten, and (n, 8) what they look like."""
        core = ShopCore(self._shop)
        core.begin(goal)
        query, hits = first_listed(core)
        request = self._request(goal)
        products = [self._shop.store.product(hit) for hit in hits[:FIRST]]
        errands = tuple(
            Errand(query, hit, likeliest_options(product, request))
            for hit, product in zip(hits[:FIRST], products, strict=True)
        )
        rows = [_row(rank, product, request) for rank, product in enumerate(products)]
        return errands, np.array(rows).reshape(-1, len(NAMES))

    def chances(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of every purchase, (n,)."""
        logits = SHARPNESS * rows @ self.weights
        powers = np.exp(logits - logits.max())
        chances: NDArray[np.float64] = powers / powers.sum()
        return chances

    def player(self) -> Player:
        """Return the player that buys the likeliest."""

        def plan(core: ShopCore) -> Errand:
            errands, rows = self.look(core.goal)
            return errands[int(np.argmax(rows @ self.weights))] if errands else Errand("", -1)

        return ErrandRunner(plan)


def fit_linear(world: ShopWorld, *, seed: int = 0, episodes: int = EPISODES) -> LinearScorer:
    """Return a scorer trained on the goals of a world.

    Williams 1992's REINFORCE with a running baseline; every episode is one choice among ten.

    Args:
        world: shop, scoring and training goals.
        seed: of goals and choices.
        episodes: purchases to learn from.
    """
    scorer, rng, baseline = LinearScorer(world.shop), np.random.default_rng(seed), 0.0
    for _ in range(episodes):
        goal = world.goal(rng)
        errands, rows = scorer.look(goal)
        if not errands:
            continue
        chances = scorer.chances(rows)
        place = int(rng.choice(len(errands), p=chances))
        options = tuple(errands[place].options.items())
        paid = world.shop.outcome(goal, errands[place].product, options).reward
        slope = SHARPNESS * (rows[place] - chances @ rows)
        scorer.weights += RATE * (paid - baseline) * slope
        baseline += BASELINE_RATE * (paid - baseline)
    return scorer


def _row(rank: int, product: Product, request: Request) -> list[float]:
    exact, _ = option_match(product, request)
    hit = [
        any(exact[group, value] for value in values) for group, values in product.options.items()
    ]
    return [
        1.0 / (1.0 + rank),
        share(request.words, title_words(product)),
        share(request.words, body_words(product)),
        float(product.price_low <= request.cap),
        sum(hit) / len(hit) if hit else 0.0,
        float(bool(hit)),
        float(bool(hit) and all(hit)),
        float(product.query in request.text),
    ]
