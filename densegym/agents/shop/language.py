"""A language model as a shopper: ReAct prompts (Yao et al. 2023, arXiv 2210.03629), any client.

An episode is one conversation: the page goes in, a thought and an action come out. Clients are
those of ``reward_models.llm``, so replies can be recorded, replayed, bounded by a budget, or
written by hand into a mailbox.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from densegym import assets
from densegym.agents.shop.shopper import Shopper
from densegym.envs.shop.session.core import REASONS, ShopCore
from densegym.envs.shop.session.render_text import text
from densegym.reward_models.llm.types import Client, FatalLLMError, LLMError, Message, Request

_ACTION = re.compile(r"^\W*action\W*?:\s*(.*)$", re.IGNORECASE | re.MULTILINE)
_VERB = re.compile(r"(?:search|click)\[[^\n]*\]", re.IGNORECASE)


class LanguagePlayer:
    """Plays by asking a client once per step.

    A step whose reply cannot be had or read is an invalid action: it costs a step, and the next
    page says what was wrong. An endpoint that is down, a wrong key or a spent budget stop the play.

    Args:
        client: whom to ask.
        model: as the client names it.
        temperature: of replies.
        max_tokens: of a reply, or None.
        parallel: episodes asked about at a time.

    Attributes:
        spent: ``calls``, ``failures``, ``tokens_in``, ``tokens_out``, ``usd`` so far, replayed
            replies counted at what they cost when they were recorded.
    """

    def __init__(
        self,
        client: Client,
        model: str,
        *,
        temperature: float = 0.0,
        max_tokens: int | None = None,
        parallel: int = 4,
    ) -> None:
        self._client, self._model = client, model
        self._temperature, self._max_tokens = temperature, max_tokens
        self._parallel = parallel
        self._lock = threading.Lock()
        names = ("calls", "failures", "tokens_in", "tokens_out", "usd")
        self.spent: dict[str, float] = dict.fromkeys(names, 0.0)

    def choose(self, shoppers: Sequence[Shopper]) -> list[str]:
        """Return the action that the model writes for every shopper.

        Raises:
            FatalLLMError: every further call would fail the same way.
        """
        with ThreadPoolExecutor(max(1, min(self._parallel, len(shoppers)))) as pool:
            return list(pool.map(self._ask, shoppers))

    def _ask(self, shopper: Shopper) -> str:
        talk: list[Message] = shopper.notes.setdefault("talk", [_system(shopper.max_steps)])
        talk.append(Message(role="user", content=observation(shopper)))
        request = Request(
            messages=tuple(talk),
            model=self._model,
            temperature=self._temperature,
            max_tokens=self._max_tokens,
            stop=("\nObservation:",),
            purpose=f"shop {shopper.core.goal.id} step {shopper.core.state.steps}",
        )
        try:
            reply = self._client.complete(request)
        except FatalLLMError:
            raise
        except LLMError as error:
            self._count(calls=1, failures=1)
            talk.append(Message(role="assistant", content=f"(no reply: {error})"))
            return ""
        self._count(
            calls=1, tokens_in=reply.tokens_in, tokens_out=reply.tokens_out, usd=reply.usd or 0.0
        )
        talk.append(Message(role="assistant", content=reply.text.strip()))
        return read_action(reply.text)

    def _count(self, **amounts: Any) -> None:
        with self._lock:
            for name, amount in amounts.items():
                self.spent[name] += amount


def _system(max_steps: int) -> Message:
    content = assets.text("prompts/shop/react.txt").replace("{max_steps}", str(max_steps))
    return Message(role="system", content=content.strip())


def observation(shopper: Shopper) -> str:
    """Return what the model is shown of a page: its text, what can be clicked, what is chosen."""
    core = shopper.core
    told = [f"Invalid action: {REASONS[shopper.refused]}."] if shopper.refused else []
    told += ["Observation:", text(core)]
    if core.state.page != "index":
        told.append(f"Clickable: {', '.join(core.view.clickables)}")
    if core.state.options:
        told.append(f"Chosen: {_chosen(core)}")
    left = shopper.max_steps - core.state.steps
    if left <= 3:
        told.append(f"Actions left: {left}")
    return "\n".join(told)


def _chosen(core: ShopCore) -> str:
    return ", ".join(f"{group}: {value}" for group, value in core.state.options)


def read_action(reply: str) -> str:
    """Return the action of a reply: its first ``Action:`` line, else the last action-like text.

    A text without either comes back as it is, cut, and is then refused as no action.
    """
    named = _ACTION.search(reply)
    line = named[1] if named else reply
    found = _VERB.findall(line)
    if found:
        return str(found[0] if named else found[-1])
    return line.strip()[:200]
