"""Pages as text: one line with separators, or a line per part with buttons marked.

Both forms are those of the original, byte for byte; what the original prints on its last page is
kept only under ``original``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from densegym.envs.shop.session.core import ShopCore
from densegym.envs.shop.session.pages import Part

SEPARATOR = " [SEP] "
_THANKS = "Thank you for shopping with us!"
_SCORE = "Your score (min 0.0, max 1.0)"


def text(core: ShopCore) -> str:
    """Return the page as stripped strings with `` [SEP] `` between them."""
    return SEPARATOR.join([part.strip() for part in _head(core)] + _body_strings(core))


def text_rich(core: ShopCore) -> str:
    """Return the page as lines, ``[button] ... [button_]`` around what can be clicked."""
    lines, clicked = [], []
    for part in core.view.parts:
        line, chosen = _line(core, part)
        lines.append(line)
        if chosen:
            clicked.append(f"You have clicked {part.text}.\n")
    head = "".join(f"{line}\n" for line in _head(core))
    return "".join(reversed(clicked)) + head + "".join(lines)


def _body_strings(core: ShopCore) -> list[str]:
    return [part.text.strip() for part in core.view.parts]


def _head(core: ShopCore) -> Iterator[str]:
    """Yield what stands above the parts: shop name, instruction, or the last page's words."""
    page = core.state.page
    if page == "done":
        yield from _farewell(core)
        return
    if page == "index":
        yield "WebShop"
    yield "Instruction: " if page == "index" else "Instruction:"
    yield core.goal.instruction


def _farewell(core: ShopCore) -> Iterator[str]:
    assert core.outcome is not None
    reward = str(float(core.outcome.reward))
    if not core.shop.rules.original:
        yield from (_THANKS, _SCORE, reward)
        return
    asin = core.shop.store.product(core.state.product).asin
    options = json.dumps(dict(core.state.options), sort_keys=True)
    yield from (_THANKS, "Your code: ", "None", " (Paste it in your MTurk interface.)")
    yield from ("Purchased", "asin", asin, "options", options, "attrs", "None", "category", "None")
    yield from ("query", "None", "product category", "None", "Target", "asin", "options", "attrs")
    yield from ("price upper", "instuction text", "category", "product category", "query")
    yield from ("Goal ", "None", "Reward", _SCORE, reward, "Reward Details ", "None")


def _line(core: ShopCore, part: Part) -> tuple[str, bool]:
    """Return a part as it is printed, and whether it is a chosen option."""
    if part.kind == "text":
        return f"{part.text}\n", False
    if part.kind == "button":
        return f"[button] {part.text} [button_]\n", False
    if part.kind == "product":
        opened = core.view.clicks[part.target].product in core.state.opened
        return f"\n{_button(part.text, opened)}\n", False
    chosen = (part.role, part.text) in core.state.options
    return f"  {_button(part.text, chosen)}\n", chosen


def _button(name: str, pressed: bool) -> str:
    word = "clicked button" if pressed else "button"
    return f"[{word}] {name} [{word}_]"
