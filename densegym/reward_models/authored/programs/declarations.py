"""What a language model declares of its terms, kept as comments in the program it wrote.

The ledger holds sources, not replies. Comments travel with the source, change neither the code
nor its hash, and let a later iteration compare what was expected with what was measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

MOST = 16
_MARK = "# declared: "
_SIGNS = {"+": "+", "-": "-", "−": "-", "±": "±", "+-": "±", "+/-": "±"}
_LONGEST = 160  # characters of an intent


class Component(NamedTuple):
    """A term as its author expects it at a single step.

    Attributes:
        name: of the term.
        intent: what it pays for.
        sign: ``"+"``, ``"-"`` or ``"±"``.
        low: least value, or -inf.
        high: largest value, or inf.
    """

    name: str
    intent: str = ""
    sign: str = "±"
    low: float = -math.inf
    high: float = math.inf


def parse_components(value: Any) -> tuple[Component, ...] | None:
    """Return the components of a reply's JSON, without malformed entries; None if none is left."""
    entries = value if isinstance(value, list) else []
    found = [_component(entry) for entry in entries[:MOST]]
    return tuple(item for item in found if item is not None) or None


def declare(code: str, components: Sequence[Component] | None) -> str:
    """Return the code with one comment line per component after it."""
    lines = [_MARK + json.dumps(_entry(item)) for item in components or ()]
    return "\n".join([code.strip(), *lines]) + "\n"


def declared(source: str) -> tuple[Component, ...]:
    """Return the components that a program carries."""
    found = []
    for line in source.splitlines():
        if line.startswith(_MARK):
            try:
                entry = json.loads(line.removeprefix(_MARK))
            except ValueError:
                continue  # a comment that only looks like ours
            found.append(_component(entry))
    return tuple(item for item in found if item is not None)


def _component(entry: Any) -> Component | None:
    name = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not name:
        return None
    sign = _SIGNS.get(str(entry.get("sign", "")).strip(), "±")
    low, high = _range(entry.get("expected_range"))
    return Component(name, str(entry.get("intent", ""))[:_LONGEST], sign, low, high)


def _range(value: Any) -> tuple[float, float]:
    if isinstance(value, list) and len(value) == 2 and all(_is_number(end) for end in value):
        low, high = float(value[0]), float(value[1])
        if low <= high:
            return low, high
    return -math.inf, math.inf


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _entry(item: Component) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": item.name, "intent": item.intent, "sign": item.sign}
    if math.isfinite(item.low) and math.isfinite(item.high):
        entry["expected_range"] = [item.low, item.high]
    return entry
