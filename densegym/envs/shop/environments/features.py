"""What a candidate action looks like to a policy: forty numbers, from what a shopper has seen.

Nothing privileged: instruction, the page, and for products opened before their full text. Equal
for everybody on the same page with the same request, so rows are computed once and kept.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from densegym.envs.shop.environments.queries import offered_queries, request_filler
from densegym.envs.shop.goals.goals import Goal
from densegym.envs.shop.session.actions import Action
from densegym.envs.shop.session.core import Shop, request_words
from densegym.envs.shop.session.pages import Click, View
from densegym.envs.shop.session.state import State
from densegym.envs.shop.store.catalogue import Product, indexed_text
from densegym.errors import require

K, F, GOAL, PAGE = 64, 40, 128, 16
KINDS = ("search", "back", "previous", "next", "open", "option", "section", "buy")
(RANK, SCORE, RECALL, PRECISION, BODY, GRAMS, FITS, PRICE, OPENED, EXACT, FUZZY, GROUP_SET, BEST,
 GROUPS, LEFT, NUMBER, SET_SHARE, MATCH) = range(8, 26)  # fmt: skip
_EMBED = slice(28, 40)
_GRAM_BINS = 256
_WORD = re.compile(r"[a-z0-9]+(?:[.'-][a-z0-9]+)*")
_CAP = re.compile(r"price lower than ([0-9]+(?:\.[0-9]+)?) dollars")
Row = NDArray[np.float32]


class Offer(NamedTuple):
    """What can be done on a page, with its features.

    Attributes:
        actions: at most 64 actions.
        clicks: what each of them does, or empty where the actions are searches.
        rows: (n, 40) float32 features; columns that depend on the way there are 0.
        page: (16,) float32 features of the page; likewise.
        products: product -> row of the candidate that opens it.
        body: (n,) float32, how much of the request a product's full text covers.
        places: (group, value) -> row of the option's candidate.
        groups: group -> rows of its options' candidates.
        buy: row of the purchase, or -1.
    """

    actions: tuple[Action, ...]
    clicks: tuple[Click, ...]
    rows: Row
    page: Row
    products: Mapping[int, int]
    body: Row
    places: Mapping[tuple[str, str], int]
    groups: Mapping[str, list[int]]
    buy: int


def _no_offer() -> Offer:
    """Return what the last page offers: nothing."""
    page = np.zeros(PAGE, np.float32)
    page[4] = 1.0
    rows, body = np.zeros((0, F), np.float32), np.zeros(0, np.float32)
    return Offer((), (), rows, page, {}, body, {}, {}, -1)


NO_OFFER = _no_offer()


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A goal as a shopper reads it.

    Attributes:
        text: the instruction without its price, lower-case.
        words: its content words.
        cap: highest price named in it; infinity where none is.
        grams: (256,) hashed letter triples, unit length.
        embedding: (128,) hashed words, unit length.
    """

    text: str
    words: frozenset[str]
    cap: float
    grams: Row
    embedding: Row


