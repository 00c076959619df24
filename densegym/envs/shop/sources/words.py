"""The synthetic catalogue's words, read once from the package's own lists."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from typing import Any

from densegym import assets

_FOLDER = "shop/words"
# Shares of the departments among the original's 1,000 products.
DEPARTMENTS = {"beauty": 238, "electronics": 229, "garden": 216, "fashion": 200, "grocery": 117}


@dataclass(frozen=True, slots=True)
class Value:
    """An option value and what people say for it, the value itself where nothing else."""

    text: str
    said: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A leaf type of product.

    Attributes:
        department: e.g. ``"garden"``.
        noun: singular, e.g. ``"floor lamp"``.
        query: the shop query it is listed under.
        chain: category path.
        attributes: phrases that may hold for it, most usual first.
        options: names of the option lists that fit.
        price: typical price in dollars.
    """

    department: str
    noun: str
    query: str
    chain: tuple[str, ...]
    attributes: tuple[str, ...]
    options: tuple[str, ...]
    price: float


@dataclass(frozen=True, slots=True)
class Words:
    """Everything a product is made of."""

    kinds: dict[str, tuple[Kind, ...]]
    options: dict[str, tuple[str, tuple[Value, ...]]]
    syllables: tuple[str, ...]
    modifiers: tuple[str, ...]
    sentences: tuple[str, ...]
    paraphrases: dict[str, str]
    with_options: tuple[str, ...]
    without_options: tuple[str, ...]
    reviews: dict[int, tuple[str, ...]]


@cache
def load_words() -> Words:
    """Return the word lists."""
    common, requests = _read("common"), _read("requests")
    return Words(
        kinds={name: _kinds(name, tuple(common["attributes"])) for name in DEPARTMENTS},
        options={
            key: (entry["name"], tuple(_value(text) for text in entry["values"]))
            for key, entry in common["options"].items()
        },
        syllables=tuple(common["syllables"]),
        modifiers=tuple(common["modifiers"]),
        sentences=tuple(common["sentences"]),
        paraphrases=common["paraphrases"],
        with_options=tuple(requests["with_options"]),
        without_options=tuple(requests["without_options"]),
        reviews={int(stars): tuple(texts) for stars, texts in requests["reviews"].items()},
    )


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(assets.text(f"{_FOLDER}/{name}.toml"))


def _kinds(department: str, common: tuple[str, ...]) -> tuple[Kind, ...]:
    data = _read(department)
    own = tuple(data["attributes"])
    return tuple(
        Kind(
            department=department,
            noun=noun,
            query=plural(noun),
            chain=(*data["root"], *group["chain"], plural(noun).title()),
            attributes=own + tuple(phrase for phrase in common if phrase not in own),
            options=tuple(group["options"]),
            price=group["price"],
        )
        for group in data["group"]
        for noun in group["types"]
    )


def plural(noun: str) -> str:
    """Return a noun in the plural, as shop queries write it."""
    if noun.endswith(("s", "chips", "popcorn")):
        return noun
    if noun.endswith(("ch", "sh", "x")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def _value(text: str) -> Value:
    value, _, said = text.partition("|")
    return Value(value, said or value)
