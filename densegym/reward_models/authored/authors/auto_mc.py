"""Auto MC-Reward: a designer and a critic write a reward, an analyzer reads why episodes fail.

Three roles of a language model (Li et al. 2024, arXiv 2312.09238). The Designer writes ``dense``
and ``sparse``, of which only the signs count, with memory over an episode where it needs one. The
Critic reads the code before it is tried, and the error text after. From the second iteration on
the Trajectory Analyzer reads the last steps of episodes that failed and asks for a change.

Departures: features of the task card stand in for the paper's Minecraft observation; failed
episodes come from the trajectory bank, first those of the winner's own policy, then those that
the winner's reward pays most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from densegym.errors import RewardError
from densegym.reward_models.authored.search.author import refuse_unknown_options
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.context import Context
from densegym.reward_models.authored.search.halving import best
from densegym.reward_models.authored.writing import extract, prompts
from densegym.reward_models.authored.writing.dense_sparse import compose, designed
from densegym.reward_models.authored.writing.dialogue import (
    CUT_OFF,
    SHARED,
    FaultyAnswerError,
    ask_one,
    assistant,
    told_feedback,
    user,
)
from densegym.reward_models.authored.writing.drafting import passed_checks
from densegym.reward_models.authored.writing.endings import failed_endings
from densegym.reward_models.llm.structured import json_object
from densegym.reward_models.llm.types import Message, Reply

ROUNDS = 3
_PROMPTS = (
    "auto-mc-designer",
    "auto-mc-critic",
    "auto-mc-revise",
    "auto-mc-analyzer",
    "auto-mc-next",
    *SHARED,
)


class AutoMC:
    """Writes rewards of which only the signs count.

    Options:
        rounds: most rounds of the critic a candidate, 3 unless given; 0 goes without.
    """

    name = "auto-mc"
    asks = True

    def check_options(self, given: Mapping[str, Any]) -> None:
        """Refuse what it does not take; see ``Author``."""
        refuse_unknown_options(given, self.name, ["rounds"])
        rounds = given.get("rounds", ROUNDS)
        if not isinstance(rounds, int) or rounds < 0:
            raise RewardError(f"rounds is a whole number from 0 up; given {rounds!r}")

    def propose(self, context: Context) -> None:
        """Submit one criticised program per design.

        Raises:
            RewardError: rounds is no whole number from 0 up.
            LLMError: no further reply can be had.
        """
        self.check_options(context.options)
        rounds = context.options.get("rounds", ROUNDS)
        parent = best(context.rows)
        messages = _designing(context, parent)
        for reply in context.ask(messages, samples=context.candidates, purpose="designer"):
            if reply is not None:
                _Design(context, messages, reply, parent).refine(rounds)


class _Design:
    """One candidate on its way between designer, critic and the checks."""

    def __init__(
        self, context: Context, messages: Sequence[Message], reply: Reply, parent: Row | None
    ) -> None:
        self._context, self._messages, self._parent = context, messages, parent
        self._take(reply)

    def refine(self, rounds: int) -> None:
        """Submit the design once the critic has no objection, or after the last round."""
        for _ in range(rounds):
            problems = self._criticism()
            if not problems and not self._error:
                self._submit()
                if not self._error:
                    return
            elif not self._revise(problems or [self._error]):
                break
        if not self._submitted:
            self._submit()

    def _take(self, reply: Reply) -> None:
        self._reply, self._submitted, self._error = reply, False, ""
        self._code = extract.code(reply.text) or reply.text
        if reply.finish == "length":
            self._program, self._error = "", CUT_OFF
            return
        try:
            self._program = compose(self._code)
        except FaultyAnswerError as fault:
            self._program, self._error = "", str(fault)

    def _submit(self) -> None:
        row = self._context.submit(
            self._program or self._code,
            parents=[self._parent.id] if self._parent else [],
            reply=self._reply,
            note="designed" if self._program else "not composed",
            train=bool(self._program),  # only what is composed is held to its signs
            prompt_hash=prompts.prompt_hash(*_PROMPTS),
        )
        self._submitted = True
        self._error = "" if passed_checks(row) else row.feedback or str(row.status)

    def _criticism(self) -> list[str]:
        """Return the critic's problems; a reply that is no list is one problem as it stands."""
        question = prompts.render(
            "auto-mc-critic",
            task=prompts.task(self._context.card, self._context.bank),
            interface=prompts.interface(self._context.card, self._context.bank),
            rules=prompts.rules(),
            code=self._code,
            error=f"When it was tried, this was found: {self._error}" if self._error else "",
        )
        reply = ask_one(self._context, [user(question)], temperature=None, purpose="critic")
        if reply is None:
            return []
        data = json_object(reply.text)
        problems = data.get("problems") if data is not None else None
        if not isinstance(problems, list):
            return [reply.text]
        return [str(problem) for problem in problems]

    def _revise(self, problems: Sequence[str]) -> bool:
        listed = "\n".join(f"- {problem}" for problem in problems)
        turns = [
            *self._messages,
            assistant(self._reply.text),
            user(prompts.render("auto-mc-revise", problems=listed)),
        ]
        reply = ask_one(self._context, turns, temperature=None, purpose="revision")
        if reply is None:
            return False
        self._take(reply)
        return True


def _designing(context: Context, parent: Row | None) -> list[Message]:
    first = prompts.render(
        "auto-mc-designer",
        task=prompts.task(context.card, context.bank),
        interface=prompts.interface(context.card, context.bank),
        rules=prompts.rules(),
    )
    if parent is None:
        return [user(first)]
    turn = prompts.render(
        "auto-mc-next",
        outcome=prompts.outcome(parent),
        analysis=_analysis(context, parent),
        feedback=told_feedback(context),
    )
    written = assistant(f"```python\n{designed(parent.source)}\n```")
    return [user(first), written, user(turn)]


def _analysis(context: Context, parent: Row) -> str:
    """Return what the trajectory analyzer says of failed episodes, or ""."""
    endings = failed_endings(parent, context.card, context.bank)
    if not endings:
        return ""
    question = prompts.render(
        "auto-mc-analyzer",
        task=prompts.task(context.card, context.bank),
        code=designed(parent.source),
        outcome=prompts.outcome(parent),
        episodes=endings,
    )
    reply = ask_one(context, [user(question)], temperature=None, purpose="analyzer")
    if reply is None:
        return ""
    data: Mapping[str, Any] = json_object(reply.text) or {"request": reply.text}
    return "\n".join(str(data[key]) for key in ("cause", "request") if key in data)
