"""Small made-up catalogues."""

from pathlib import Path

from hypothesis import strategies as st

from densegym.envs.shop.store.catalogue import HumanInstruction, Product, Review
from densegym.envs.shop.store.store import Store, build_store, open_store

VOCABULARY = ("red", "lamp", "lamps", "desk", "oak", "running", "size", "the", "x1", "12.5", "café")
WORDS = st.sampled_from(VOCABULARY)
PHRASES = st.lists(WORDS, max_size=6).map(" ".join)


def lamp(number: int = 0, **changes: object) -> Product:
    """Return a product with options, a range of prices and both kinds of instruction."""
    fields: dict[str, object] = {
        "asin": f"L{number:04d}",
        "title": f"Brass Lamp {number}",
        "description": "A lamp for the desk.",
        "bullets": ("easy clean brass", "two bulbs"),
        "prices": (12.5, 30.0),
        "price_text": "$12.5 to $30.0",
        "category": "garden",
        "query": "desk lamps",
        "chain": ("Home", "Lighting", "Lamps"),
        "options": {"color": ("red", "dark red", "navy"), "size": ("8 oz", "12 inch")},
        "attributes": ("easy clean", "long lasting"),
        "instruction": "Find me easy clean lamps",
        "instruction_attributes": ("easy clean",),
        "human": (
            HumanInstruction(
                instruction="i want a red lamp.", attributes=("easy clean",), options=("red",)
            ),
            HumanInstruction(instruction="asks for nothing"),
        ),
        "rating": 4.5,
        "reviews": (Review(stars=5, text="bright", title="good"),),
        "image": "lamp.png",
    }
    return Product(**{**fields, **changes})  # type: ignore[arg-type]


def plain(asin: str, **changes: object) -> Product:
    """Return a product with little on it."""
    return Product(**{"asin": asin, "title": "", "category": "c", "query": "q", **changes})  # type: ignore[arg-type]


def built(folder: Path, *products: Product, seed: int = 0) -> Store:
    """Return the opened store of some products."""
    build_store(products, folder, seed=seed)
    return open_store(folder)
