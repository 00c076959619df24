"""A product as bytes: compact JSON, deflated; what the store keeps and fetches by number."""

from __future__ import annotations

import json
import zlib
from dataclasses import fields
from typing import Any

from densegym.envs.shop.store.catalogue import HumanInstruction, Product, Review

_NAMES = tuple(field.name for field in fields(Product))
_DEFLATE_LEVEL = 1  # a thirtieth larger than the default, and sooner done


def encode(product: Product) -> bytes:
    """Return a product's record; about half the size of its JSON."""
    row = [getattr(product, name) for name in _NAMES]
    content = json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=_plain)
    return zlib.compress(content.encode("utf-8", "surrogatepass"), _DEFLATE_LEVEL)


def _plain(value: Any) -> Any:
    # Not dataclasses.astuple, whose deep copies took a tenth of a build.
    if isinstance(value, HumanInstruction):
        return value.instruction, value.attributes, value.options
    if isinstance(value, Review):
        return value.stars, value.text, value.title
    return dict(value)


def decode(record: bytes) -> Product:
    """Return the product of a record."""
    content = zlib.decompress(record).decode("utf-8", "surrogatepass")
    row: dict[str, Any] = dict(zip(_NAMES, json.loads(content), strict=True))
    for name in ("bullets", "prices", "chain", "attributes", "instruction_attributes"):
        row[name] = tuple(row[name])
    row["options"] = {group: tuple(values) for group, values in row["options"].items()}
    row["human"] = tuple(
        HumanInstruction(instruction=sentence, attributes=tuple(wanted), options=tuple(options))
        for sentence, wanted, options in row["human"]
    )
    row["reviews"] = tuple(
        Review(stars=stars, text=text, title=title) for stars, text, title in row["reviews"]
    )
    return Product(**row)
