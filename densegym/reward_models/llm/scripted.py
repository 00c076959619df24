"""Prepared replies, in order or by function of the request: for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from densegym.reward_models.llm.transcript import request_key
from densegym.reward_models.llm.types import LLMError, Reply, Request

Prepared = str | Reply | LLMError


class ScriptedClient:
    """Answers from a list, or from a function.

    Args:
        replies: texts, replies or errors to raise, in order; or a function of the request.

    Attributes:
        requests: what was asked, in order.
    """

    def __init__(self, replies: Sequence[Prepared] | Callable[[Request], Prepared]) -> None:
        self._replies = replies
        self.requests: list[Request] = []

    def complete(self, request: Request) -> Reply:
        """Return the next prepared reply.

        Raises:
            LLMError: the prepared one, or all replies are used up.
        """
        index = len(self.requests)
        self.requests.append(request)
        if callable(self._replies):
            prepared = self._replies(request)
        elif index < len(self._replies):
            prepared = self._replies[index]
        else:
            raise LLMError(f"the script holds {len(self._replies)} replies; this was one more")
        if isinstance(prepared, LLMError):
            raise prepared
        if isinstance(prepared, Reply):
            return prepared
        return Reply(text=prepared, model=request.model, usd=0.0, key=request_key(request))
