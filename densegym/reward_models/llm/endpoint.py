"""Any OpenAI-compatible endpoint through the ``openai`` SDK, which brings retries and timeouts."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

from densegym.errors import require
from densegym.reward_models.llm.answers import gathered, text_of, why_no_text
from densegym.reward_models.llm.budget import tokens_of, tokens_of_text
from densegym.reward_models.llm.transcript import request_key
from densegym.reward_models.llm.types import (
    FatalLLMError,
    Late,
    LLMError,
    Refused,
    Reply,
    Request,
    ServerError,
    Unreachable,
)

_RENAMED = {"max_tokens": "max_completion_tokens"}
_DROPPABLE = (
    "temperature",
    "top_p",
    "seed",
    "stop",
    "max_completion_tokens",
    "top_logprobs",
    "logprobs",
)
_FORMATS = ("json_schema", "json_object", "text")  # in which JSON is asked for, strictest first


class EndpointClient:
    """Asks an endpoint: a vendor, vLLM, Ollama, llama.cpp, LM Studio.

    Parameters that a model refuses by name are renamed or dropped once, and remembered; JSON is
    asked for by schema, then as any object, then in the prompt alone.

    Args:
        base_url: of the endpoint; None is the SDK's default.
        key_env: environment variable that holds the key; local servers need none.
        timeout_s: of a call.
        max_retries: of the SDK, on 408, 409, 429, 5xx and broken connections.
    """

    def __init__(
        self,
        *,
        base_url: str | None = None,
        key_env: str = "OPENAI_API_KEY",
        timeout_s: float = 120.0,
        max_retries: int = 5,
    ) -> None:
        self._sdk: Any = require("openai", extra="llm")
        key = os.environ.get(key_env)
        if not key and base_url is None:
            raise FatalLLMError(f"no key: set the environment variable {key_env}, or --base-url")
        self._where, self._key_env = base_url or "the default endpoint", key_env
        self._client = self._sdk.OpenAI(
            api_key=key or "none", base_url=base_url, timeout=timeout_s, max_retries=max_retries
        )
        self._refused: dict[str, set[str]] = {}
        self._streams: set[str] = set()  # models that answer by streams alone
        self._timeout_s = timeout_s
        self._format: dict[str, int] = {}  # index into _FORMATS

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def complete(self, request: Request) -> Reply:
        """Ask once.

        Raises:
            FatalLLMError: the key is wrong, the endpoint is down, or the model is unknown.
            LLMError: the reply is unusable.
        """
        started = time.monotonic()
        for _ in range(len(_DROPPABLE) + len(_FORMATS)):
            try:
                said = self._said(request, started + self._timeout_s)
                return self._reply(request, said, time.monotonic() - started)
            except self._sdk.BadRequestError as error:
                if not self._learn(request.model, str(error)):
                    raise Refused(f"{self._where} refused the request: {_short(error)}") from None
            except ValueError as error:  # the SDK passes on what its JSON decoder says
                raise LLMError(f"{self._where} sent no readable JSON: {_short(error)}") from None
            except self._sdk.APIError as error:
                raise self._explain(error, request.model) from None
        raise LLMError(f"{self._where} refuses every form of the request for {request.model}")

    def _said(self, request: Request, deadline: float) -> Any:
        """Ask once, by a stream where the endpoint knows no other way."""
        create, arguments = self._client.chat.completions.create, self._arguments(request)
        if request.model not in self._streams:
            return create(**arguments)
        with create(**arguments, stream=True) as stream:
            return gathered(self._until(deadline, stream))

    def _until(self, deadline: float, stream: Any) -> Iterator[Any]:
        for chunk in stream:
            if time.monotonic() > deadline:  # the SDK's own limit is between two chunks
                raise Late(f"{self._where} took too long")
            yield chunk

    def _arguments(self, request: Request) -> dict[str, Any]:
        refused = self._refused.setdefault(request.model, set())
        given = {
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            "top_p": request.top_p,
            "seed": None if request.seed is None else request.seed + request.sample,
            "stop": list(request.stop) or None,
            "logprobs": request.alternatives > 0 or None,
            "top_logprobs": request.alternatives or None,
            "response_format": _response_format(request, self._format.get(request.model, 0)),
        }
        named = {_RENAMED[k] if k in refused and k in _RENAMED else k: v for k, v in given.items()}
        kept = {k: v for k, v in named.items() if v is not None and k not in refused}
        return {"model": request.model, "messages": list(request.messages), **kept}

    def _learn(self, model: str, told: str) -> bool:
        """Note a parameter that the endpoint refuses by name; return whether there was one."""
        refused = self._refused[model]
        if "stream" in told and model not in self._streams:
            self._streams.add(model)
            return True
        level = self._format.get(model, 0)
        if any(word in told for word in ("response_format", *_FORMATS[:2])):
            self._format[model] = level + 1
            return level + 1 < len(_FORMATS)
        named = [k for k in (*_RENAMED, *_DROPPABLE) if k in told and k not in refused]
        if "max_tokens" in named and "max_completion_tokens" in named:
            named.remove("max_completion_tokens")  # "use max_completion_tokens instead"
        refused.update(named[:1])
        return bool(named)

    def _reply(self, request: Request, said: Any, seconds: float) -> Reply:
        choices: Any = getattr(said, "choices", None)
        text = text_of(choices[0]) if choices else ""
        usage = getattr(said, "usage", None)
        sent = getattr(usage, "prompt_tokens", 0) or 0
        back = getattr(usage, "completion_tokens", 0) or 0
        estimated = not sent + back
        if estimated:  # llama.cpp and others tell nothing, yet somebody may pay for it
            sent, back = tokens_of(request), tokens_of_text(text)
        if not text:
            error = LLMError(f"{self._where} {why_no_text(said)}")
            error.tokens_in, error.tokens_out = sent, back
            raise error
        return Reply(
            text=text,
            finish=choices[0].finish_reason or "stop",
            tokens_in=sent,
            tokens_out=back,
            estimated=estimated,
            latency_s=seconds,
            model=getattr(said, "model", None) or request.model,
            key=request_key(request),
            alternatives=_alternatives(choices[0]),
        )

    def _explain(self, error: Any, model: str) -> LLMError:
        sdk = self._sdk
        if "insufficient_quota" in str(getattr(error, "code", "") or error):
            return FatalLLMError(f"the account behind {self._key_env} has no quota left")
        if isinstance(error, sdk.AuthenticationError | sdk.PermissionDeniedError):
            return FatalLLMError(f"{self._where} refuses the key in {self._key_env}")
        if isinstance(error, sdk.NotFoundError):
            return FatalLLMError(f"{self._where} knows no model {model}: {_short(error)}")
        if isinstance(error, sdk.APITimeoutError):
            return Late(f"{self._where} took too long")
        if isinstance(error, sdk.APIConnectionError):
            return Unreachable(f"{self._where} cannot be reached; is the server running?")
        if isinstance(error, sdk.RateLimitError | sdk.InternalServerError):
            return ServerError(f"{self._where} failed: {_short(error)}")
        return LLMError(f"{self._where} failed: {_short(error)}")


def _response_format(request: Request, level: int) -> dict[str, Any] | None:
    if request.schema is None or _FORMATS[level] == "text":
        return None
    if _FORMATS[level] == "json_object":
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": request.schema}}


def _alternatives(choice: Any) -> tuple[dict[str, float], ...]:
    found = getattr(getattr(choice, "logprobs", None), "content", None) or ()
    return tuple(
        {top.token: float(top.logprob) for top in getattr(at, "top_logprobs", None) or ()}
        for at in found
    )


def _short(error: Any) -> str:
    return str(getattr(error, "message", error))[:200]
