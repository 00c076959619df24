"""One request to a language model, its reply, and what a client does: nothing provider-specific."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypedDict

from densegym.errors import DenseGymError


class LLMError(DenseGymError):
    """A language model could not be asked, or gave no usable reply.

    Attributes:
        tokens_in: of the prompt, where an unusable reply is paid for all the same.
        tokens_out: of such a reply.
        usd: its price, or None where it is unknown.
    """

    tokens_in: int = 0
    tokens_out: int = 0
    usd: float | None = 0.0


class FatalLLMError(LLMError):
    """Every further call would fail the same way: no budget, wrong key, endpoint down."""


class Refused(LLMError):
    """The endpoint calls the request wrong, and would call it so again."""


class Unreachable(FatalLLMError):
    """Nobody answers at the endpoint; somebody may later."""


class BudgetExceeded(FatalLLMError):
    """The next call could cost more than is left."""


class Late(LLMError):
    """The endpoint took longer than it was given."""


class ServerError(LLMError):
    """The endpoint answers, but only with an error of its own: overloaded, or broken."""


Content: TypeAlias = str | Sequence[Mapping[str, Any]]
"""A text, or the parts of one with pictures, as the chat-completions protocol names them."""


class Message(TypedDict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: Content


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked.

    Attributes:
        messages: the conversation.
        model: as the endpoint names it.
        temperature: sampling temperature.
        max_tokens: of the completion, or None.
        top_p: nucleus, or None.
        seed: sampling seed where the endpoint takes one, or None.
        schema: JSON schema the reply must meet, or None for text.
        stop: strings that end the completion.
        alternatives: how many likely tokens to report at every position, 0 to 20.
        sample: index among independent samples of the same request; part of the cache key.
        purpose: what it is asked for, in logs only; not part of the cache key.
    """

    messages: tuple[Message, ...]
    model: str
    temperature: float = 1.0
    max_tokens: int | None = None
    top_p: float | None = None
    seed: int | None = None
    schema: Mapping[str, Any] | None = None
    stop: tuple[str, ...] = ()
    alternatives: int = 0
    sample: int = 0
    purpose: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back.

    Attributes:
        text: of the completion.
        finish: ``"stop"``, or ``"length"`` for a truncated one, which is a failed sample.
        tokens_in: of the prompt.
        tokens_out: of the completion.
        usd: price, or None where it is unknown.
        latency_s: of the call; 0 for a replayed one.
        cached: whether it was replayed from a record.
        model: which model answered.
        key: hash of the request, under which it is recorded.
        alternatives: per position, the log-probabilities of likely tokens, if they were asked for.
        estimated: whether the tokens are estimated from the text, as the server told none.
    """

    text: str
    finish: str = "stop"
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float | None = None
    latency_s: float = 0.0
    cached: bool = False
    model: str = ""
    key: str = ""
    alternatives: tuple[Mapping[str, float], ...] = ()
    estimated: bool = False


class Client(Protocol):
    """Answers requests."""

    def complete(self, request: Request) -> Reply:
        """Return one reply.

        Raises:
            LLMError: no usable reply, with the reason.
        """
