"""What the shopper is asked to buy: goals from products, price caps, splits that do not leak."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from densegym.envs.shop.goals.caps import Caps, HashedCaps, ParityCaps, cap_text
from densegym.envs.shop.store import draws
from densegym.envs.shop.store.catalogue import Product, chain_of
from densegym.envs.shop.store.store import Store
from densegym.errors import DenseGymError, unknown

Style = Literal["auto", "human", "synthetic"]
SplitRule = Literal["product", "original"]
Part = Literal["train", "dev", "test", "all"]
SHUFFLE_SEED = 233
GOALS_PER_PRODUCT = 5
_STYLES = ("auto", "human", "synthetic")
_SPLIT_RULES = ("product", "original")
_TRAIN, _DEV = 0.7, 0.8
_ORIGINAL_PARTS = {"test": (0, 500), "dev": (500, 1_500), "train": (1_500, None), "all": (0, None)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One request.

    Attributes:
        id: place in the list that ``build_goals`` returned; stable for a store and style.
        asin: the target.
        product: the target's index in the store.
        category: the target's department.
        query: the target's shop query.
        name: the target's title.
        chain: the target's category path.
        instruction: what the shopper reads, with options and price cap in words.
        attributes: what the product must have.
        options: group -> value (synthetic), or values without groups (human).
        price_upper: highest price that still pays; ``NO_CAP`` where the text names none.
        weight: 1 for human; synthetic: mean over attributes of 1/(goals that name it).
        style: where the request comes from.
    """

    id: int
    asin: str
    product: int
    category: str
    query: str
    name: str
    chain: tuple[str, ...]
    instruction: str
    attributes: tuple[str, ...]
    options: Mapping[str, str] | tuple[str, ...]
    price_upper: float
    weight: float = 1.0
    style: Literal["human", "synthetic"] = "synthetic"

    def __hash__(self) -> int:
        return hash((self.id, self.asin))


def from_original(record: Mapping[str, Any], *, id: int = 0, product: int = -1) -> Goal:
    """Return a goal of the original's form (a dict as its code and fixtures write it).

    Args:
        record: its fields; options as a list (human) or an object (synthetic).
        id: its number here.
        product: the target's index in the store; -1 where it is not there.
    """
    options = record["goal_options"]
    synthetic = isinstance(options, Mapping)
    return Goal(
        id=id,
        asin=record["asin"],
        product=product,
        category=record["category"],
        query=record["query"],
        name=record["name"],
        chain=chain_of(record["product_category"]),
        instruction=record["instruction_text"],
        attributes=tuple(record["attributes"]),
        options=dict(options) if synthetic else tuple(options),
        price_upper=record["price_upper"],
        weight=record.get("weight", 1.0),
        style="synthetic" if synthetic else "human",
    )


def prices(store: Store, *, parity: bool = False) -> NDArray[np.float64]:
    """Return what each product sells for, (products,).

    Args:
        store: the catalogue.
        parity: draw inside ranges as the original does with ``random.seed(0)``; else the store's.
    """
    return ParityCaps(store).prices if parity else store.prices


def build_goals(
    store: Store, *, style: Style = "auto", parity: bool = False, per_product: int | None = None
) -> tuple[Goal, ...]:
    """Return every goal of a store, in the order of the original's shuffle (seed 233).

    A request without attributes makes no goal, as in the original.

    Args:
        store: the catalogue.
        style: ``"human"``, ``"synthetic"``, or ``"auto"``: human where the store has any.
        parity: draw prices and caps as the original does with ``random.seed(0)`` before loading
            (prices of ranges in file order, then caps in file order). Otherwise caps come from a
            hash of (store seed, asin, instruction), so they depend on neither order nor process.
            Goals and ids are the same either way, but for the caps.
        per_product: keep at most so many option choices of a product (picked by its asin), which
            keeps a large catalogue's goals small; ids then count the kept ones.

    Raises:
        DenseGymError: the store has no goal of that style.
        UnknownNameError: no such style.
    """
    if style not in _STYLES:
        raise unknown("goal style", style, _STYLES)
    if style == "auto":
        style = "human" if store.with_instruction("human") else "synthetic"
    caps: Caps = ParityCaps(store) if parity else HashedCaps(store)
    make = _human_goals if style == "human" else _synthetic_goals
    goals = [
        goal
        for index in store.with_instruction(style)
        for goal in _kept(list(make(store.product(index), index, caps)), per_product)
    ]
    if not goals:
        raise DenseGymError(
            f"{store.info.folder} has no {style} goal among {len(store)} products. "
            'Build it with the instruction files, or ask for style "human" or "synthetic".'
        )
    if style == "synthetic":
        goals = _weighted(goals)
    random.Random(SHUFFLE_SEED).shuffle(goals)
    return tuple(replace(goal, id=place) for place, goal in enumerate(goals))


