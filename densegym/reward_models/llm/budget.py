"""What may be spent on a language model, checked before every call, and what was spent."""

from __future__ import annotations

import dataclasses
import threading
import tomllib
from collections.abc import Mapping
from pathlib import Path

from densegym import assets
from densegym.errors import DenseGymError
from densegym.reward_models.llm.types import BudgetExceeded, Client, Content, Reply, Request

_CHARS_PER_TOKEN = 3  # pessimistic for English and code
_PER_PICTURE = 1024  # tokens; most models need fewer for a picture of half a thousand pixels a side
_ASSUMED_OUT = 4096  # tokens of a reply whose length nobody bounded
Prices = Mapping[str, Mapping[str, float]]
"""USD per million tokens, ``in`` and ``out``, by the beginning of a model's name."""


def load_prices(path: Path | None = None) -> Prices:
    """Return the price table that ships, or one of the user's.

    Raises:
        DenseGymError: the file is no price table.
    """
    text = assets.text("llm/prices.toml") if path is None else path.read_text(encoding="utf-8")
    try:
        table = tomllib.loads(text)
        return {name: {k: float(row[k]) for k in ("in", "out")} for name, row in table.items()}
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise DenseGymError(
            f"{path} is no price table: {error}. It holds entries such as "
            '["my-model"] in = 1.0, out = 2.0 (USD per million tokens).'
        ) from error


def price(prices: Prices, model: str, tokens_in: int, tokens_out: int) -> float | None:
    """Return USD of a call, or None where the model has no price; the longest prefix counts."""
    known = [name for name in prices if model.startswith(name)]
    if not known:
        return None
    row = prices[max(known, key=len)]
    return (tokens_in * row["in"] + tokens_out * row["out"]) / 1e6


def check_price(prices: Prices, model: str) -> None:
    """Refuse a model without a price where USD are bounded.

    Raises:
        BudgetExceeded: says what to do instead.
    """
    if price(prices, model, 0, 0) is None:
        raise BudgetExceeded(
            f"a budget in USD needs a price for {model}; add it to a price table, or bound tokens "
            "or calls instead"
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Most USD, tokens and calls; None is no bound."""

    usd: float | None = None
    tokens: int | None = None
    calls: int | None = None


class Budgeted:
    """A client that keeps within a budget and prices its replies.

    Calls that run at the same time hold their estimates back from each other.

    Args:
        client: whom to ask.
        budget: what may be spent.
        prices: per model.

    Attributes:
        spent: USD, tokens and calls so far.
    """

    def __init__(self, client: Client, budget: Budget, prices: Prices) -> None:
        self._client, self._budget, self._prices = client, budget, prices
        self._lock = threading.Lock()
        self._held = {"usd": 0.0, "tokens": 0.0, "calls": 0.0}
        self.spent = {"usd": 0.0, "tokens": 0.0, "calls": 0.0}

    def complete(self, request: Request) -> Reply:
        """Ask, if even a long reply would stay within the budget.

        Raises:
            BudgetExceeded: it might not.
            LLMError: whoever was asked failed.
        """
        worst = self._estimate(request)
        self._hold(worst)
        cost = {"usd": 0.0, "tokens": 0.0, "calls": 1.0}
        try:
            reply = self._client.complete(request)
            usd = price(self._prices, request.model, reply.tokens_in, reply.tokens_out)
            cost |= {"usd": usd or 0.0, "tokens": float(reply.tokens_in + reply.tokens_out)}
        finally:
            with self._lock:
                for key in cost:
                    self._held[key] -= worst[key]
                    self.spent[key] += cost[key]
        return dataclasses.replace(reply, usd=usd)

    def _estimate(self, request: Request) -> dict[str, float]:
        sent = sum(_tokens(message["content"]) for message in request.messages)
        back = request.max_tokens or _ASSUMED_OUT
        if self._budget.usd is not None:
            check_price(self._prices, request.model)
        usd = price(self._prices, request.model, sent, back)
        return {"usd": usd or 0.0, "tokens": float(sent + back), "calls": 1.0}

    def _hold(self, worst: Mapping[str, float]) -> None:
        with self._lock:
            for key, bound in dataclasses.asdict(self._budget).items():
                wanted = self.spent[key] + self._held[key] + worst[key]
                if bound is not None and wanted > bound:
                    raise BudgetExceeded(
                        f"the next reply could bring the {key} spent to {wanted:.4g}; the budget "
                        f"is {bound:.4g}"
                    )
            for key, value in worst.items():
                self._held[key] += value


def _tokens(content: Content) -> int:
    """Return the tokens of a message, pessimistically."""
    if isinstance(content, str):
        return len(content) // _CHARS_PER_TOKEN
    texts = [part["text"] for part in content if part["type"] == "text"]
    pictures = len(content) - len(texts)
    return sum(map(len, texts)) // _CHARS_PER_TOKEN + _PER_PICTURE * pictures
