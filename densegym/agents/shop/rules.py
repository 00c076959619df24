"""Players without learning: random, the original's rule, fuzzy options, and bounds that cheat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from densegym.agents.shop.errands import (
    Errand,
    ErrandRunner,
    find_query,
    likeliest_options,
    wanted_options,
)
from densegym.agents.shop.shopper import Player, Shopper
from densegym.envs.shop.environments.features import Featurizer
from densegym.envs.shop.environments.queries import offered_queries
from densegym.envs.shop.session.core import Shop, ShopCore, fit_search


class RandomPlayer:
    """Takes any valid action; on the index page any of the suggested searches."""

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)

    def choose(self, shoppers: Sequence[Shopper]) -> list[str]:
        """Return one valid action per shopper."""
        actions = []
        for shopper in shoppers:
            valid = shopper.core.valid_actions()
            if shopper.core.state.page == "index":
                valid = [f"search[{query}]" for query in offered_queries(shopper.core.goal)]
            actions.append(valid[int(self._rng.integers(len(valid)))])
        return actions


def first_listed(core: ShopCore) -> tuple[str, tuple[int, ...]]:
    """Return a search that finds something, the whole request if it does, and its products."""
    queries = offered_queries(core.goal)
    for query in queries:
        hits = core.shop.pages.hits(query)
        if hits:
            return query, hits
    return queries[0], ()


def first_item(shop: Shop) -> Player:
    """Return the original's rule: search the request, open the first product, buy."""

    def plan(core: ShopCore) -> Errand:
        query, hits = first_listed(core)
        return Errand(query, hits[0] if hits else -1)

    return ErrandRunner(plan)


def first_item_with_options(shop: Shop) -> Player:
    """Return the rule that also sets of every option group what the request names best."""
    request = Featurizer(shop).request

    def plan(core: ShopCore) -> Errand:
        query, hits = first_listed(core)
        if not hits:
            return Errand(query, -1)
        product = core.shop.store.product(hits[0])
        return Errand(query, hits[0], likeliest_options(product, request(core.goal)))

    return ErrandRunner(plan)


def best_listed(shop: Shop, *, first: int) -> Player:
    """Return a bound (privileged): the best-paid of the first products, options by similarity."""
    request = Featurizer(shop).request

    def plan(core: ShopCore) -> Errand:
        query, hits = first_listed(core)
        errands = [
            Errand(query, hit, likeliest_options(shop.store.product(hit), request(core.goal)))
            for hit in hits[:first]
        ]

        def paid(errand: Errand) -> float:
            options = tuple(errand.options.items())
            return core.shop.outcome(core.goal, errand.product, options).reward

        return max(errands, key=paid, default=Errand(query, -1))

    return ErrandRunner(plan)


def expert(shop: Shop) -> Player:
    """Return the scripted expert (privileged): finds the target and buys it as asked."""
    return ErrandRunner(expert_plan)


def expert_plan(core: ShopCore) -> Errand:
    """Return the goal itself as an errand (privileged), by the target's title if need be."""
    product = core.shop.store.product(core.goal.product)
    query = find_query(core, core.goal.product) or fit_search(product.title.lower())
    return Errand(query, core.goal.product, wanted_options(core.goal, product))
