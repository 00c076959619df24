"""Price caps of goals: drawn by name, or in the original's order for parity."""

from __future__ import annotations

import itertools
import random
from bisect import bisect_right
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from densegym.envs.shop.store import draws
from densegym.envs.shop.store.catalogue import Product
from densegym.envs.shop.store.store import Store

NO_CAP = 1_000_000.0
PARITY_SEED = 0
_STEPS = tuple(10.0 * step for step in range(1, 100))
_STEPS_ABOVE = 4


class Caps(Protocol):
    """Draws price caps: the larger of two of the next four multiples of ten, below 1,000."""

    def cap(self, product: Product, index: int, number: int, options: Mapping[str, str]) -> float:
        """Return the cap of a product's request.

        Args:
            product: the target.
            index: its place in the store.
            number: which of its requests.
            options: group -> value asked for, where they bear on the price.
        """


class HashedCaps:
    """Caps that belong to (store seed, asin, request): order and process do not matter."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def cap(self, product: Product, index: int, number: int, options: Mapping[str, str]) -> float:
        """Return the cap; see ``Caps``."""
        price = product.price_with(options, self._store.price(index))
        pairs = list(itertools.combinations(_above(price), 2))
        if not pairs:
            return NO_CAP
        place = draws.fraction(self._store.info.seed, "cap", product.asin, number)
        return pairs[int(place * len(pairs))][1]


class ParityCaps:
    """The original's one generator after ``random.seed(0)``: all ranged prices first, then caps.

    Attributes:
        prices: float64 (products,), what each product then sells for.
    """

    def __init__(self, store: Store) -> None:
        self._random = random.Random(PARITY_SEED)
        self._random.getrandbits(32)  # the process that made the fixtures drew one word before
        listed = store.listed_prices.tolist()
        self.prices = np.array(
            [
                self._random.uniform(first, last) if ranged else first
                for (first, last), ranged in zip(listed, store.ranged.tolist(), strict=True)
            ]
        )

    def cap(self, product: Product, index: int, number: int, options: Mapping[str, str]) -> float:
        """Return the next cap; the order of calls decides."""
        above = _above(float(self.prices[index]))
        return max(self._random.sample(above, 2)) if len(above) > 1 else NO_CAP


def cap_text(cap: float) -> str:
    """Return the end of an instruction that names the cap; empty for ``NO_CAP``."""
    return "" if cap == NO_CAP else f", and price lower than {cap:.2f} dollars"


def _above(price: float) -> tuple[float, ...]:
    first = bisect_right(_STEPS, price)
    return _STEPS[first : first + _STEPS_ABOVE]
