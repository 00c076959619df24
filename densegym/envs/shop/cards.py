"""The shop's worlds: ids and task cards. No catalogue is opened here."""

from __future__ import annotations

from densegym.envs.shop.session.subgoals import MOST_ATTRIBUTES, MOST_OPTIONS
from densegym.envs.world import World
from densegym.reward_models.types import Feature, TaskCard

_MEANINGS = {
    "worth": "what buying now would pay; half of the best listed product's worth on results",
    "type_shown": "1 where a product of the right kind is listed or open",
    "type": "how much the open product is of the right kind: 0, 0.1, 0.5 or 1",
    "attributes": "share of the goal's attributes that the open product has",
    "attributes_seen": "share of them that the page of the open product says in words",
    "attribute_met": "1 per attribute of the goal that the open product has, then zeros",
    "options": "share of the goal's options that are set",
    "option_met": "1 per option of the goal that is set, then zeros",
    "price": "1 where the open product's price is within the limit",
    "target_listed": "1 where the very product is on the page",
    "target_open": "1 where the very product is open",
}
_KEYS = {"worth": "potential"}  # a program's function may be called potential
_SHAPES = {"attribute_met": (MOST_ATTRIBUTES,), "option_met": (MOST_OPTIONS,)}
_OUTCOME = "what the purchase paid, the world's own reward; 0 until then"
_FEATURES = (
    Feature("outcome", (), "1", "-", _OUTCOME, "info", "shop/outcome"),
    *(
        Feature(
            name=name,
            shape=_SHAPES.get(name, ()),
            unit="1",
            frame="-",
            meaning=f"reads the goal, told by worlds made with privileged=True: {meaning}",
            source="info",
            key=f"shop/{_KEYS.get(name, name)}",
        )
        for name, meaning in _MEANINGS.items()
    ),
)
_GOAL = "Buy the product that the request describes, with the right options, within its price."
_SUCCESS = "the purchase scores 1: kind, every attribute, every option and the price are right"
_PROVENANCE = "DenseGym's own shop after WebShop (arXiv 2207.01206); own synthetic catalogue"


def worlds() -> list[World]:
    """Return the shop's worlds; they keep their own clocks."""
    return [
        World(
            card=_card("DenseGym/Shop-v0", gives=()),
            entry_point="densegym.envs.shop.environments.text:ShopEnv",
        ),
        World(
            card=_card("DenseGym/ShopChoice-v0", gives=("numbers",)),
            entry_point="densegym.envs.shop.environments.choice:ShopChoiceEnv",
            vector_entry_point="densegym.envs.shop.environments.vector:ShopVectorEnv",
        ),
    ]


def _card(env_id: str, *, gives: tuple[str, ...]) -> TaskCard:
    return TaskCard(
        id=env_id,
        family="shop",
        goal=_GOAL,
        success=_SUCCESS,
        provenance=_PROVENANCE,
        features=_FEATURES,
        gives=gives,
    )
