"""Which catalogue ``store=`` means, built once into the user's cache and opened once a process."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

from densegym.cache import cache_folder
from densegym.envs.shop.goals.goals import Goal, Part, SplitRule, Style, build_goals, split
from densegym.envs.shop.sources.original import Files, find_files, read_products
from densegym.envs.shop.store.catalogue import Product
from densegym.envs.shop.store.layout import HEADER
from densegym.envs.shop.store.store import Store, build_store, open_store
from densegym.errors import DenseGymError, unknown

WEBSHOP_DIR = "DENSEGYM_WEBSHOP_DIR"
SYNTHETIC = {"synthetic-1k": 1_000, "synthetic-10k": 10_000, "synthetic-100k": 100_000}
LEVELS = ("", "-level2", "-level3", "-level4")
WEBSHOP = {"webshop": None, "webshop-1k": "1000"}
GOALS_OF_LARGE_STORES = 5  # option choices kept of a product where products are many
LARGE = 20_000
OnProgress = Callable[[int], None]


def find_store(name: str | Path, *, on_progress: OnProgress | None = None) -> Path:
    """Return the folder of a built store, building it on first use.

    Args:
        name: ``"synthetic-1k"`` and larger, ``"webshop"`` or ``"webshop-1k"`` for the original's
            files in the folder that ``DENSEGYM_WEBSHOP_DIR`` names, the path of a built store, or
            the path of a folder with the original's files.
        on_progress: called with the number of products read.

    Raises:
        UnknownNameError: no such store.
        DenseGymError: the original's files are missing or damaged.
    """
    path = Path(name)
    if (path / HEADER).is_file():
        return path
    if path.is_dir():
        return _from_original(find_files(path), on_progress)
    name = str(name)
    if name in WEBSHOP:
        return _from_original(_webshop_files(name), on_progress)
    plain, _, level = name.partition("-level")
    if plain in SYNTHETIC and level in ("", "2", "3", "4"):
        return _synthetic(name, SYNTHETIC[plain], int(level or 1), on_progress)
    known = (*SYNTHETIC, *WEBSHOP)
    raise unknown("store", name, known, see=f"a folder, or one of {', '.join(known)}")


@lru_cache(maxsize=8)
def shared_store(folder: Path) -> Store:
    """Return an opened store; all environments of a process share it."""
    return open_store(folder)


@lru_cache(maxsize=16)
def shared_goals(
    folder: Path, style: Style, parity: bool, rule: SplitRule, part: Part
) -> tuple[Goal, ...]:
    """Return goals of a store; all environments of a process share them.

    Raises:
        DenseGymError: the store has none of that style, or the part is empty.
    """
    goals = split(_all_goals(folder, style, parity), rule=rule, part=part)
    if not goals:
        raise DenseGymError(f"{folder} has no {style} goals in the part {part!r} by rule {rule!r}")
    return goals


@lru_cache(maxsize=4)
def _all_goals(folder: Path, style: Style, parity: bool) -> tuple[Goal, ...]:
    store = shared_store(folder)
    most = GOALS_OF_LARGE_STORES if len(store) > LARGE and not parity else None
    return build_goals(store, style=style, parity=parity, per_product=most)


def _webshop_files(name: str) -> Files:
    folder = os.environ.get(WEBSHOP_DIR)
    if not folder:
        raise DenseGymError(
            f'the store "{name}" needs the original\'s files; they do not ship. Set {WEBSHOP_DIR} '
            "to the folder with items_shuffle*.json, or type store=FOLDER."
        )
    return find_files(Path(folder), variant=WEBSHOP[name])


def _from_original(files: Files, on_progress: OnProgress | None) -> Path:
    """Build from the original's files; the key changes when a file does."""
    paths = [path for path in (files.items, files.attributes, files.human) if path is not None]
    told = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    digest = hashlib.sha256(repr(told).encode()).hexdigest()[:16]
    return _built(f"webshop-{digest}", lambda: read_products(files, parity=True), on_progress)


def _synthetic(name: str, products: int, level: int, on_progress: OnProgress | None) -> Path:
    from densegym.envs.shop.sources.synthetic import VERSION, SyntheticCatalogue

    def catalogue() -> Iterable[Product]:
        return SyntheticCatalogue(products, level=level)

    return _built(f"{name}-v{VERSION}", catalogue, on_progress)


def _built(
    name: str, products: Callable[[], Iterable[Product]], on_progress: OnProgress | None
) -> Path:
    folder = cache_folder() / "shops" / name
    if not (folder / HEADER).is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        build_store(products(), folder, on_progress=on_progress)
    return folder
