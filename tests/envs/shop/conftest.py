import os
from pathlib import Path

import pytest

from densegym.envs.shop.sources.original import read_products
from densegym.envs.shop.store.store import Store, build_store, open_store

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def webshop() -> Path:
    """Return the folder of the real products and fixtures; without it, the test is skipped."""
    given = os.environ.get("DENSEGYM_SHARED")
    folder = Path(given) if given else ROOT.parent / "shared" / "data" / "webshop"
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}")
    return folder


@pytest.fixture(scope="session")
def webshop_store(webshop: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return the store of the real 1,000 products."""
    folder = tmp_path_factory.mktemp("webshop") / "store"
    build_store(read_products(webshop, parity=True), folder)
    return open_store(folder)
