"""What a purchase is worth: the original's rule, the strict one, and plain success."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from densegym.envs.shop.goals.fuzzy import alike
from densegym.envs.shop.goals.goals import Goal
from densegym.envs.shop.goals.nouns import nouns
from densegym.envs.shop.goals.option_rules import strict_met, webshop_met
from densegym.envs.shop.store.catalogue import Product
from densegym.errors import unknown

ScoringRule = Literal["strict", "webshop", "success"]
CACHED_PAIRS = 8_192
CACHED_TEXTS = 2_048
_RULES = ("strict", "webshop", "success")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A judged purchase; all numbers in [0, 1].

    Attributes:
        reward: r_type * (attributes met + options met + price met) / (|A| + |O| + 1); with rule
            ``"success"`` 1 where the strict reward is 1, else 0.
        r_type: 1, 0.5, 0.1 or 0: is it the right kind of thing.
        query_match: same shop query as the target.
        category_match: at least two common elements of the category paths.
        title_score: share of the target title's nouns found in the bought title.
        r_att: share of the goal's attributes met.
        r_option: share of the goal's options met, or None where it names none.
        r_price: the price is within the cap.
        w_att: weight of r_att in the reward.
        w_option: weight of r_option, 0 where the goal names no option.
        w_price: weight of r_price.
        attributes_met: goal attribute -> met, in the goal's order.
        options_met: per option of the goal, in its order.
    """

    reward: float
    r_type: float
    query_match: bool
    category_match: bool
    title_score: float
    r_att: float
    r_option: float | None
    r_price: bool
    w_att: float
    w_option: float
    w_price: float
    attributes_met: tuple[bool, ...]
    options_met: tuple[bool, ...]

    @property
    def success(self) -> bool:
        """Return whether the purchase is exactly right."""
        return self.reward == 1.0


def score(
    goal: Goal,
    product: Product,
    options: Mapping[str, str],
    price: float,
    *,
    rule: ScoringRule = "strict",
) -> Outcome:
    """Judge a purchase.

    Args:
        goal: what was asked.
        product: what was bought.
        options: chosen group -> value; groups may be left open.
        price: what it cost (``Product.price_with(options, store.price(index))``).
        rule: ``"webshop"`` repeats the original with its defects; ``"strict"`` compares option
            groups by name and values by whole words (``option_rules.strict_met``), and counts a
            noun of the title once; ``"success"`` pays 1 for a strict reward of 1, else 0.

    Raises:
        UnknownNameError: no such rule.
        MissingExtraError: rapidfuzz is not installed.
    """
    if rule not in _RULES:
        raise unknown("scoring rule", rule, _RULES)
    static = _static(goal, product, rule == "webshop")
    if rule == "webshop":
        options_met = webshop_met(goal.options, options)
    else:
        options_met = strict_met(goal.options, product, options)
    price_met = bool(price <= goal.price_upper)
    attributes, wanted = len(goal.attributes), len(goal.options)
    terms = attributes + wanted + 1
    met = sum(static.attributes_met) + sum(options_met) + price_met
    reward = combined(static.r_type, met, terms)
    return Outcome(
        reward=float(reward == 1.0) if rule == "success" else reward,
        r_type=static.r_type,
        query_match=static.query_match,
        category_match=static.category_match,
        title_score=static.title_score,
        r_att=sum(static.attributes_met) / attributes if attributes else 1.0,
        r_option=sum(options_met) / wanted if wanted else None,
        r_price=price_met,
        w_att=attributes / terms,
        w_option=wanted / terms,
        w_price=1 / terms,
        attributes_met=static.attributes_met,
        options_met=options_met,
    )


def combined(r_type: float, met: float, terms: int) -> float:
    """Return the reward: the type's share of the terms met (attributes, options and the price)."""
    return met / terms * r_type


@dataclass(frozen=True, slots=True)
class _Static:
    """The part of an outcome that options and price do not change."""

    r_type: float
    query_match: bool
    category_match: bool
    title_score: float
    attributes_met: tuple[bool, ...]


@lru_cache(maxsize=CACHED_PAIRS)
def _static(goal: Goal, product: Product, original: bool) -> _Static:
    query_match = goal.query == product.query
    category_match = len(set(goal.chain) & set(product.chain)) >= 2
    title_score = title_overlap(goal.name, product.title, repeats=original)
    return _Static(
        r_type=type_reward(query_match or category_match, title_score),
        query_match=query_match,
        category_match=category_match,
        title_score=title_score,
        attributes_met=tuple(
            attribute_met(attribute, product, exact=not original) for attribute in goal.attributes
        ),
    )


def title_overlap(wanted: str, bought: str, *, repeats: bool) -> float:
    """Return the share of the wanted title's nouns that the bought title has; 0.2 where none.

    Args:
        wanted: the target's title.
        bought: the bought product's title.
        repeats: count a noun in the divisor as often as the title repeats it, as the original
            does (the target itself then scores below 1).
    """
    nouns_wanted = nouns(wanted)
    shared = set(nouns_wanted) & set(nouns(bought))
    total = len(nouns_wanted) if repeats else len(set(nouns_wanted))
    return len(shared) / total if total else 0.2


def type_reward(related: bool, title_score: float) -> float:
    """Return 1, 0.5, 0.1 or 0.

    Args:
        related: the shop query or two elements of the category path are the same.
        title_score: share of the target title's nouns; 0 and below 0.1 overrule ``related``.
    """
    if title_score < 0.1:
        return 0.1 if title_score else 0.0
    return 1.0 if related or title_score > 0.2 else 0.5


def attribute_met(wanted: str, product: Product, *, exact: bool = True) -> bool:
    """Return whether a product has an attribute: listed (fuzzily), or in one of its texts.

    Args:
        wanted: the goal's phrase.
        product: what was bought.
        exact: the very phrase in the list counts even where it has no letters to compare.
    """
    if exact and wanted in product.attributes:
        return True
    if any(alike(attribute, wanted) for attribute in product.attributes):
        return True
    return any(wanted in content for content in _lower_texts(product))


@lru_cache(maxsize=CACHED_TEXTS)
def _lower_texts(product: Product) -> tuple[str, str, str]:
    return product.title.lower(), " ".join(product.bullets).lower(), product.description.lower()
