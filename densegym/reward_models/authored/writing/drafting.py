"""What all authors with a language model share: questions, submissions, repairs, options."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from densegym.errors import RewardError, unknown
from densegym.reward_models.authored.programs.declarations import declare, declared
from densegym.reward_models.authored.programs.renaming import aliases, inverse, rename, rename_text
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.context import Context
from densegym.reward_models.authored.writing import extract, prompts, reflection
from densegym.reward_models.authored.writing.dialogue import ask_one, assistant, system, user
from densegym.reward_models.llm.types import Message, Reply
from densegym.reward_models.sandbox.status import Status

BLOCKS = (
    "role",
    "task",
    "interface",
    "safety",
    "rules",
    "example",
    "history",
    "reflection",
    "screen",
    "output",
)
Given = TypeVar("Given", bound="Options")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What every author with a language model may be told.

    Attributes:
        safety: a sentence on how the task should be done.
        example: whether the shipped program of the most similar other task is shown.
        renamed: whether features are called ``f00``, ``f01``, ...; the control for contamination.
            No example is shown then, for it would have names.
        without: blocks to leave out, joined by commas, for ablations.
        repair_turns: most repairs of one failing program.
    """

    safety: str = ""
    example: bool = False
    renamed: bool = False
    without: str = ""
    repair_turns: int = 2

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            RewardError: a negative count.
            UnknownNameError: no such block; names the closest.
        """
        if self.repair_turns < 0:
            raise RewardError(f"repair_turns is 0 or more; given {self.repair_turns}")
        for block in self.left_out:
            if block not in BLOCKS:
                raise unknown("prompt block", block, BLOCKS)

    @property
    def left_out(self) -> tuple[str, ...]:
        """The blocks that no prompt has."""
        return tuple(name.strip() for name in self.without.split(",") if name.strip())


def read_options(kind: type[Given], given: Mapping[str, Any], author: str) -> Given:
    """Return an author's options.

    Raises:
        UnknownNameError: an option that the author does not have; names the closest.
        RewardError: a value of another type than the default's.
    """
    defaults = {item.name: item.default for item in dataclasses.fields(kind)}
    for name, value in given.items():
        if name not in defaults:
            raise unknown(f"option of {author}", name, defaults)
        wanted = type(defaults[name])
        fits = type(value) in (int, float) if wanted is float else type(value) is wanted
        if not fits:
            raise RewardError(
                f"the option {name} of {author} is of type {wanted.__name__}, such as "
                f"{defaults[name]!r}; given {value!r}"
            )
    return kind(**given)


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a prompt.

    Attributes:
        name: of ``BLOCKS`` where an ablation can leave it out.
        text: empty parts are left out.
        templates: what it was made from; the name where empty.
    """

    name: str
    text: str
    templates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation to be answered, and the templates it was made from."""

    messages: tuple[Message, ...]
    templates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A reply that was submitted.

    Attributes:
        reply: as it came.
        row: of the ledger.
        problem: what the language model is told of a failure; None for a program that passed.
    """

    reply: Reply
    row: Row
    problem: Block | None

    @property
    def counts(self) -> bool:
        """Whether it passed and is no repetition of an earlier program."""
        return self.problem is None and self.row.duplicate_of is None


def passed_checks(row: Row) -> bool:
    """Return whether a program passed when it was submitted, whatever training said since.

    A search that is continued gives rows back as they stand now, and must ask for no repair that
    it did not ask for the first time.
    """
    return row.status.passed or row.screen.get("status") == Status.OK


