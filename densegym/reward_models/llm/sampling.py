"""Independent samples of one request, in the order of their index whatever fails."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

from densegym.reward_models.llm.types import Client, FatalLLMError, LLMError, Reply, Request


def sample(
    client: Client, request: Request, n: int, *, parallel: int = 4
) -> list[Reply | LLMError]:
    """Return ``n`` replies, or the error of those that could not be had.

    A server's own ``n`` is never used: many ignore it. A truncated reply counts as an error.

    Args:
        client: whom to ask.
        request: what; sample indexes count up from its own.
        n: how many.
        parallel: calls at a time.

    Raises:
        FatalLLMError: every further call would fail the same way, and so did the first. Replies
            before such a failure are returned, as they are paid for; those after it are not, or
            a repeated call would have them in other places.
    """
    requests = [dataclasses.replace(request, sample=request.sample + i) for i in range(n)]
    if parallel == 1 or n == 1:
        said = []
        for item in requests:
            said.append(_one(client, item))
            if isinstance(said[-1], FatalLLMError):
                break
    else:
        with ThreadPoolExecutor(min(parallel, max(n, 1))) as pool:
            said = list(pool.map(lambda item: _one(client, item), requests))
    end = next((i for i, item in enumerate(said) if isinstance(item, FatalLLMError)), None)
    if end is None:
        return said
    fatal = said[end]
    assert isinstance(fatal, FatalLLMError)
    if not any(isinstance(item, Reply) for item in said[:end]):
        raise fatal
    return said[:end] + [fatal] * (n - end)


def _one(client: Client, request: Request) -> Reply | LLMError:
    try:
        reply = client.complete(request)
    except LLMError as error:
        return error
    if reply.finish == "length":
        return LLMError(f"reply {request.sample} was cut off; raise --max-tokens")
    return reply
