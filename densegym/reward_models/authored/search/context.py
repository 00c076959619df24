"""What an author is given: a language model to ask, and checks of a program once submitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from densegym.errors import ResultsError
from densegym.reward_models.authored.screening.bank import Bank
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.ledger import Ledger
from densegym.reward_models.llm.sampling import sample
from densegym.reward_models.llm.types import Client, LLMError, Message, Reply, Request
from densegym.reward_models.sandbox.status import Status
from densegym.reward_models.types import TaskCard

_RESTART_SAMPLES = 10_000  # replies of restarts and of iterations never share a sample index
_ITERATION_SAMPLES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the checks and screens say of one program; fields as in ``Row``."""

    status: Status
    feedback: str = ""
    ast_hash: str = ""
    isolation: str = ""
    static: Mapping[str, Any] = field(default_factory=dict)
    dynamic: Mapping[str, Any] = field(default_factory=dict)
    screen: Mapping[str, Any] = field(default_factory=dict)


class Judge(Protocol):
    """Checks and screens programs."""

    def __call__(self, source: str) -> Judgement:
        """Judge one program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What outlives an iteration.

    Attributes:
        judge: checks and screens programs.
        client: the language model, or None for authors that ask none.
        model: its name.
        max_tokens: of a reply, or None.
        parallel: replies asked for at a time.
        feedback: what a person said about an iteration, by its number.
        facts: ``env`` and ``features_hash`` of every row.
        on_failed: told about every reply that could not be had.
    """

    judge: Judge
    client: Client | None = None
    model: str = ""
    max_tokens: int | None = None
    parallel: int = 4
    feedback: Callable[[int], str] = lambda iteration: ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    on_failed: Callable[[LLMError], None] = lambda error: None


class Context:
    """What the search lends to an author for one iteration.

    Args:
        card: the task, with its feature table.
        iteration: 0-based, within its restart.
        candidates: how many passing candidates the iteration should yield (K).
        rows: rows of all earlier iterations in order of submission, with their fitness.
        bank: labelled trajectories of the task, for quantiles and examples.
        rng: seeded from the search's seed and the iteration.
        options: author options from the search configuration.
        kind: of the author, for the ledger.
        temperature: of replies, unless the author says otherwise.
        ledger: where submissions go.
        desk: what outlives the iteration.
        prefix: of the ids of this iteration.
        restart: 0-based; replies of different restarts are independent.
        on_row: told after every submission.

    Attributes:
        feedback: what a person said about the last iteration, or "".
    """

    def __init__(
        self,
        *,
        card: TaskCard,
        iteration: int,
        candidates: int,
        rows: Sequence[Row],
        bank: Bank,
        rng: np.random.Generator,
        options: Mapping[str, Any],
        kind: str,
        temperature: float,
        ledger: Ledger,
        desk: Desk,
        prefix: str,
        restart: int = 0,
        on_row: Callable[[], None] = lambda: None,
    ) -> None:
        self.card, self.iteration, self.candidates = card, iteration, candidates
        self.rows, self.bank, self.rng, self.options = rows, bank, rng, options
        self.feedback = desk.feedback(int(prefix) - 1)
        self._temperature, self._ledger, self._desk = temperature, ledger, desk
        self._prefix, self._restart, self._on_row = prefix, restart, on_row
        self._kind = kind
        self._submitted = 0

    def ask(
        self,
        messages: Sequence[Message],
        *,
        samples: int = 1,
        temperature: float | None = None,
        schema: Mapping[str, Any] | None = None,
        purpose: str = "",
    ) -> list[Reply | None]:
        """Return ``samples`` independent replies in order; None where one failed for good.

        Failures are ledgered. Temperature None takes the search's.

        Raises:
            LLMError: there is no language model, or every further reply would fail: no budget,
                wrong key, endpoint down.
        """
        if self._desk.client is None:
            raise LLMError("this author asks a language model; give --model, --mailbox or --replay")
        if samples > _ITERATION_SAMPLES:
            raise LLMError(f"at most {_ITERATION_SAMPLES} replies a question; asked for {samples}")
        offset = self._restart * _RESTART_SAMPLES + self.iteration * _ITERATION_SAMPLES
        request = Request(
            messages=tuple(messages),
            model=self._desk.model,
            temperature=self._temperature if temperature is None else temperature,
            max_tokens=self._desk.max_tokens,
            schema=schema,
            sample=offset,
            purpose=purpose,
        )
        replies = sample(self._desk.client, request, samples, parallel=self._desk.parallel)
        for reply in replies:
            if isinstance(reply, LLMError):
                self._desk.on_failed(reply)
        return [reply if isinstance(reply, Reply) else None for reply in replies]

    def submit(
        self,
        source: str,
        *,
        parents: Sequence[str] = (),
        reply: Reply | None = None,
        note: str = "",
        train: bool = True,
        prompt_hash: str = "",
    ) -> Row:
        """Check and screen a program now, write it to the ledger, and return its row.

        Passing rows with ``train`` take part in the iteration's training. The row's
        ``feedback`` says what was wrong with a failing one.

        Args:
            source: the program's text.
            parents: ids of the candidates it was made from.
            reply: the reply it was taken from; brings its model, key and price.
            note: what kind of move it was, e.g. ``"repair"``.
            train: whether it may take part in training.
            prompt_hash: of the prompt templates.

        Raises:
            ResultsError: the ledger holds another program under this id: it belongs to another
                search.
        """
        name = f"{self._prefix}-{self._submitted:02d}"
        self._submitted += 1
        known = self._ledger.find(name)
        if known is not None:
            if known.source != source:
                raise ResultsError(
                    f"{self._ledger.path} holds another program as {name}: it was written by "
                    "another search. Choose another --out, or remove the folder."
                )
            return known
        row = self._judged(name, source)
        described = {
            "kind": self._kind,
            "prompt_hash": prompt_hash,
            "note": note,
            "train": train,
            **_origin(reply),
        }
        row = row.with_(
            parents=tuple(parents),
            author={key: value for key, value in described.items() if value not in ("", None)},
            tokens=_tokens(reply),
            usd=0.0 if reply is None else reply.usd,
            env=self._desk.facts.get("env", {}),
            features_hash=self._desk.facts.get("features_hash", ""),
        )
        kept = self._ledger.write(row)
        self._on_row()
        return kept

    def _judged(self, name: str, source: str) -> Row:
        judged = self._desk.judge(source)
        twin = next(
            (
                row.id
                for row in self._ledger.rows()
                if judged.ast_hash and row.ast_hash == judged.ast_hash and row.duplicate_of is None
            ),
            None,
        )
        return Row(
            id=name,
            iteration=int(self._prefix),
            source=source,
            status=judged.status,
            feedback=judged.feedback,
            ast_hash=judged.ast_hash,
            duplicate_of=twin,
            isolation=judged.isolation,
            static=judged.static,
            dynamic=judged.dynamic,
            screen=judged.screen,
        )


def _origin(reply: Reply | None) -> dict[str, Any]:
    if reply is None:
        return {}
    return {"model": reply.model, "reply": reply.key}


def _tokens(reply: Reply | None) -> dict[str, int]:
    return {"in": reply.tokens_in, "out": reply.tokens_out} if reply else {"in": 0, "out": 0}
