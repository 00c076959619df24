"""Pages as HTML: one template for people in a browser and for agents that read markup.

Every string from a catalogue is escaped; the page needs no script and loads nothing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from densegym import assets
from densegym.envs.shop.session.core import ShopCore
from densegym.envs.shop.session.pages import Part
from densegym.errors import require

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = "templates/shop"
_KEYS = {"back to search": "h", "< prev": "p", "next >": "n"}


def page_html(core: ShopCore, *, target: str = "act", note: str = "", again: str = "") -> str:
    """Return the page on which a shopper stands as a standalone HTML document.

    Args:
        core: the shopper.
        target: address to which its buttons post ``action`` (and ``words`` of a search).
        note: shown above the page, such as why an action was invalid.
        again: where the last page leads on, if anywhere.
    """
    from densegym.envs.shop.session.world import reward_terms

    told: dict[str, Any] = {"target": target, "note": note, "again": again, "keys": _KEYS}
    told |= {
        "step": core.state.steps,
        "page": core.state.page,
        "instruction": core.goal.instruction,
    }
    if core.outcome is not None:
        told |= {"score": 100.0 * core.outcome.reward}
        told |= {"terms": reward_terms(core.goal, core.outcome)}
    return templates().get_template("page.html.j2").render(**told, **_PAGES[core.state.page](core))


@lru_cache(maxsize=1)
def templates() -> Environment:
    """Return the shop's templates; everything put into them is escaped."""
    jinja2 = require("jinja2", extra="shop")
    loader = jinja2.FunctionLoader(lambda name: assets.text(f"{_FOLDER}/{name}"))
    made: Environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True)
    made.globals["style"] = jinja2.filters.Markup(assets.text(f"{_FOLDER}/style.css"))
    return made


def _nothing(core: ShopCore) -> dict[str, Any]:
    return {}


def _results(core: ShopCore) -> dict[str, Any]:
    view = core.view
    products = [
        {
            "part": part,
            "opened": view.clicks[part.target].product in core.state.opened,
            "title": core.shop.store.product(view.clicks[part.target].product).title,
            "price": core.shop.store.product(view.clicks[part.target].product).price_text,
        }
        for part in view.parts
        if part.kind == "product"
    ]
    return {"buttons": _buttons(core), "products": products, "count": _role(core, "count")}


def _item(core: ShopCore) -> dict[str, Any]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for part in core.view.parts:
        if part.kind == "option":
            chosen = (part.role, part.text) in core.state.options
            groups.setdefault(part.role, []).append({"part": part, "chosen": chosen})
    buttons = _buttons(core)
    return {
        "buttons": [part for part in buttons if part.target in _KEYS],
        "sections": [part for part in buttons if part.target not in (*_KEYS, "buy now")],
        "buy": next(part for part in buttons if part.target == "buy now"),
        "groups": [{"name": name, "options": options} for name, options in groups.items()],
        **{role: _role(core, role) for role in ("title", "price", "rating")},
    }


def _section(core: ShopCore) -> dict[str, Any]:
    texts = [part.text.strip() for part in core.view.parts if part.kind == "text"]
    return {"buttons": _buttons(core), "section": core.state.section, "texts": texts}


_PAGES = {
    "index": _nothing,
    "results": _results,
    "item": _item,
    "section": _section,
    "done": _nothing,
}


def _buttons(core: ShopCore) -> list[Part]:
    return [part for part in core.view.parts if part.kind == "button"]


def _role(core: ShopCore, role: str) -> str:
    return next((part.text for part in core.view.parts if part.role == role), "")
