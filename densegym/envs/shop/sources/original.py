"""Reading the original's product files, of any size, without changing them."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from densegym.envs.shop.sources.json_stream import JsonStream
from densegym.envs.shop.store.catalogue import HumanInstruction, Product, chain_of
from densegym.errors import DenseGymError

DUMMY_ATTRIBUTE = "DUMMY_ATTR"
MAX_PRICE = 1e9
_NOT_PRICE = re.compile(r"[^\d.]")
_NAME = re.compile(r"(items_shuffle|items_ins_v2|items_human_ins)(?:_(\w+))?\.jsonl?(?:\.gz)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The original's files, plain or gzip.

    Attributes:
        items: ``items_shuffle*.json`` or ``.jsonl``.
        attributes: ``items_ins_v2*.json``, or None.
        human: ``items_human_ins*.json``, or None.
    """

    items: Path
    attributes: Path | None = None
    human: Path | None = None


def find_files(folder: Path, *, variant: str | None = None) -> Files:
    """Find the original's files in a folder by their names.

    Args:
        folder: where they lie.
        variant: what follows the name, e.g. ``"1000"`` for ``items_shuffle_1000.json``. None takes
            the file without one where there is such a file, else the only one.

    Raises:
        DenseGymError: no items file, or several to choose from.
    """
    found: dict[str, dict[str | None, Path]] = {}
    if not folder.is_dir():
        raise DenseGymError(f"{folder} is no folder; name one with items_shuffle*.json in it.")
    for path in sorted(folder.iterdir()):
        if match := _NAME.fullmatch(path.name):
            found.setdefault(match[1], {})[match[2]] = path
    items = found.get("items_shuffle", {})
    if not items or (variant is not None and variant not in items):
        wanted = f"items_shuffle_{variant}" if variant else "items_shuffle*"
        raise DenseGymError(f"{folder} has no {wanted}.json or .jsonl (.gz allowed).")
    if variant is None and None not in items:
        if len(items) > 1:
            names = ", ".join(path.name for path in items.values())
            raise DenseGymError(f"{folder} has {names}; say which by its variant.")
        variant = next(iter(items))
    return Files(
        items=items[variant],
        attributes=_companion(found.get("items_ins_v2", {}), variant),
        human=_companion(found.get("items_human_ins", {}), variant),
    )


def _companion(paths: dict[str | None, Path], variant: str | None) -> Path | None:
    """Return the file of the same variant, else the plain one, else the only one, else None."""
    only = next(iter(paths.values())) if len(paths) == 1 else None
    return paths.get(variant) or paths.get(None) or only


def read_products(
    source: Path | Files,
    *,
    limit: int | None = None,
    parity: bool = False,
    skipped: Counter[str] | None = None,
) -> Iterator[Product]:
    """Yield products in file order, with bounded memory.

    The attribute file is held in compact form until its products come by: some 350 MB at 1.18
    million products, less as reading goes on.

    Args:
        source: a folder, or the files.
        limit: read only the first records (skipped ones count, as in the original).
        parity: a product without an attribute row gets ``DUMMY_ATTR`` as the original does, else
            no attributes.
        skipped: counts what the original leaves out, by reason: ``"asin 'nan'"``,
            ``"asin over 10 characters"``, ``"asin seen before"``.

    Raises:
        DenseGymError: malformed or truncated JSON, a missing field, a price that is no number;
            names the file, the record and the position.
    """
    files = source if isinstance(source, Files) else find_files(Path(source))
    rows = _rows(files.attributes, dict)
    humans = _rows(files.human, list)
    seen: set[str] = set()
    stream = JsonStream(files.items)
    for number, record in enumerate(stream.elements()):
        if number == limit:
            return
        reader = _Record(record, stream)
        reason = reader.reason_to_skip(seen)
        if reason:
            if skipped is not None:
                skipped[reason] += 1
            continue
        seen.add(reader.asin)
        yield reader.product(rows, humans, (DUMMY_ATTRIBUTE,) if parity else ())


def _rows(path: Path | None, kind: type) -> dict[str, str]:
    """Return asin -> compact JSON of its row; text, since decoded rows take ten times the room."""
    rows: dict[str, str] = {}
    if path is None:
        return rows
    stream = JsonStream(path)
    for asin, row in stream.members():
        if not isinstance(row, kind):
            raise stream.error(f"the row of {asin} should be a {kind.__name__}")
        rows[asin] = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    return rows


