"""The catalogue that ships: made-up products with the statistics of WebShop's real ones.

A product depends on (seed, number, level) alone, through a counter-based generator, so a small
catalogue is the beginning of a large one. Levels: 1 plays by WebShop's rules; 2 adds ratings and
reviews; 3 also gives variants prices of their own; 4 makes people's requests vague.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator

import numpy as np

from densegym.envs.shop.sources.requests import human_request
from densegym.envs.shop.sources.words import DEPARTMENTS, Kind, Value, Words, load_words
from densegym.envs.shop.store.catalogue import Product, Review
from densegym.errors import DenseGymError

VERSION = 1
LEVELS = (1, 2, 3, 4)
_DRAWS = 320  # uniform numbers a product may use
_NEAR = 200  # how far back a near-duplicate looks for its model
_DUPLICATES = 0.2
_NO_ATTRIBUTE = 0.185
_GROUPS = (0.577, 0.822, 0.987, 1.0)  # cumulative shares of 0, 1, 2, 3 option groups
_RANGED = 0.093
_NO_DESCRIPTION = 0.3
_ZIPF = 1.1
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CODES = 36**8
_STRIDE = 1_234_567_891  # coprime to the number of codes, so that no two products share one


class Draws:
    """A product's own stream of uniform numbers.

    Args:
        seed: of the catalogue.
        number: of the product.
    """

    def __init__(self, seed: int, number: int) -> None:
        bits = np.random.Philox(key=np.array([seed, number], np.uint64))
        self._next = iter(np.random.Generator(bits).random(_DRAWS).tolist()).__next__

    def share(self) -> float:
        """Return a number in [0, 1)."""
        return float(self._next())

    def below(self, n: int) -> int:
        """Return a whole number in [0, n)."""
        return int(self._next() * n)

    def geometric(self, mean: float) -> int:
        """Return 0, 1, 2 ... with this mean."""
        return int(math.log1p(-self._next()) / math.log(mean / (1.0 + mean)))

    def choose(self, items: tuple[str, ...], n: int) -> list[str]:
        """Return n different items, evenly drawn."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(min(n, len(left)))]


class SyntheticCatalogue:
    """Products made on demand; iterate it, take its length, or ask for one.

    Args:
        n_products: how many.
        seed: another seed is another catalogue.
        level: 1 to 4.

    Raises:
        DenseGymError: a number out of range.
    """

    def __init__(self, n_products: int, *, seed: int = 0, level: int = 1) -> None:
        if n_products < 1 or n_products > _CODES:
            raise DenseGymError(f"a catalogue has 1 to {_CODES} products; given {n_products}")
        if level not in LEVELS:
            raise DenseGymError(f"levels are 1 to 4; given {level}")
        self._n, self._seed, self._level = n_products, seed, level
        self._words = load_words()

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[Product]:
        return map(self.product, range(self._n))

    def product(self, number: int) -> Product:
        """Return a product by its number.

        Raises:
            IndexError: no such product.
        """
        if not 0 <= number < self._n:
            raise IndexError(f"product {number}: the catalogue has 0 to {self._n - 1}")
        draws = Draws(self._seed, number)
        if draws.share() < _DUPLICATES and number:
            model = self._fresh(number - 1 - draws.below(min(number, _NEAR)))
            return _near_duplicate(model, _asin(number), draws, self._words)
        return self._fresh(number)

    def _fresh(self, number: int) -> Product:
        words, draws = self._words, Draws(self._seed, number)
        draws.share()  # the one that decides on near-duplicates
        kind = _kind(draws, words)
        attributes = _attributes(draws, kind)
        options = _options(draws, kind, words)
        brand = "".join(draws.choose(words.syllables, 2 + draws.below(2))).title()
        product = Product(
            asin=_asin(number),
            title=_title(draws, brand, kind, attributes, words),
            category=kind.department,
            query=kind.query,
            chain=kind.chain,
            bullets=_bullets(draws, brand, kind, attributes, words),
            description=_description(draws, brand, kind, attributes, words),
            options={name: tuple(v.text for v in values) for name, values in options.items()},
            attributes=attributes,
        )
        product = _priced(draws, product, kind, own_prices=self._level >= 3)
        if self._level >= 2:
            product = _reviewed(draws, product, words)
        if len(attributes) < 2:
            return product
        wanted = attributes[: 2 + min(draws.geometric(2.4), 13)]
        return dataclasses.replace(
            product,
            instruction=f"Find me {', '.join(wanted)} {kind.query}",
            instruction_attributes=wanted,
            human=(human_request(draws, kind, wanted, options, words, vague=self._level >= 4),),
        )


def _asin(number: int) -> str:
    code, digits = (number * _STRIDE + 7) % _CODES, []
    for _ in range(8):
        code, digit = divmod(code, 36)
        digits.append(_DIGITS[digit])
    return "DG" + "".join(reversed(digits))


def _kind(draws: Draws, words: Words) -> Kind:
    place = draws.share() * sum(DEPARTMENTS.values())
    bounds = zip(DEPARTMENTS, itertools.accumulate(DEPARTMENTS.values()), strict=True)
    kinds = words.kinds[next(name for name, bound in bounds if place < bound)]
    return kinds[draws.below(len(kinds))]


