"""An immutable catalogue on disk: memory-mapped, opened in milliseconds, shared by processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from densegym.envs.shop.store.build import HUMAN, RANGED, SYNTHETIC, write_store
from densegym.envs.shop.store.catalogue import Product
from densegym.envs.shop.store.index import ASIN
from densegym.envs.shop.store.layout import mapped, read_header
from densegym.envs.shop.store.records import decode
from densegym.envs.shop.store.search import Searcher

CACHED_PRODUCTS = 8_192


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInfo:
    """What was built.

    Attributes:
        folder: where.
        products: how many.
        terms: distinct keys of the index, all fields together.
        postings: (key, product) pairs of the index.
        seed: key of the drawn prices and caps.
        hash: content hash over every file, hex.
        bytes: size on disk.
    """

    folder: Path
    products: int
    terms: int
    postings: int
    seed: int
    hash: str
    bytes: int


class Store:
    """A catalogue, opened; made by ``open_store``. Products are numbered from 0 in file order.

    Safe to use from several threads. A copy or a pickle opens the same folder anew.

    Attributes:
        info: sizes, seed, hash.
        search: the ranking engine; its method has the same name: ``store.search.search(query)``.
        listed_prices: float64 (products, 2), first and last price of every product as listed.
        prices: float64 (products,), the price each product sells for: its one price, or a draw
            inside its range keyed by (seed, asin), the same in every process and order.
    """

    def __init__(self, info: StoreInfo, header: dict[str, Any]) -> None:
        folder = info.folder
        self.info = info
        self.search = Searcher(
            folder,
            texts=header["texts"],
            average_length=header["average_length"],
            seed=info.seed,
        )
        self.listed_prices = mapped(folder, "listed_prices")
        self.prices = mapped(folder, "prices")
        self._flags = mapped(folder, "flags")
        self._offsets = mapped(folder, "record_offsets").data
        self._records = np.memmap(folder / "records.bin", np.uint8, "r").data
        self._cached = lru_cache(maxsize=CACHED_PRODUCTS)(self._decoded)

    def __len__(self) -> int:
        return self.info.products

    def __reduce__(self) -> tuple[Callable[[Path], Store], tuple[Path]]:
        return open_store, (self.info.folder,)

    @property
    def hash(self) -> str:
        """Return the content hash (hex); equal stores are interchangeable."""
        return self.info.hash

    def product(self, index: int) -> Product:
        """Return a product (the last 8,192 are kept decoded).

        Raises:
            IndexError: no such product.
        """
        return self._cached(index)

    def _decoded(self, index: int) -> Product:
        if not 0 <= index < len(self):
            raise IndexError(f"product {index}: the store has 0 to {len(self) - 1}")
        return decode(bytes(self._records[self._offsets[index] : self._offsets[index + 1]]))

    def price(self, index: int) -> float:
        """Return the price a product sells for where no variant has its own (see ``prices``)."""
        return float(self.prices[index])

    def index_of(self, asin: str) -> int | None:
        """Return a product's index, or None."""
        found = self.search.find(ASIN, asin)
        return int(found[0]) if len(found) else None

    @property
    def ranged(self) -> NDArray[np.bool_]:
        """Return which products list two prices, (products,)."""
        return np.asarray(self._flags & RANGED, np.bool_)

    def with_instruction(self, style: Literal["human", "synthetic"]) -> list[int]:
        """Return the indexes of products with such an instruction, in file order."""
        mask = HUMAN if style == "human" else SYNTHETIC
        return np.flatnonzero(self._flags & mask).tolist()


def build_store(
    products: Iterable[Product],
    folder: Path,
    *,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> StoreInfo:
    """Write a store; ``folder`` appears complete or not at all (temporary folder, then rename).

    Args:
        products: read once, in file order; memory stays bounded.
        folder: must not exist yet, be empty, or hold a store, which is replaced; one of the same
            content is left, so that processes may build the same store at the same time.
        seed: key of the prices drawn inside ranges and of the goals' price caps.
        on_progress: called with the number of products read, every thousand and at the end.

    Raises:
        DenseGymError: no product, or two products with one asin.
        ResultsError: ``folder`` holds something that is not a store.
    """
    folder = Path(folder)
    return _info(folder, write_store(products, folder, seed=seed, on_progress=on_progress))


def open_store(folder: Path) -> Store:
    """Open a store; nothing but its header is read, the rest is mapped.

    Raises:
        ResultsError: nothing there, another version, or damaged files; says what to type.
    """
    folder = Path(folder)
    header = read_header(folder)
    return Store(_info(folder, header), header)


def _info(folder: Path, header: dict[str, Any]) -> StoreInfo:
    return StoreInfo(
        folder=folder,
        products=header["products"],
        terms=header["terms"],
        postings=header["postings"],
        seed=header["seed"],
        hash=header["hash"],
        bytes=sum(header["files"].values()),
    )