class _Record:
    """One raw product on its way in."""

    def __init__(self, raw: Any, stream: JsonStream) -> None:
        self._stream = stream
        self.asin = "?"
        if not isinstance(raw, dict):
            raise self._error(f"a product should be an object, not {type(raw).__name__}")
        self._raw = raw
        self.asin = self._text("asin")
        if not self.asin:
            raise self._error("asin is empty")

    def _error(self, what: str) -> DenseGymError:
        return self._stream.error(f"product {self.asin}: {what}")

    def reason_to_skip(self, seen: set[str]) -> str | None:
        """Return why the original leaves the product out, or None."""
        if self.asin == "nan":
            return "asin 'nan'"
        if len(self.asin) > 10:
            return "asin over 10 characters"
        return "asin seen before" if self.asin in seen else None

    def product(
        self, rows: dict[str, str], humans: dict[str, str], default: tuple[str, ...]
    ) -> Product:
        """Return the product; takes its rows out of the tables."""
        row = json.loads(rows.pop(self.asin, "{}"))
        attributes = (
            self._texts(row["attributes"], "attributes") if "attributes" in row else default
        )
        prices, price_text = self._prices()
        images = self._texts(self._raw.get("images"), "images")
        return Product(
            asin=self.asin,
            title=self._text("name"),
            description=self._text("full_description"),
            bullets=self._texts(self._raw.get("small_description"), "small_description"),
            prices=prices,
            price_text=price_text,
            category=self._text("category"),
            query=self._text("query").lower().strip(),
            chain=chain_of(self._text("product_category")),
            options=self._options(),
            attributes=attributes,
            instruction=row.get("instruction"),
            instruction_attributes=self._texts(
                row.get("instruction_attributes"), "instruction_attributes"
            ),
            human=self._human(json.loads(humans.pop(self.asin, "[]"))),
            image=images[0] if images else "",
        )

    def _text(self, name: str) -> str:
        """Return a text field; null is empty, as is nothing else."""
        if name not in self._raw:
            raise self._error(f'the field "{name}" is missing')
        value = self._raw[name]
        if value is not None and not isinstance(value, str):
            raise self._error(f'"{name}" should be text, not {value!r:.60}')
        return value or ""

    def _texts(self, value: Any, name: str) -> tuple[str, ...]:
        if value is None:
            return ()
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._error(f'"{name}" should be a list of texts, not {value!r:.60}')
        return tuple(value)

    def _prices(self) -> tuple[tuple[float, ...], str]:
        pricing = self._raw.get("pricing")
        if not pricing:
            return (100.0,), "$100.0"
        try:
            prices = [float(Decimal(_NOT_PRICE.sub("", p))) for p in pricing.split("$")[1:]]
        except (AttributeError, InvalidOperation) as error:
            raise self._error(f"the price {pricing!r:.60} is no number") from error
        if not prices or not all(math.isfinite(price) and price <= MAX_PRICE for price in prices):
            raise self._error(f"the price {pricing!r:.60} is absurd; expected e.g. '$12.99'")
        if len(prices) == 1:
            return (prices[0],), f"${prices[0]}"
        return (prices[0], prices[1]), f"${prices[0]} to ${prices[1]}"

    def _options(self) -> dict[str, tuple[str, ...]]:
        raw = self._raw.get("customization_options")
        if not raw:
            return {}
        try:
            return {
                group.lower(): tuple(
                    choice["value"].strip().replace("/", " | ").lower() for choice in choices
                )
                for group, choices in raw.items()
                if choices is not None
            }
        except (AttributeError, KeyError, TypeError) as error:
            raise self._error(
                '"customization_options" should map names to lists of {"value": text}, '
                f"not {raw!r:.60}"
            ) from error

    def _human(self, rows: list[Any]) -> tuple[HumanInstruction, ...]:
        try:
            return tuple(
                HumanInstruction(
                    instruction=row["instruction"],
                    attributes=self._texts(row["instruction_attributes"], "attributes"),
                    options=self._texts(row["instruction_options"], "options"),
                )
                for row in rows
            )
        except (KeyError, TypeError) as error:
            raise self._error(f"a row of the human instructions is malformed: {error!r}") from error
