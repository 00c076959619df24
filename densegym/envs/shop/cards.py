"""The shop's worlds: ids and task cards. No catalogue is opened here."""

from __future__ import annotations

from densegym.envs.tasks import World
from densegym.reward_models.types import Feature, TaskCard

_MEANINGS = {
    "potential": "what buying now would pay; half of the best listed product's worth on results",
    "type": "how much the open product is of the right kind: 0, 0.1, 0.5 or 1",
    "attributes": "share of the goal's attributes that the open product has",
    "options": "share of the goal's options that are set",
    "price": "1 where the open product's price is within the limit",
    "target_listed": "1 where the very product is on the page",
    "target_open": "1 where the very product is open",
}
_FEATURES = tuple(
    Feature(name, (), "1", "-", f"privileged, reads the goal: {meaning}", "info", f"shop/{name}")
    for name, meaning in _MEANINGS.items()
)
_GOAL = "Buy the product that the request describes, with the right options, within its price."
_SUCCESS = "the purchase scores 1: kind, every attribute, every option and the price are right"
_PROVENANCE = "DenseGym's own shop after WebShop (arXiv 2207.01206); own synthetic catalogue"


def worlds() -> list[World]:
    """Return the shop's worlds; they keep their own clocks."""
    return [
        World(card=_card("DenseGym/Shop-v0"), entry_point="densegym.envs.shop.text:ShopEnv"),
        World(
            card=_card("DenseGym/ShopChoice-v0"),
            entry_point="densegym.envs.shop.choice:ShopChoiceEnv",
            vector_entry_point="densegym.envs.shop.vector:ShopVectorEnv",
        ),
    ]


def _card(env_id: str) -> TaskCard:
    return TaskCard(
        id=env_id,
        family="shop",
        goal=_GOAL,
        success=_SUCCESS,
        provenance=_PROVENANCE,
        features=_FEATURES,
    )
