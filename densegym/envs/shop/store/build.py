"""Writing a store: every product once, bounded memory, all or nothing."""

from __future__ import annotations

import errno
import json
from array import array
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from densegym.envs.shop.store import draws
from densegym.envs.shop.store.analysis import terms
from densegym.envs.shop.store.catalogue import Product, indexed_text
from densegym.envs.shop.store.index import ASIN, ATTRIBUTE, CATEGORY, QUERY, IndexWriter
from densegym.envs.shop.store.layout import FORMAT, HEADER, VERSION, read_header
from densegym.envs.shop.store.records import encode
from densegym.errors import DenseGymError, ResultsError

SYNTHETIC, HUMAN, RANGED = 1, 2, 4
_REPORT_EVERY = 1_000
_RENAMES = 10


def write_store(
    products: Iterable[Product],
    folder: Path,
    *,
    seed: int,
    on_progress: Callable[[int], None] | None,
) -> dict[str, Any]:
    """Write a store beside ``folder``, put it in place, return its header; see ``build_store``."""
    if (
        folder.exists()
        and not (folder / HEADER).is_file()
        and (not folder.is_dir() or any(folder.iterdir()))
    ):
        raise ResultsError(
            f"{folder} holds something that is not a shop store; it is left alone. "
            "Name a new or empty folder."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as work:
        fresh = Path(work) / "new"
        fresh.mkdir()
        header = _write_files(products, fresh, seed, on_progress)
        header["files"] = {path.name: path.stat().st_size for path in sorted(fresh.iterdir())}
        header["hash"] = _content_hash(header, fresh)
        (fresh / HEADER).write_text(json.dumps(header, indent=1), encoding="utf-8")
        for attempt in range(_RENAMES):
            if _same_store(folder, header) or _put_in_place(fresh, folder, work, attempt):
                return header
    raise ResultsError(f"{folder} is replaced by other processes all the time; nothing was built.")


def _same_store(folder: Path, header: dict[str, Any]) -> bool:
    """Return whether ``folder`` is a whole store of the same content."""
    try:
        return bool(read_header(folder)["hash"] == header["hash"])
    except ResultsError:
        return False


def _put_in_place(fresh: Path, folder: Path, work: str, attempt: int) -> bool:
    """Rename a built store to its place; return whether no other process was quicker."""
    try:
        if folder.exists():
            folder.rename(Path(work) / f"old{attempt}")
        fresh.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise
        return False
    return True


def _write_files(
    products: Iterable[Product],
    folder: Path,
    seed: int,
    on_progress: Callable[[int], None] | None,
) -> dict[str, Any]:
    """Write records, columns and index; return the header without files and hash."""
    index = IndexWriter(folder)
    offsets, listed, drawn, flags = array("Q", [0]), array("d"), array("d"), bytearray()
    with (folder / "records.bin").open("wb", buffering=1 << 20) as records:
        for count, product in enumerate(products, 1):
            record = encode(product)
            records.write(record)
            offsets.append(offsets[-1] + len(record))
            listed.extend((product.prices[0], product.prices[-1]))
            drawn.append(_drawn_price(product, seed))
            flags.append(_flags(product))
            index.add(terms(indexed_text(product)), _other_keys(product))
            if on_progress and count % _REPORT_EVERY == 0:
                on_progress(count)
    if not flags:
        raise DenseGymError("A catalogue needs at least one product; none was given.")
    index.finish()
    if on_progress:
        on_progress(len(flags))
    np.save(folder / "record_offsets.npy", np.frombuffer(offsets, np.uint64))
    np.save(folder / "listed_prices.npy", np.frombuffer(listed, np.float64).reshape(-1, 2))
    np.save(folder / "prices.npy", np.frombuffer(drawn, np.float64))
    np.save(folder / "flags.npy", np.frombuffer(flags, np.uint8))
    return {
        "format": FORMAT,
        "version": VERSION,
        "products": len(flags),
        "terms": index.terms,
        "postings": index.postings,
        "texts": index.texts,
        "average_length": index.tokens / index.texts if index.texts else 1.0,
        "seed": seed,
    }


def _flags(product: Product) -> int:
    synthetic = SYNTHETIC if product.instruction is not None else 0
    human = HUMAN if product.human else 0
    return synthetic | human | (RANGED if len(product.prices) > 1 else 0)


def _drawn_price(product: Product, seed: int) -> float:
    low, high = product.price_low, product.price_high
    if low == high:
        return low
    return round(low + (high - low) * draws.fraction(seed, "price", product.asin), 2)


def _other_keys(product: Product) -> list[str]:
    attributes = dict.fromkeys(product.attributes)
    return [
        *(ATTRIBUTE + attribute for attribute in attributes),
        CATEGORY + product.category,
        QUERY + product.query,
        ASIN + product.asin,
    ]


def _content_hash(header: dict[str, Any], folder: Path) -> str:
    """Return a hash over the header so far and every file."""
    total = blake2b(json.dumps(header, sort_keys=True).encode(), digest_size=16)
    for name in header["files"]:
        with (folder / name).open("rb") as file:
            while chunk := file.read(1 << 20):
                total.update(chunk)
    return total.hexdigest()
