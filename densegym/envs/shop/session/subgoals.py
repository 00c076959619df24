"""Which parts of a request hold where a shopper stands: what dense rewards are made of.

Privileged: everything here reads the goal. Agents do not see it; it goes to ``info`` alone, under
names that the task card lists.
"""

from __future__ import annotations

from functools import lru_cache

from densegym.envs.shop.goals.goals import Goal
from densegym.envs.shop.session.core import ShopCore
from densegym.envs.shop.session.pages import contents
from densegym.envs.shop.store.catalogue import Product

MOST_ATTRIBUTES, MOST_OPTIONS = 16, 4  # terms told apart; shares count all
RIGHT_TYPE = 0.5
Value = float | tuple[float, ...]


def subgoals(core: ShopCore) -> dict[str, Value]:
    """Return sub-goals as 0 or 1, shares in [0, 1], or one 0 or 1 per term of the request.

    ``type_shown`` asks whether a product of the right type is on the page, ``target_listed`` for
    the very target. Of the open product, 0 where none is: ``target_open``; ``type``;
    ``attributes`` and ``attribute_met``; ``attributes_seen``, those that the page says in words;
    ``options`` and ``option_met``; ``price``. ``outcome`` is what the purchase paid.
    """
    state, goal = core.state, core.goal
    told: dict[str, Value] = {
        "outcome": 0.0 if core.outcome is None else core.outcome.reward,
        "target_open": float(state.product == goal.product),
    }
    if state.product < 0:
        shown = core.view.shown if state.page == "results" else ()
        types = (core.shop.outcome(goal, index, ()).r_type for index in shown)
        listed = float(goal.product in shown)
        right = float(max(types, default=0.0) >= RIGHT_TYPE)
        return told | {"type_shown": right, "target_listed": listed} | _NO_PRODUCT
    judged = core.shop.outcome(goal, state.product, state.options)
    product = core.shop.store.product(state.product)
    return told | {
        "type_shown": float(judged.r_type >= RIGHT_TYPE),
        "target_listed": told["target_open"],
        "type": float(judged.r_type),
        "attributes": judged.r_att,
        "attributes_seen": _seen(goal, product, state.section),
        "options": 1.0 if judged.r_option is None else judged.r_option,
        "price": float(judged.r_price),
        "attribute_met": _padded(judged.attributes_met, MOST_ATTRIBUTES),
        "option_met": _padded(judged.options_met, MOST_OPTIONS),
    }


@lru_cache(maxsize=4_096)
def _padded(met: tuple[bool, ...], size: int) -> tuple[float, ...]:
    """Return 0 or 1 per term of the request, then zeros."""
    return (*map(float, met[:size]), *(0.0,) * (size - len(met)))


_NO_PRODUCT: dict[str, Value] = dict.fromkeys(
    ("type", "attributes", "attributes_seen", "options", "price"), 0.0
) | {"attribute_met": _padded((), MOST_ATTRIBUTES), "option_met": _padded((), MOST_OPTIONS)}


@lru_cache(maxsize=16_384)
def _seen(goal: Goal, product: Product, section: str) -> float:
    """Return the share of the goal's attributes that a page of a product says literally."""
    shown = contents(product, section) if section else (product.title,)
    text = "\n".join(shown).lower()
    said = [attribute.lower() in text for attribute in goal.attributes]
    return sum(said) / len(said) if said else 1.0
