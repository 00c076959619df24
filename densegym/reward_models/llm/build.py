"""Stacks a client from a configuration: record or replay, budget, endpoint or mailbox."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from densegym.errors import DenseGymError
from densegym.reward_models.llm.budget import (
    Budget,
    Budgeted,
    check_price,
    load_prices,
    spent_before,
)
from densegym.reward_models.llm.endpoint import EndpointClient
from densegym.reward_models.llm.mailbox import MailboxClient
from densegym.reward_models.llm.structured import Structured
from densegym.reward_models.llm.transcript import Mode, Transcript
from densegym.reward_models.llm.types import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class LLMConfig:
    """How a language model is reached.

    Attributes:
        backend: ``openai``, ``mailbox``, or ``replay`` for recorded replies alone.
        model: name of the model, as the endpoint knows it.
        base_url: OpenAI-compatible endpoint, e.g. ``http://localhost:11434/v1``.
        key_env: environment variable that holds the key.
        mailbox: write prompts into this folder and wait for replies.
        mode: of the transcript.
        transcript: file for recorded replies, or None.
        budget_usd: stop before spending more.
        budget_tokens: stop before using more.
        budget_calls: stop before asking more often.
        prices: a price table of yours, in USD per million tokens.
        n_parallel: calls at a time.
        timeout_s: of a call to an endpoint.
        max_tokens: longest reply.
        max_retries: of a call to an endpoint, by its SDK.
    """

    backend: Literal["openai", "mailbox", "replay"] = "openai"
    model: str = ""
    base_url: str | None = None
    key_env: str = "OPENAI_API_KEY"
    mailbox: Path | None = None
    mode: Mode = "replay_or_live"
    transcript: Path | None = None
    budget_usd: float | None = None
    budget_tokens: int | None = None
    budget_calls: int | None = None
    prices: Path | None = None
    n_parallel: int = 4
    timeout_s: float = 120.0
    max_tokens: int | None = None
    max_retries: int = 5


def build_client(config: LLMConfig) -> Client:
    """Return the client; the transcript is before the budget, so a replay needs no key.

    Raises:
        DenseGymError: something the back-end needs is missing.
    """
    return Structured(build_plain_client(config))


def build_plain_client(config: LLMConfig) -> Client:
    """Return the same client without the repair of replies, for callers that judge them.

    Raises:
        DenseGymError: something the back-end needs is missing.
    """
    if config.backend == "replay":
        if config.transcript is None:
            raise DenseGymError("a replay needs the file of recorded replies")
        return Transcript(config.transcript, "replay")
    budget = Budget(usd=config.budget_usd, tokens=config.budget_tokens, calls=config.budget_calls)
    prices = load_prices(config.prices)
    if config.transcript is None:
        return Budgeted(_live(config), budget, prices)
    # One budget for a search, however often it is continued.
    before = spent_before(config.transcript, prices)
    live = Budgeted(_live(config), budget, prices, before=before)
    return Transcript(config.transcript, config.mode, live)


def check_llm(config: LLMConfig) -> None:
    """Refuse what every call would stumble over: no key, a budget without a price, a bad address.

    Raises:
        DenseGymError: says what to type.
    """
    if config.backend == "replay":
        return
    bounds = {
        "budget_usd": config.budget_usd,
        "budget_tokens": config.budget_tokens,
        "budget_calls": config.budget_calls,
        "max_tokens": config.max_tokens,
    }
    for name, bound in bounds.items():
        if bound is not None and not bound > 0:
            raise DenseGymError(f"{name} is above 0; given {bound}")
    if config.base_url is not None and not re.match(r"https?://[^/]", config.base_url):
        raise DenseGymError(
            f'base_url is an address such as http://localhost:11434/v1; given "{config.base_url}"'
        )
    if config.budget_usd is not None:
        check_price(load_prices(config.prices), config.model)
    if config.backend == "openai":
        EndpointClient(base_url=config.base_url, key_env=config.key_env).close()


def _live(config: LLMConfig) -> Client:
    if config.backend == "mailbox":
        if config.mailbox is None:
            raise DenseGymError("the mailbox back-end needs a folder: --mailbox FOLDER")
        return MailboxClient(config.mailbox)
    return EndpointClient(
        base_url=config.base_url,
        key_env=config.key_env,
        timeout_s=config.timeout_s,
        max_retries=config.max_retries,
    )