class Drafting:
    """Asks for programs in an iteration of a search, and submits what comes back.

    Args:
        context: of the iteration.
        options: of the author.
        interface: the block that shows the features, if it is not the table; the table is
            otherwise made from the task card.
        advice: further blocks that precede the rules.
    """

    def __init__(
        self,
        context: Context,
        options: Options,
        *,
        interface: Block | None = None,
        advice: Sequence[Block] = (),
    ) -> None:
        self._context, self._options = context, options
        self._real = aliases(context.card) if options.renamed else {}
        self._interface, self._advice = interface, tuple(advice)

    def question(self, *more: Block) -> Prompt:
        """Return the question for a program; ``more`` precedes the form of the answer."""
        messages = [] if "role" in self._options.left_out else [system(prompts.role())]
        blocks = self._kept([*self._standing(), *more, Block("output", prompts.output())])
        messages.append(user(_joined(blocks)))
        used = ("role",) if len(messages) > 1 else ()
        return Prompt(tuple(messages), (*used, *_templates(blocks)))

    def follow(self, row: Row, *more: Block) -> Prompt:
        """Return the question, a program as its answer, and what is said about it."""
        return self._turn(self.question(), self.shown(row), *more)

    def shown(self, row: Row) -> str:
        """Return a row's program as a fenced block."""
        return f"```python\n{self.source(row)}\n```"

    def source(self, row: Row) -> str:
        """Return a row's program under the names the model knows."""
        if not self._real:
            return row.source.strip()
        return declare(rename(row.source, inverse(self._real)), declared(row.source)).strip()

    def findings(self, row: Row) -> list[Block]:
        """Return what is known of a trained program: outcome, terms, screens."""
        return [
            Block("history", prompts.render("history", outcome=prompts.outcome(row))),
            Block("reflection", reflection.reflect(row)),
            Block("screen", self._aliased(reflection.screen_feedback(row))),
        ]

    def feedback(self) -> Block:
        """Return what a person said of the last iteration; empty where nobody did."""
        told = self._aliased(self._context.feedback.strip())
        return Block("feedback", prompts.render("feedback", feedback=told) if told else "")

    def ask(self, prompt: Prompt, samples: int, purpose: str) -> list[Reply | None]:
        """Return independent answers in order; None where one failed for good."""
        return self._context.ask(prompt.messages, samples=samples, purpose=purpose)

    def submit(
        self,
        prompt: Prompt,
        reply: Reply,
        *,
        parents: Sequence[str] = (),
        note: str = "",
        train: bool = True,
    ) -> Draft:
        """Submit the program of a reply; without one the reply itself, which then fails."""
        found = extract.read(reply.text)
        source = reply.text.encode(errors="replace").decode()  # half a character is no text
        if found.code is not None:
            code = rename(found.code, self._real) if self._real else found.code
            source = declare(code, found.components)
        row = self._context.submit(
            source,
            parents=parents,
            reply=reply,
            note=note,
            train=train and found.code is not None,
            prompt_hash=prompts.prompt_hash(*prompt.templates),
        )
        if found.code is not None and passed_checks(row):
            return Draft(reply, row, None)
        return Draft(reply, row, self._problem(row, found.reason))

    def repair(
        self,
        prompt: Prompt,
        draft: Draft,
        *,
        turns: int | None = None,
        note: str = "repair",
        repairable: Callable[[Draft], bool] = lambda draft: True,
    ) -> Draft:
        """Give a failing program back with what is wrong, until one passes; return the last.

        Args:
            prompt: what the first reply answered; the dialogue grows from it.
            draft: the first attempt.
            turns: most repairs; None takes ``Options.repair_turns``.
            note: of the repaired rows.
            repairable: whether a failure is worth a turn.
        """
        for _ in range(self._options.repair_turns if turns is None else turns):
            if draft.problem is None or not repairable(draft):
                break
            ending = Block("repair", prompts.render("repair"))
            prompt = self._turn(prompt, draft.reply.text, draft.problem, ending)
            reply = ask_one(self._context, prompt.messages, temperature=None, purpose="repair")
            if reply is None:
                break
            draft = self.submit(prompt, reply, parents=[draft.row.id], note=note)
        return draft

    def _turn(self, prompt: Prompt, answer: str, *more: Block) -> Prompt:
        blocks = self._kept([*more, Block("output", prompts.output())])
        turns = (assistant(answer.strip() or "(nothing)"), user(_joined(blocks)))
        return Prompt((*prompt.messages, *turns), (*prompt.templates, *_templates(blocks)))

    def _standing(self) -> list[Block]:
        card, bank, options = self._context.card, self._context.bank, self._options
        told = self._interface or Block(
            "interface", prompts.interface(card, bank, renamed=options.renamed)
        )
        shows = options.example and not options.renamed
        return [
            Block("task", prompts.task(card, bank)),
            told,
            *self._advice,
            Block("safety", prompts.safety(options.safety)),
            Block("rules", f"{prompts.contract()}\n\n{prompts.rules()}", ("contract", "rules")),
            Block("example", prompts.example(card) if shows else ""),
        ]

    def _kept(self, blocks: Sequence[Block]) -> list[Block]:
        left_out = self._options.left_out
        return [item for item in blocks if item.text and item.name not in left_out]

    def _problem(self, row: Row, reason: str) -> Block:
        if reason:
            return Block("error", prompts.render("error", problem=reason))
        if row.status is Status.TPE_FAIL:
            return Block("screen", self._aliased(reflection.screen_feedback(row)))
        return Block("error", self._aliased(reflection.error_feedback(row)))

    def _aliased(self, text: str) -> str:
        return rename_text(text, inverse(self._real))


def _joined(blocks: Sequence[Block]) -> str:
    return "\n\n".join(item.text for item in blocks)


def _templates(blocks: Sequence[Block]) -> tuple[str, ...]:
    return tuple(name for item in blocks for name in item.templates or (item.name,))
