"""What stands on a page of the shop: its visible parts in order, and what can be clicked.

A page is a list of parts, whoever draws it: as text, as HTML, or as an agent's features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from densegym.envs.shop.session.state import State
from densegym.envs.shop.store.catalogue import Product
from densegym.envs.shop.store.store import Store

SECTIONS = ("description", "features", "reviews")
CACHED_VIEWS = 16_384
Move = Literal["back", "previous", "next", "open", "section", "option", "buy"]


class Click(NamedTuple):
    """What a click does.

    Attributes:
        move: the kind of transition.
        product: what ``open`` opens, else -1.
        name: of the section, or of the option's group, else "".
        value: of the option, else "".
    """

    move: Move
    product: int = -1
    name: str = ""
    value: str = ""


class Part(NamedTuple):
    """One visible string of a page.

    Attributes:
        kind: ``"text"``, ``"button"``, ``"product"`` (an asin that can be clicked) or ``"option"``.
        text: as printed; section contents keep the leading blank of the original.
        target: what ``click[...]`` names, or "" for plain text.
        role: what the text is, for those who draw it: ``"title"``, ``"price"``, ``"group"`` ...
    """

    kind: Literal["text", "button", "product", "option"]
    text: str
    target: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """A page, instruction and score apart; equal for everybody who stands there.

    Attributes:
        parts: what comes below the instruction.
        clickables: targets: buttons in page order, then products, then option values.
        clicks: what each of them does.
        aliases: other names for the same: titles and ``#rank`` of products, ``group: value``.
        shown: indexes of the products listed, best first.
        total: hits of the search, 0 on other pages.
    """

    parts: tuple[Part, ...]
    clickables: tuple[str, ...]
    clicks: Mapping[str, Click]
    aliases: Mapping[str, Click]
    shown: tuple[int, ...] = ()
    total: int = 0


class Pages:
    """Builds the pages of a store; the last 16,384 are remembered.

    Args:
        store: the catalogue.
        results_per_page: products listed at a time.
        top_k: hits of a search.
        attributes_page: whether items have the ``attributes`` section.
        original: name colliding option values as the original does: the later group wins.
    """

    def __init__(
        self,
        store: Store,
        *,
        results_per_page: int = 10,
        top_k: int = 50,
        attributes_page: bool = False,
        original: bool = False,
    ) -> None:
        self.store = store
        self._per_page, self._top_k, self._original = results_per_page, top_k, original
        self.sections = (*SECTIONS, "attributes") if attributes_page else SECTIONS
        self._cached = lru_cache(maxsize=CACHED_VIEWS)(self._view)

    def view(self, state: State) -> View:
        """Return the page on which a state stands."""
        if state.page == "results":
            return self._cached("results", state.query, state.number, -1, "")
        return self._cached(state.page, "", 1, state.product, state.section)

    def hits(self, query: str) -> tuple[int, ...]:
        """Return the products a search finds, best first."""
        return self.store.search.search(query, self._top_k)[: self._top_k]

    def _view(self, page: str, query: str, number: int, product: int, section: str) -> View:
        if page == "index":
            return _assembled([Part("button", "Search", "search")], {})
        if page == "results":
            return self._results(query, number)
        if page == "item":
            return self._item(self.store.product(product))
        if page == "section":
            return self._section(self.store.product(product), section)
        return _assembled([], {})

    def _results(self, query: str, number: int) -> View:
        hits = self.hits(query)
        first = (number - 1) * self._per_page
        shown = hits[first : first + self._per_page]
        parts = [Part("button", "Back to Search", "back to search")]
        parts.append(Part("text", f"Page {number} (Total results: {len(hits)})", role="count"))
        clicks = {"back to search": Click("back")}
        if number > 1:
            parts.append(Part("button", "< Prev", "< prev"))
            clicks["< prev"] = Click("previous")
        parts.append(Part("button", "Next >", "next >"))  # always, as in the original
        clicks["next >"] = Click("next")
        aliases: dict[str, Click] = {}
        for rank, index in enumerate(shown, start=1):
            product = self.store.product(index)
            asin = product.asin.lower()
            parts += [
                Part("product", product.asin, asin),
                Part("text", product.title, role="title"),
                Part("text", product.price_text, role="price"),
            ]
            clicks[asin] = Click("open", index)
            aliases |= {product.title.lower(): clicks[asin], f"#{rank}": clicks[asin]}
        return _assembled(parts, clicks, aliases, shown, len(hits))

    def _item(self, product: Product) -> View:
        parts = [
            Part("button", "Back to Search", "back to search"),
            Part("button", "< Prev", "< prev"),
        ]
        clicks = {"back to search": Click("back"), "< prev": Click("previous")}
        aliases: dict[str, Click] = {}
        options: dict[str, Click] = {}
        for group, values in product.options.items():
            parts.append(Part("text", group, role="group"))
            for value in values:
                click = Click("option", -1, group, value)
                target = value if self._original or value not in options else f"{group}: {value}"
                parts.append(Part("option", value, target, role=group))
                options[target] = click
                aliases[f"{group}: {value}"] = click
        rating = "N.A." if product.rating is None else f"{product.rating:.1f}"
        parts += [
            Part("text", product.title, role="title"),
            Part("text", f"Price: {product.price_text}", role="price"),
            Part("text", f"Rating: {rating}", role="rating"),
        ]
        for name in self.sections:
            parts.append(Part("button", name.title(), name))
            clicks[name] = Click("section", -1, name)
        parts.append(Part("button", "Buy Now", "buy now"))
        clicks["buy now"] = Click("buy")
        return _assembled(parts, clicks | options, aliases)

    def _section(self, product: Product, section: str) -> View:
        parts = [
            Part("button", "Back to Search", "back to search"),
            Part("button", "< Prev", "< prev"),
            *(Part("text", f" {text}", role=section) for text in contents(product, section)),
        ]
        clicks = {"back to search": Click("back"), "< prev": Click("previous")}
        return _assembled(parts, clicks)


def contents(product: Product, section: str) -> tuple[str, ...]:
    """Return the paragraphs of a section of a product; empty where there are none."""
    if section == "description":
        return (product.description,) if product.description else ()
    if section == "features":
        return product.bullets
    if section == "reviews":
        return tuple(
            f"{review.stars} of 5 stars: {review.title} {review.text}".strip()
            for review in product.reviews
        )
    return product.attributes


def _assembled(
    parts: list[Part],
    clicks: dict[str, Click],
    aliases: dict[str, Click] | None = None,
    shown: tuple[int, ...] = (),
    total: int = 0,
) -> View:
    order = {"button": 0, "product": 1, "option": 2}
    named = sorted((part for part in parts if part.target), key=lambda part: order[part.kind])
    targets = tuple(dict.fromkeys(part.target for part in named))
    visible = tuple(part for part in parts if part.text)
    # Typed actions have their blanks folded, no-break ones too, so names are found folded as well.
    folded = {
        " ".join(name.split()): click for name, click in {**(aliases or {}), **clicks}.items()
    }
    return View(visible, targets, clicks, folded, shown, total)