def _attributes(draws: Draws, kind: Kind) -> tuple[str, ...]:
    """Return phrases that hold, usual ones more often (Zipf's law)."""
    if draws.share() < _NO_ATTRIBUTE:
        return ()
    wanted = min(1 + draws.geometric(2.8), 27)
    size = len(kind.attributes)
    found: dict[str, None] = {}
    # The k-th phrase has weight k^-1.1; its cumulative sum is close to a power, which is inverted.
    top = (1.0 + size) ** (1.0 - _ZIPF)
    for _ in range(2 * wanted):
        place = (1.0 + draws.share() * (top - 1.0)) ** (1.0 / (1.0 - _ZIPF)) - 1.0
        found[kind.attributes[min(int(place), size - 1)]] = None
        if len(found) == wanted:
            break
    return tuple(found)


def _options(draws: Draws, kind: Kind, words: Words) -> dict[str, tuple[Value, ...]]:
    place = draws.share()
    wanted = next(count for count, share in enumerate(_GROUPS) if place < share)
    options: dict[str, tuple[Value, ...]] = {}
    for key in kind.options:
        if len(options) == wanted:
            break
        name, values = words.options[key]
        if name in options:
            continue
        n = min(2 + draws.geometric(3.9), len(values))
        first = draws.below(len(values) - n + 1)
        options[name] = values[first : first + n]
    return options


def _title(draws: Draws, brand: str, kind: Kind, attributes: tuple[str, ...], words: Words) -> str:
    shown = [phrase.title() for phrase in attributes[: 2 + draws.below(3)]]
    extras = draws.choose(words.modifiers, 2 + draws.below(3))
    return " ".join([brand, *shown, kind.noun.title(), *(text.title() for text in extras)])


def _bullets(
    draws: Draws, brand: str, kind: Kind, attributes: tuple[str, ...], words: Words
) -> tuple[str, ...]:
    place = draws.share()
    count = 1 if place < 0.113 else 5 if place < 0.674 else 2 + draws.below(7)
    named = [phrase for phrase in attributes if draws.share() < 0.7]
    lines = []
    for number in range(count):
        phrase = named[number] if number < len(named) else kind.noun
        told = " ".join(_sentence(draws, brand, kind, phrase, words) for _ in range(2))
        lines.append(f"{phrase.upper()}: {told}")
    return tuple(lines)


def _description(
    draws: Draws, brand: str, kind: Kind, attributes: tuple[str, ...], words: Words
) -> str:
    if draws.share() < _NO_DESCRIPTION:
        return ""
    said = [words.paraphrases.get(phrase, phrase) for phrase in attributes] or ["quality"]
    count = 6 + draws.below(8)
    return " ".join(
        _sentence(draws, brand, kind, said[number % len(said)], words) for number in range(count)
    )


def _sentence(draws: Draws, brand: str, kind: Kind, phrase: str, words: Words) -> str:
    form = words.sentences[draws.below(len(words.sentences))]
    return form.format(brand=brand, type=kind.noun, attribute=phrase)


def _priced(draws: Draws, product: Product, kind: Kind, *, own_prices: bool) -> Product:
    """Return the product with one price, or a range; variants of a range may have their own."""
    normal = math.sqrt(-2.0 * math.log(1.0 - draws.share())) * math.cos(math.tau * draws.share())
    low = round(max(kind.price * math.exp(0.6 * normal), 1.0), 2)
    stretch = 1.2 + draws.share()
    share = 0.5 if own_prices else _RANGED
    if draws.share() >= share:
        return dataclasses.replace(product, prices=(low,), price_text=f"${low}")
    high = round(low * stretch, 2)
    surcharges = {}
    if own_prices and product.options:
        name, values = next(iter(product.options.items()))
        step = (high - low) / max(len(values) - 1, 1)
        surcharges = {name: {value: round(n * step, 2) for n, value in enumerate(values)}}
    text = f"${low} to ${high}"
    return dataclasses.replace(product, prices=(low, high), price_text=text, surcharges=surcharges)


def _reviewed(draws: Draws, product: Product, words: Words) -> Product:
    centre = 2.5 + 2.5 * draws.share()
    stars = [min(max(round(centre + 2 * draws.share() - 1), 1), 5) for _ in range(draws.below(6))]
    reviews = tuple(
        Review(stars=n, text=words.reviews[n][draws.below(len(words.reviews[n]))]) for n in stars
    )
    rating = round(sum(stars) / len(stars), 1) if stars else None
    return dataclasses.replace(product, rating=rating, reviews=reviews)


def _near_duplicate(model: Product, asin: str, draws: Draws, words: Words) -> Product:
    """Return a product that differs from its model in one attribute, or lacks one option value."""
    changed = dataclasses.replace(
        model, asin=asin, instruction=None, instruction_attributes=(), human=()
    )
    long = {name: values for name, values in model.options.items() if len(values) > 2}
    if long and draws.share() < 0.5:
        name, values = next(iter(long.items()))
        gone = draws.below(len(values))
        return dataclasses.replace(
            changed,
            options={**model.options, name: values[:gone] + values[gone + 1 :]},
            surcharges={},
        )
    if not model.attributes:
        return changed
    old = model.attributes[draws.below(len(model.attributes))]
    kinds = words.kinds[model.category]
    new = kinds[0].attributes[draws.below(len(kinds[0].attributes))]
    while new in model.attributes:
        new = kinds[0].attributes[draws.below(len(kinds[0].attributes))]
    return dataclasses.replace(
        changed,
        title=_swapped(model.title, old, new),
        description=_swapped(model.description, words.paraphrases.get(old, old), new),
        bullets=tuple(_swapped(line, old, new) for line in model.bullets),
        attributes=tuple(new if phrase == old else phrase for phrase in model.attributes),
    )


def _swapped(text: str, old: str, new: str) -> str:
    return (
        text.replace(old, new).replace(old.title(), new.title()).replace(old.upper(), new.upper())
    )
