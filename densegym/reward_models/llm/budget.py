"""What may be spent on a language model, checked before every call, and what was spent."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
import tomllib
from collections.abc import Mapping
from pathlib import Path

from densegym import assets
from densegym.errors import DenseGymError
from densegym.reward_models.llm.types import (
    BudgetExceeded,
    Client,
    Content,
    LLMError,
    Reply,
    Request,
)

_CHARS_PER_TOKEN = 3  # pessimistic for English and code
_PER_PICTURE = 1024  # tokens; most models need fewer for a picture of half a thousand pixels a side
_ASSUMED_OUT = 4096  # tokens of a reply whose length nobody bounded
Prices = Mapping[str, Mapping[str, float]]
"""USD per million tokens, ``in`` and ``out``, by the beginning of a model's name; with ``exact`` 1
by the whole name, but for the date of a version."""
_DATED = re.compile(r"-\d{4}-?\d{2}-?\d{2}")


def load_prices(path: Path | None = None) -> Prices:
    """Return the price table that ships, with the entries of one of the user's put over it.

    Raises:
        DenseGymError: the file cannot be read, or is no price table.
    """
    shipped = _table(assets.text("llm/prices.toml"), "llm/prices.toml", exact=1.0)
    if path is None:
        return shipped
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DenseGymError(f"{path} cannot be read as a price table: {error}") from error
    return {**shipped, **_table(text, str(path), exact=0.0)}


def _table(text: str, path: str, *, exact: float) -> dict[str, Mapping[str, float]]:
    try:
        return {
            name: {**{k: float(row[k]) for k in ("in", "out")}, "exact": exact}
            for name, row in tomllib.loads(text).items()
        }
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise DenseGymError(
            f"{path} is no price table: {error}. It holds entries such as "
            '["my-model"] in = 1.0, out = 2.0 (USD per million tokens).'
        ) from error


def price(prices: Prices, model: str, tokens_in: int, tokens_out: int) -> float | None:
    """Return USD of a call, or None where the model has no price; the longest prefix counts."""
    known = [
        name
        for name, row in prices.items()
        if model.startswith(name)
        and (not row.get("exact") or _DATED.fullmatch(model[len(name) :] or "-0000-00-00"))
    ]
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
            f"a budget in USD needs a price for {model}, which the shipped table does not hold. "
            f'Write a file with ["{model}"] in = 1.0 and out = 2.0 (USD per million tokens) and '
            "give it as --prices FILE, or bound --budget-tokens or --budget-calls instead"
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Most USD, tokens and calls; None is no bound."""

    usd: float | None = None
    tokens: int | None = None
    calls: int | None = None


class Budgeted:
    """A client that keeps within a budget and prices its replies.

    Calls that run at the same time hold their estimates back from each other; one that would fit
    but for the estimates of others waits for what they really cost.

    Args:
        client: whom to ask.
        budget: what may be spent.
        prices: per model.
        before: spent already, such as by the same search before it was continued.

    Attributes:
        spent: USD, tokens and calls so far.
    """

    def __init__(
        self,
        client: Client,
        budget: Budget,
        prices: Prices,
        *,
        before: Mapping[str, float] | None = None,
    ) -> None:
        self._client, self._budget, self._prices = client, budget, prices
        self._changed = threading.Condition()
        self._held = {"usd": 0.0, "tokens": 0.0, "calls": 0.0}
        self.spent = {"usd": 0.0, "tokens": 0.0, "calls": 0.0, **(before or {})}

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
            cost |= self._cost(request, reply)
        except LLMError as error:  # unusable replies are paid for as well
            cost |= self._cost(request, error)
            error.usd = price(self._prices, request.model, error.tokens_in, error.tokens_out)
            raise
        finally:
            with self._changed:
                for key in cost:
                    self._held[key] -= worst[key]
                    self.spent[key] += cost[key]
                self._changed.notify_all()
        usd = price(self._prices, request.model, reply.tokens_in, reply.tokens_out)
        return dataclasses.replace(reply, usd=usd)

    def _cost(self, request: Request, said: Reply | LLMError) -> dict[str, float]:
        usd = price(self._prices, request.model, said.tokens_in, said.tokens_out)
        return {"usd": usd or 0.0, "tokens": float(said.tokens_in + said.tokens_out)}

    def _estimate(self, request: Request) -> dict[str, float]:
        sent = tokens_of(request)
        back = request.max_tokens or _ASSUMED_OUT
        if self._budget.usd is not None:
            check_price(self._prices, request.model)
        usd = price(self._prices, request.model, sent, back)
        return {"usd": usd or 0.0, "tokens": float(sent + back), "calls": 1.0}

    def _hold(self, worst: Mapping[str, float]) -> None:
        bounds = dataclasses.asdict(self._budget)
        bounds = {key: bound for key, bound in bounds.items() if bound is not None}
        with self._changed:
            while True:
                for key, bound in bounds.items():
                    wanted = self.spent[key] + worst[key]
                    if wanted > bound:
                        raise BudgetExceeded(
                            f"the next reply could bring the {key} spent to {wanted:.4g}; the "
                            f"budget is {bound:.4g}"
                        )
                if all(self.spent[k] + self._held[k] + worst[k] <= b for k, b in bounds.items()):
                    break
                self._changed.wait()
            for key, value in worst.items():
                self._held[key] += value


def spent_before(path: Path, prices: Prices) -> dict[str, float]:
    """Return USD, tokens and calls that a file of recorded replies stands for.

    What was recorded without a price is priced now.
    """
    totals = {"usd": 0.0, "tokens": 0.0, "calls": 0.0}
    lines = path.read_bytes().rpartition(b"\n")[0].splitlines() if path.is_file() else []
    for line in map(json.loads, lines):
        paid = line.get("reply") or line.get("paid") or {"tokens_in": 0, "tokens_out": 0}
        usd = paid.get("usd")
        if usd is None:
            model = line["request"]["model"]
            usd = price(prices, model, paid["tokens_in"], paid["tokens_out"]) or 0.0
        totals["usd"] += usd
        totals["tokens"] += paid["tokens_in"] + paid["tokens_out"]
        totals["calls"] += 1.0
    return totals


def tokens_of(request: Request) -> int:
    """Return the tokens of a prompt, pessimistically."""
    return sum(_tokens(message["content"]) for message in request.messages)


def tokens_of_text(text: str) -> int:
    """Return the tokens of a text, pessimistically."""
    return -(-len(text) // _CHARS_PER_TOKEN)


def _tokens(content: Content) -> int:
    """Return the tokens of a message, pessimistically."""
    if isinstance(content, str):
        return len(content) // _CHARS_PER_TOKEN
    texts = [part["text"] for part in content if part["type"] == "text"]
    pictures = len(content) - len(texts)
    return sum(map(len, texts)) // _CHARS_PER_TOKEN + _PER_PICTURE * pictures
