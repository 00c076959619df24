"""What an author of reward programs is given, and what it does: propose an iteration.

An author holds no state between iterations: all it knows is in the context, so a search that was
killed goes on from its ledger as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from densegym.reward_models.authored.screening.bank import Bank
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.llm.types import Message, Reply
from densegym.reward_models.types import TaskCard


class Context(Protocol):
    """What the search lends to an author for one iteration.

    Attributes:
        card: the task, with its feature table.
        iteration: 0-based.
        candidates: how many passing candidates the iteration should yield (K).
        rows: rows of all earlier iterations in order of submission, with their fitness.
        bank: labelled trajectories of the task, for quantiles and examples.
        rng: seeded from the search's seed and the iteration.
        feedback: what a person said about the last iteration, or "".
        options: author options from the search configuration.
    """

    card: TaskCard
    iteration: int
    candidates: int
    rows: Sequence[Row]
    bank: Bank
    rng: np.random.Generator
    feedback: str
    options: Mapping[str, Any]

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
            LLMError: every further reply would fail: no budget, wrong key, endpoint down.
        """

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
        """


class Author(Protocol):
    """Writes the candidates of one iteration."""

    name: str
    """As typed after ``--author``."""
    asks: bool
    """Whether it needs a language model."""

    def propose(self, context: Context) -> None:
        """Submit the candidates of one iteration through ``context.submit``."""