class Featurizer:
    """Turns pages into offers; the last 65,536 are kept.

    Args:
        shop: the shop.
        oracle: offer searches that read the target; see ``queries.offered_queries``.
    """

    def __init__(self, shop: Shop, *, oracle: bool = False) -> None:
        self._shop, self._oracle = shop, oracle
        self._offers = lru_cache(maxsize=65_536)(self._offer)
        self.request = lru_cache(maxsize=16_384)(self._request)
        self._product_grams = lru_cache(maxsize=32_768)(lambda index: _grams(self._title(index)))

    def offer(self, goal: Goal, state: State) -> Offer:
        """Return what can be done where a shopper stands."""
        if state.page == "results":
            return self._offers(goal, "results", state.query, state.number, -1, "")
        return self._offers(goal, state.page, "", 1, state.product, state.section)

    def _title(self, index: int) -> str:
        return self._shop.store.product(index).title.lower()

    def _request(self, goal: Goal) -> Request:
        text = request_words(goal)
        cap = _CAP.search(goal.instruction)
        words = _content(text)
        return Request(
            text=text,
            words=words,
            cap=float(cap[1]) if cap else float("inf"),
            grams=_grams(text),
            embedding=_hashed(words, GOAL),
        )

    def _offer(
        self,
        goal: Goal,
        page: str,
        query: str,
        number: int,
        product: int,
        section: str,
    ) -> Offer:
        request = self.request(goal)
        if page == "index":
            return self._searches(goal, request)
        state = State(page=page, query=query, number=number, product=product, section=section)  # type: ignore[arg-type]
        view = self._shop.pages.view(state)
        named = [(target, view.clicks[target]) for target in view.clickables]
        named = _most_telling(named, request)
        rows = np.zeros((len(named), F), np.float32)
        body = np.zeros(len(named), np.float32)
        for place, (_, click) in enumerate(named):
            rows[place, KINDS.index(click.move)] = 1.0
        products = {
            click.product: place for place, (_, click) in enumerate(named) if click.move == "open"
        }
        if page == "results":
            self._products(rows, body, products, request, view, query)
        if page == "item":
            self._options(rows, named, request, product)
        moves = [click.move for _, click in named]
        places = {
            (click.name, click.value): place
            for place, (_, click) in enumerate(named)
            if click.move == "option"
        }
        groups: dict[str, list[int]] = {}
        for (group, _), place in places.items():
            groups.setdefault(group, []).append(place)
        return Offer(
            actions=tuple(Action("click", target) for target, _ in named),
            clicks=tuple(click for _, click in named),
            rows=rows,
            page=self._page(state, view, request),
            products=products,
            body=body,
            places=places,
            groups=groups,
            buy=moves.index("buy") if "buy" in moves else -1,
        )

    def _searches(self, goal: Goal, request: Request) -> Offer:
        queries = offered_queries(goal, oracle=self._oracle)
        rows = np.zeros((len(queries), F), np.float32)
        for place, query in enumerate(queries):
            words = _content(query)
            rows[place, KINDS.index("search")] = 1.0
            rows[place, RANK] = place / 10.0
            rows[place, RECALL] = len(words & request.words) / max(len(request.words), 1)
            rows[place, _EMBED] = _hashed(words, 12)
        page = np.zeros(PAGE, np.float32)
        page[0] = 1.0
        actions = tuple(Action("search", query) for query in queries)
        body = np.zeros(len(queries), np.float32)
        return Offer(actions, (), rows, page, {}, body, {}, {}, -1)

    def _products(
        self,
        rows: Row,
        body: Row,
        products: Mapping[int, int],
        request: Request,
        view: View,
        query: str,
    ) -> None:
        scores = dict(self._shop.store.search.scores(query, self._shop.rules.top_k))
        top = max(scores.values(), default=1.0) or 1.0
        rank = {index: place for place, index in enumerate(view.shown)}
        for index, place in products.items():
            product, row = self._shop.store.product(index), rows[place]
            row[RANK] = rank[index] / 10.0
            row[SCORE] = scores.get(index, 0.0) / top
            row[GRAMS] = float(self._product_grams(index) @ request.grams)
            _title_match(row, product, request)
            body[place] = share(request.words, body_words(product))

    def _options(
        self,
        rows: Row,
        named: list[tuple[str, Click]],
        request: Request,
        product: int,
    ) -> None:
        bought = self._shop.store.product(product)
        exact, fuzzy = option_match(bought, request)
        best = {
            group: max(values, key=lambda value: (exact[group, value], fuzzy[group, value]))
            for group, values in bought.options.items()
        }
        for place, (_, click) in enumerate(named):
            row = rows[place]
            row[GROUPS], row[SET_SHARE] = len(bought.options) / 3.0, not bought.options
            if click.move == "option":
                item = (click.name, click.value)
                row[EXACT], row[FUZZY] = exact[item], fuzzy[item]
                row[BEST] = best[click.name] == click.value
            if click.move == "buy":
                _title_match(row, bought, request)
                row[BODY] = share(request.words, body_words(bought))
                row[MATCH] = not bought.options

    def _page(self, state: State, view: View, request: Request) -> Row:
        page = np.zeros(PAGE, np.float32)
        page[("index", "results", "item", "section", "done").index(state.page)] = 1.0
        page[6] = view.total / 50.0
        if state.product >= 0:
            product = self._shop.store.product(state.product)
            row = np.zeros(F, np.float32)
            _title_match(row, product, request)
            page[8:13] = row[[RECALL, PRECISION, FITS, PRICE, GRAMS]]
            page[13] = share(request.words, body_words(product))
            page[14] = not product.options
        return page


