"""Carrying out a purchase that was decided on: search, page, open, set options, buy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from densegym.agents.shop.shopper import Shopper
from densegym.envs.shop.environments.features import Request, option_match
from densegym.envs.shop.environments.queries import offered_queries
from densegym.envs.shop.goals.goals import Goal
from densegym.envs.shop.goals.option_rules import strict_met
from densegym.envs.shop.session.core import ShopCore
from densegym.envs.shop.session.pages import View
from densegym.envs.shop.store.catalogue import Product


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be bought, and by which search it is found.

    Attributes:
        query: words to search for.
        product: index in the store.
        options: group -> value.
    """

    query: str
    product: int
    options: Mapping[str, str] = field(default_factory=dict)


class ErrandRunner:
    """A player that decides at the beginning of an episode and then carries it out.

    Args:
        plan: returns the errand of an episode.
    """

    def __init__(self, plan: Callable[[ShopCore], Errand]) -> None:
        self._plan = plan

    def choose(self, shoppers: Sequence[Shopper]) -> list[str]:
        """Return the next action of every shopper's errand."""
        actions = []
        for shopper in shoppers:
            if "errand" not in shopper.notes:
                shopper.notes["errand"] = self._plan(shopper.core)
            actions.append(next_action(shopper.core, shopper.notes["errand"]))
        return actions


def next_action(core: ShopCore, errand: Errand) -> str:
    """Return the action that brings an errand forward from wherever the shopper stands."""
    state, view = core.state, core.view
    if state.page == "index":
        return f"search[{errand.query}]"
    if state.page == "results":
        return _towards(core, view, errand)
    if state.page == "section" or state.product != errand.product:
        return "click[< prev]"
    chosen = dict(state.options)
    for group, value in errand.options.items():
        target = option_target(view, group, value)
        if chosen.get(group) != value and target:
            return f"click[{target}]"
    return "click[buy now]"


def _towards(core: ShopCore, view: View, errand: Errand) -> str:
    state = core.state
    if errand.product in view.shown:
        return f"click[{core.shop.store.product(errand.product).asin.lower()}]"
    hits = core.shop.pages.hits(state.query)
    if errand.product not in hits:
        return "click[back to search]"
    page = hits.index(errand.product) // core.shop.rules.results_per_page + 1
    return "click[next >]" if page > state.number else "click[< prev]"


def option_target(view: View, group: str, value: str) -> str:
    """Return what to click for an option; "" where the page has no such one."""
    for target, click in view.clicks.items():
        if (click.move, click.name, click.value) == ("option", group, value):
            return target
    return ""


def likeliest_options(product: Product, request: Request) -> dict[str, str]:
    """Return of every group the value that the request names, else the most similar one."""
    exact, fuzzy = option_match(product, request)
    return {
        group: max(values, key=lambda value: (exact[group, value], fuzzy[group, value], len(value)))
        for group, values in product.options.items()
        if values
    }


def wanted_options(goal: Goal, product: Product) -> dict[str, str]:
    """Return group -> value of a product that meet the goal's options (privileged)."""
    found: dict[str, str] = {}
    wanted = goal.options
    parts = [{k: v} for k, v in wanted.items()] if isinstance(wanted, Mapping) else [
        (value,) for value in wanted
    ]  # fmt: skip
    for part in parts:
        for group, values in product.options.items():
            for value in values:
                if group not in found and all(strict_met(part, product, {group: value})):
                    found[group] = value
    return found


def find_query(core: ShopCore, product: int) -> str:
    """Return the first search that the request suggests and that lists a product; "" for none."""
    found = (q for q in offered_queries(core.goal) if product in core.shop.pages.hits(q))
    return next(found, "")