def split(
    goals: Sequence[Goal], *, rule: SplitRule = "product", part: Part = "all"
) -> tuple[Goal, ...]:
    """Return one part of the goals, in order; ids are kept.

    Args:
        goals: what ``build_goals`` returned.
        rule: ``"product"``: by a hash of the asin, 70/10/20, at most 5 goals of a product, so no
            product is in two parts. ``"original"``: by place, 0-499 test, 500-1499 dev, the rest
            train; 97 % of the 1,000-product file's test goals then share their product with
            training.
        part: which; ``"all"`` joins the three.

    Raises:
        UnknownNameError: no such rule or part.
    """
    if part not in _ORIGINAL_PARTS:
        raise unknown("part of the goals", part, _ORIGINAL_PARTS)
    if rule not in _SPLIT_RULES:
        raise unknown("split rule", rule, _SPLIT_RULES)
    if rule == "original":
        first, end = _ORIGINAL_PARTS[part]
        return tuple(goals[first:end])
    by_product: dict[str, list[Goal]] = {}
    for goal in goals:
        if part in ("all", _part_of(goal.asin)):
            by_product.setdefault(goal.asin, []).append(goal)
    kept = {goal.id for group in by_product.values() for goal in _kept(group, GOALS_PER_PRODUCT)}
    return tuple(goal for goal in goals if goal.id in kept)


def _part_of(asin: str) -> str:
    place = draws.fraction("split", asin)
    return "train" if place < _TRAIN else "dev" if place < _DEV else "test"


def _kept(goals: list[Goal], most: int | None) -> list[Goal]:
    """Return at most ``most`` goals of one product, picked by hash, in their order."""
    if most is None or len(goals) <= most:
        return goals
    places = [
        draws.fraction("kept", goal.asin, str(goal.options), n) for n, goal in enumerate(goals)
    ]
    bound = sorted(places)[most]
    return [goal for goal, place in zip(goals, places, strict=True) if place < bound]


def _human_goals(product: Product, index: int, caps: Caps) -> Iterator[Goal]:
    for number, request in enumerate(product.human):
        if request.attributes:
            cap = caps.cap(product, index, number, {})
            sentence = request.instruction.strip(".") + cap_text(cap)
            yield _goal(product, index, sentence, request.attributes, request.options, cap, "human")


def _synthetic_goals(product: Product, index: int, caps: Caps) -> Iterator[Goal]:
    wanted = product.instruction_attributes
    if product.instruction is None or not wanted:
        return
    groups = sorted(product.options)
    shared = None if product.surcharges else caps.cap(product, index, 0, {})
    for values in itertools.product(*(product.options[group] for group in groups)):
        options = dict(zip(groups, values, strict=True))
        cap = caps.cap(product, index, 0, options) if shared is None else shared
        named = ", and ".join(f"{group}: {value}" for group, value in options.items())
        sentence = product.instruction + (f" with {named}" if named else "") + cap_text(cap)
        yield _goal(product, index, sentence, wanted, options, cap, "synthetic")


def _goal(
    product: Product,
    index: int,
    instruction: str,
    attributes: tuple[str, ...],
    options: Mapping[str, str] | tuple[str, ...],
    cap: float,
    style: Literal["human", "synthetic"],
) -> Goal:
    return Goal(
        id=0,
        asin=product.asin,
        product=index,
        category=product.category,
        query=product.query,
        name=product.title,
        chain=product.chain,
        instruction=instruction,
        attributes=attributes,
        options=options,
        price_upper=cap,
        style=style,
    )


def _weighted(goals: list[Goal]) -> list[Goal]:
    counts = Counter(attribute for goal in goals for attribute in goal.attributes)
    return [
        replace(goal, weight=sum(1 / counts[a] for a in goal.attributes) / len(goal.attributes))
        for goal in goals
    ]