def _title_match(row: Row, product: Product, request: Request) -> None:
    words = title_words(product)
    shared = len(words & request.words)
    row[RECALL] = shared / max(len(request.words), 1)
    row[PRECISION] = shared / max(len(words), 1)
    row[FITS] = product.price_low <= request.cap
    row[PRICE] = min(product.price_low / request.cap, 2.0) / 2.0
    row[_EMBED] = _title_embedding(product)


@lru_cache(maxsize=32_768)
def option_match(
    product: Product, request: Request
) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], float]]:
    """Return per (group, value) whether it stands in the request, and how nearly it does."""
    ratio = require("rapidfuzz.fuzz", extra="shop").partial_ratio
    exact, fuzzy = {}, {}
    for group, values in product.options.items():
        for value in values:
            found = re.search(rf"(?<![a-z0-9]){re.escape(value)}(?![a-z0-9])", request.text)
            exact[group, value] = float(found is not None)
            fuzzy[group, value] = ratio(value, request.text) / 100.0
    return exact, fuzzy


def _most_telling(named: list[tuple[str, Click]], request: Request) -> list[tuple[str, Click]]:
    """Return at most 64 candidates; options that share no word with the request give way."""
    if len(named) <= K:
        return named
    options = [item for item in named if item[1].move == "option"]
    others = [item for item in named if item[1].move != "option"]
    options.sort(key=lambda item: -share(request.words, _content(item[1].value)))
    return [*others, *options][:K]


def share(wanted: frozenset[str], offered: frozenset[str]) -> float:
    """Return how many of the wanted words are offered, in [0, 1]; 0 where none is wanted."""
    return len(wanted & offered) / len(wanted) if wanted else 0.0


@lru_cache(maxsize=32_768)
def title_words(product: Product) -> frozenset[str]:
    """Return the content words of a title."""
    return _content(product.title.lower())


@lru_cache(maxsize=32_768)
def body_words(product: Product) -> frozenset[str]:
    """Return the content words of everything that a product's pages say."""
    return _content(f"{indexed_text(product)} {' '.join(product.bullets).lower()}")


@lru_cache(maxsize=32_768)
def _title_embedding(product: Product) -> Row:
    return _hashed(title_words(product), 12)


def _content(text: str) -> frozenset[str]:
    words = frozenset(_WORD.findall(text)) - request_filler()
    return frozenset(word.rstrip("s") for word in words)


def _hashed(words: frozenset[str], size: int) -> Row:
    """Return signed hashed word counts of unit length."""
    vector = np.zeros(size, np.float32)
    for word in words:
        code = zlib.crc32(word.encode())
        vector[code % size] += 1.0 if code & 0x80000000 else -1.0
    return vector / max(float(np.linalg.norm(vector)), 1.0)


def _grams(text: str) -> Row:
    vector = np.zeros(_GRAM_BINS, np.float32)
    codes = [zlib.crc32(text[n : n + 3].encode()) % _GRAM_BINS for n in range(len(text) - 2)]
    np.add.at(vector, codes, 1.0)
    return vector / max(float(np.linalg.norm(vector)), 1e-6)
