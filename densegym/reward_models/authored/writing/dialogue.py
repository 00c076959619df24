"""Turns of a conversation with a language model, and the repair of answers that cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from densegym.errors import DenseGymError
from densegym.reward_models.authored.search.context import Context
from densegym.reward_models.authored.writing import prompts
from densegym.reward_models.llm.types import Message, Reply

SHARED = ("task", "interface", "rules", "feedback")  # templates that most prompts are made of
CUT_OFF = "it was cut off at its longest allowed length; answer more briefly"
Value = TypeVar("Value")


class FaultyAnswerError(DenseGymError):
    """An answer that cannot be used; its message is what the language model is told."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[Value]):
    """How the attempts at an answer ended.

    Attributes:
        value: what was read from it, or None if the last one could not be used either.
        reply: the last reply.
        problem: what was wrong with it, or "".
    """

    value: Value | None
    reply: Reply
    problem: str = ""


def system(content: str) -> Message:
    """Return a system turn."""
    return Message(role="system", content=content)


def user(content: str) -> Message:
    """Return a user turn."""
    return Message(role="user", content=content)


def assistant(content: str) -> Message:
    """Return a turn of the model."""
    return Message(role="assistant", content=content)


def told_feedback(context: Context) -> str:
    """Return what a person said of the last iteration, in words, or ""."""
    told = context.feedback.strip()
    return prompts.render("feedback", feedback=told) if told else ""


def ask_one(
    context: Context, messages: Sequence[Message], *, temperature: float | None, purpose: str
) -> Reply | None:
    """Return one reply, or None where it failed for good."""
    return context.ask(messages, temperature=temperature, purpose=purpose)[0]


def until_usable(
    context: Context,
    messages: Sequence[Message],
    reply: Reply,
    attempt: Callable[[Reply], Value],
    *,
    repair: Callable[[str], str],
    repairs: int,
    temperature: float | None = None,
    purpose: str = "repair",
) -> Answer[Value]:
    """Use a reply, giving faulty ones back with what is wrong with them.

    Only the newest faulty answer and its problem stay in the dialogue, after LaRe's published
    code. An equal request would be answered from the record, so even an answer that is merely
    sampled again is asked for with a complaint.

    Args:
        context: of the search.
        messages: what ``reply`` answers.
        reply: the first attempt.
        attempt: reads a reply; raises ``FaultyAnswerError`` if it cannot be used.
        repair: words a problem as a user turn.
        repairs: most further attempts.
        temperature: of the repairs.
        purpose: in logs.
    """
    answer: Answer[Value] = _tried(attempt, reply)
    for _ in range(repairs):
        if not answer.problem:
            break
        turns = [*messages, assistant(answer.reply.text), user(repair(answer.problem))]
        again = ask_one(context, turns, temperature=temperature, purpose=purpose)
        if again is None:
            break
        answer = _tried(attempt, again)
    return answer


def _tried(attempt: Callable[[Reply], Value], reply: Reply) -> Answer[Value]:
    if reply.finish == "length":
        return Answer(None, reply, CUT_OFF)
    try:
        return Answer(attempt(reply), reply)
    except FaultyAnswerError as fault:
        return Answer(None, reply, str(fault) or "it cannot be used")
