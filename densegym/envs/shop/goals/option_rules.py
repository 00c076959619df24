"""When a chosen option is the one asked for: the original's fuzzy rule and the strict one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache

from densegym.assets import text
from densegym.envs.shop.goals.fuzzy import alike
from densegym.envs.shop.store.catalogue import Product

Wanted = Mapping[str, str] | tuple[str, ...]
_TOKEN = re.compile(r"\d+(?:\.\d+)?|''|[\"″”'′’+]|[^\W\d_]+")  # noqa: RUF001


def webshop_met(wanted: Wanted, chosen: Mapping[str, str]) -> tuple[bool, ...]:
    """Return which wanted options are met by the original's rule.

    Both sides are reduced to the first colour of a fixed list that occurs in them, then compared
    by token set ratio, whatever their groups. A wanted (group, value) pair is only reduced where
    one of the two is a colour, and compared as the text of the pair: the original's slip.
    """
    pairs = wanted.items() if isinstance(wanted, Mapping) else wanted
    values = [_reduced(value) for value in chosen.values()]
    return tuple(any(alike(value, _reduced(item)) for value in values) for item in pairs)


@lru_cache(maxsize=1 << 16)
def _reduced(item: str | tuple[str, str]) -> str:
    """Return the first colour in a text or pair, alphabetically, else its text."""
    return next((colour for colour in colours() if colour in item), str(item))


@cache
def colours() -> tuple[str, ...]:
    """Return the original's 102 colour words, alphabetical."""
    return tuple(text("shop/colours.txt").split())


def strict_met(wanted: Wanted, product: Product, chosen: Mapping[str, str]) -> tuple[bool, ...]:
    """Return which wanted options are met by value and, where the goal names it, by group.

    Where the product offers the very value asked for, only that one counts; else a value of the
    same words and numbers, with units and spellings folded (``assets/shop/synonyms.toml``), or,
    for a bare colour, a value that has it as a whole word.

    Args:
        wanted: the goal's options.
        product: what was bought.
        chosen: group -> value.
    """
    if isinstance(wanted, Mapping):
        return tuple(
            _met(value, product, chosen, _groups(group, product)) for group, value in wanted.items()
        )
    return tuple(_met(value, product, chosen, tuple(product.options)) for value in wanted)


def _groups(wanted: str, product: Product) -> tuple[str, ...]:
    """Return the product's groups of that name, or, where there is none, of the same words."""
    if wanted in product.options:
        return (wanted,)
    words = _folded(wanted)
    return tuple(group for group in product.options if words and _folded(group) == words)


def _met(wanted: str, product: Product, chosen: Mapping[str, str], groups: tuple[str, ...]) -> bool:
    offered = any(wanted in product.options[group] for group in groups)
    return any(
        _counts(wanted, chosen[group], exactly=offered) for group in groups if group in chosen
    )


def _counts(wanted: str, chosen: str, *, exactly: bool) -> bool:
    if exactly or wanted == chosen:
        return wanted == chosen
    words = _folded(chosen)
    if words and words == _folded(wanted):
        return True
    return wanted in colours() and _folded(wanted)[0] in words


@lru_cache(maxsize=1 << 16)
def _folded(value: str) -> tuple[str | float, ...]:
    """Return a value's words and numbers, spellings folded; ``''`` is one sign for inches."""
    fold = _synonyms()
    return tuple(
        float(token) if token[0].isdecimal() else fold.get(token, token)
        for token in _TOKEN.findall(value.lower())
    )


@cache
def _synonyms() -> dict[str, str]:
    table: dict[str, list[str]] = tomllib.loads(text("shop/synonyms.toml"))
    return {word: key for key, words in table.items() for word in words}
