"""Asks a vision endpoint that speaks the chat-completions protocol, in parallel, by a deadline.

For vLLM: ``vllm serve MODEL --limit-mm-per-prompt '{"image": 8}' --enable-prefix-caching``. What
changes from question to question comes last in every prompt, so the rest is computed once.
"""

from __future__ import annotations

import time
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from densegym.errors import ProgressBackendError
from densegym.reward_models.llm.budget import Budget, Budgeted, load_prices
from densegym.reward_models.llm.endpoint import EndpointClient
from densegym.reward_models.llm.types import (
    BudgetExceeded,
    Client,
    FatalLLMError,
    Late,
    LLMError,
    Message,
    Reply,
    Request,
    Unreachable,
)
from densegym.reward_models.progress.vlm.pictures import data_url, digest
from densegym.reward_models.progress.vlm.question import SILENT, Arrived, Question, Silence
from densegym.reward_models.progress.vlm.template import Part
from densegym.reward_models.progress.vlm.workers import Batch, Workers

_STRIKES = 3  # batches in a row without any answer, after which the endpoint is left alone
_REST_S, _LONGEST_REST_S = 5.0, 60.0
_FILES = 256  # compressed pictures kept: starts and goals are sent again and again


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConfig:
    """How a vision endpoint is reached and how long it is waited for.

    Attributes:
        base_url: e.g. ``"http://127.0.0.1:8000/v1"``; None is the vendor's own.
        model: as the endpoint names it.
        key_env: environment variable that holds the key; local servers need none.
        deadline_s: seconds that a batch of questions, or all inside ``batch``, may take; what is
            missing then abstains.
        give_up_s: seconds without any answer after which training is stopped.
        n_parallel: requests at a time.
        max_retries: of a request, with jitter, on 408, 409, 429, 5xx and broken connections.
        budget_usd: most USD; then every question abstains.
        budget_calls: most calls.
    """

    base_url: str | None
    model: str
    key_env: str = "OPENAI_API_KEY"
    deadline_s: float = 30.0
    give_up_s: float = 600.0
    n_parallel: int = 16
    max_retries: int = 2
    budget_usd: float | None = None
    budget_calls: int | None = None


class VisionEndpoint:
    """Answers questions through an endpoint.

    A question abstains that is answered too late, refused, or not asked because the endpoint has
    been silent for three batches in a row: it is then left alone for 5 s, doubling up to 60 s,
    and tried with a single question. Training thus goes on, without reward, at full speed.

    Args:
        config: where and how long.
        client: in place of the endpoint, for tests.
    """

    def __init__(self, config: EndpointConfig, client: Client | None = None) -> None:
        self._config = config
        live = client or EndpointClient(
            base_url=config.base_url,
            key_env=config.key_env,
            timeout_s=config.deadline_s,
            max_retries=config.max_retries,
        )
        budget = Budget(usd=config.budget_usd, calls=config.budget_calls)
        self._live, self._client = live, Budgeted(live, budget, load_prices())
        self._workers = Workers(config.n_parallel)
        self._files: OrderedDict[bytes, str] = OrderedDict()
        self._strikes, self._rest_s, self._rests_until = 0, _REST_S, 0.0
        self._silent_since = 0.0
        self._until: float | None = None
        self._poor = False
        self.who = config.model

    @property
    def spent(self) -> dict[str, float]:
        """USD, tokens and calls so far."""
        return dict(self._client.spent)

    def ask(self, questions: Sequence[Question], arrived: Arrived) -> list[Reply | LLMError]:
        """Return replies as far as they come before the deadline.

        Raises:
            ProgressBackendError: wrong key, unknown model, or no answer for ``give_up_s``.
        """
        now = time.monotonic()
        if now < self._rests_until:
            return [Silence("the endpoint is left alone for a while")] * len(questions)
        until = now + self._config.deadline_s if self._until is None else self._until
        if until <= now:
            return [Late(f"no time left of {self._config.deadline_s:g} s")] * len(questions)
        tried = questions if self._strikes < _STRIKES else questions[:1]
        said = self._send(tried, arrived, until)
        self._judge(said, now)
        rest = len(questions) - len(tried)
        return said + [Silence("the endpoint was silent; one question tries it")] * rest

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Let everything that is asked inside share one deadline."""
        self._until = time.monotonic() + self._config.deadline_s
        try:
            yield
        finally:
            self._until = None

    def close(self) -> None:
        """Let the threads end."""
        self._workers.close()

    def _send(
        self, questions: Sequence[Question], arrived: Arrived, until: float
    ) -> list[Reply | LLMError]:
        def late(index: int, said: Reply | LLMError) -> None:
            if isinstance(said, Reply):
                arrived(index, said)

        batch: Batch[Reply | LLMError] = Batch(len(questions), late)
        for index, question in enumerate(questions):
            request = self._request(question)

            def run(index: int = index, request: Request = request) -> None:
                batch.put(index, self._complete(request))

            self._workers.start(run, until)
        missing = Late(f"no answer within {self._config.deadline_s:g} s")
        return [missing if said is None else said for said in batch.close(until)]

    def _complete(self, request: Request) -> Reply | LLMError:
        try:
            return self._client.complete(request)
        except LLMError as error:
            return error
        except Exception as error:  # a thread that dies would be waited for until the deadline
            return LLMError(f"{type(error).__name__}: {error}")

    def _judge(self, said: Sequence[Reply | LLMError], began: float) -> None:
        """Raise what no waiting mends; note whether the endpoint is alive."""
        for error in said:
            if isinstance(error, BudgetExceeded):
                self._warn_poor(error)
                return
            if isinstance(error, FatalLLMError) and not isinstance(error, Unreachable):
                raise ProgressBackendError(str(error))
        if any(not isinstance(one, SILENT) for one in said):
            self._strikes, self._rest_s = 0, _REST_S
            return
        if self._strikes == 0:
            self._silent_since = began
        self._strikes += 1
        silent_s = time.monotonic() - self._silent_since
        if silent_s > self._config.give_up_s:
            raise ProgressBackendError(
                f"{self.who} has not answered for {silent_s:.0f} s: {said[-1]}. Start the endpoint "
                "and resume, or give it longer with give_up_s."
            )
        if self._strikes >= _STRIKES:
            self._rests_until = time.monotonic() + self._rest_s
            self._rest_s = min(2 * self._rest_s, _LONGEST_REST_S)

    def _warn_poor(self, error: BudgetExceeded) -> None:
        if not self._poor:
            self._poor = True
            warnings.warn(
                f"the budget of {self.who} is spent: it abstains from now on ({error})",
                RuntimeWarning,
                stacklevel=2,
            )

    def _request(self, question: Question) -> Request:
        content = [self._part(part) for part in question.parts]
        user = Message(role="user", content=content)
        system = [Message(role="system", content=question.system)] if question.system else []
        return Request(
            messages=(*system, user),
            model=self._config.model,
            temperature=0.0,
            max_tokens=question.max_tokens,
            alternatives=question.alternatives,
            sample=question.attempt,
            purpose="progress",
        )

    def _part(self, part: Part) -> dict[str, Any]:
        if isinstance(part, str):
            return {"type": "text", "text": part}
        return {"type": "image_url", "image_url": {"url": self._file(np.asarray(part))}}

    def _file(self, picture: Any) -> str:
        key = digest(picture)
        if key not in self._files:
            self._files[key] = data_url(picture)
            if len(self._files) > _FILES:
                self._files.popitem(last=False)
        self._files.move_to_end(key)
        return self._files[key]
