from pathlib import Path

import pytest

from densegym.envs.shop.session.world import Setting, ShopWorld
from densegym.envs.shop.sources.synthetic import SyntheticCatalogue
from densegym.envs.shop.store.store import build_store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the store of 600 made-up products."""
    folder = tmp_path_factory.mktemp("shop-agents") / "store"
    build_store(SyntheticCatalogue(600, seed=0), folder)
    return folder


@pytest.fixture(scope="session")
def train(store: Path) -> ShopWorld:
    """Return the training part of that shop."""
    return ShopWorld(Setting(store=store, goals="human", split="train"))


@pytest.fixture(scope="session")
def test(store: Path) -> ShopWorld:
    """Return its test part."""
    return ShopWorld(Setting(store=store, goals="human", split="test"))
