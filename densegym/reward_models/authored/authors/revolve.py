"""REvolve: programs evolve on islands, with a language model as the operator of variation.

Hazra et al. 2024, arXiv 2406.01309. Parents are drawn by a softmax of fitness within an island;
half of the children merge two parents, the others change one term of one. A child joins its
island only if it is no worse than the island's mean. After a generation islands may migrate: the
weaker half start anew from their best and one migrant of the stronger half.

Nothing is stored: islands are rebuilt from the ledger, where each row names its island, and the
draws of past migrations depend on the rows alone. Departures: fitness is the task's own score,
not people's preferences.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.context import Context
from densegym.reward_models.authored.writing import prompts, reflection
from densegym.reward_models.authored.writing.drafting import (
    Block,
    Drafting,
    Options,
    Prompt,
    read_options,
)
from densegym.reward_models.llm.types import Reply

MOST = 8  # individuals of an island
_NOTE = re.compile(r"island-(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class RevolveOptions(Options):
    """Options of ``revolve``.

    Attributes:
        islands: how many.
        crossover: share of children with two parents.
        migration: probability of a migration after a generation.
        softmax: temperature of the draw of parents, in units of the task's score.
    """

    islands: int = 4
    crossover: float = 0.5
    migration: float = 0.3
    softmax: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            RewardError: a value out of range.
        """
        Options.__post_init__(self)
        if self.islands < 1 or self.softmax <= 0.0:
            raise RewardError("islands is at least 1, and softmax above 0")
        if not (0.0 <= self.crossover <= 1.0 and 0.0 <= self.migration <= 1.0):
            raise RewardError("crossover and migration are probabilities from 0 to 1")


class Child(NamedTuple):
    """One program to be written: for an island, from no, one or two parents."""

    island: int
    parents: tuple[Row, ...]

    @property
    def note(self) -> str:
        """The row's note, which names the island."""
        return f"island-{self.island} {('founder', 'mutation', 'crossover')[len(self.parents)]}"


class Answer(NamedTuple):
    """A child, what was asked for it, and the reply, or None where that failed for good."""

    child: Child
    prompt: Prompt
    reply: Reply | None


class Revolve:
    """Evolves programs on islands. See ``RevolveOptions``."""

    name = "revolve"
    asks = True

    def check_options(self, given: Mapping[str, Any]) -> None:
        """Refuse what it does not take; see ``Author``."""
        read_options(RevolveOptions, given, self.name)

    def propose(self, context: Context) -> None:
        """Submit one child per candidate, the islands taking turns; repair those that fail.

        Raises:
            RewardError: an option cannot be used.
            LLMError: no further reply can be had.
        """
        options = read_options(RevolveOptions, context.options, self.name)
        drafting = Drafting(context, options)
        islands = populations(context.rows, options)
        children = _children(context, islands, options)
        for child, prompt, reply in _answers(drafting, children):
            if reply is not None:
                draft = drafting.submit(
                    prompt, reply, parents=[row.id for row in child.parents], note=child.note
                )
                drafting.repair(prompt, draft, note=f"island-{child.island} repair")


def populations(rows: Sequence[Row], options: RevolveOptions) -> list[list[Row]]:
    """Return the islands' individuals after all generations in the rows, best first."""
    islands: list[list[Row]] = [[] for _ in range(options.islands)]
    for generation in sorted({row.iteration for row in rows}):
        born = [row for row in rows if row.iteration == generation and row.fitness is not None]
        bars = [np.mean([_fitness(row) for row in home]) if home else -np.inf for home in islands]
        for row in born:
            home = _home(row, options.islands)
            if home is not None and _fitness(row) >= bars[home]:
                islands[home].append(row)
        islands = [sorted(home, key=_fitness, reverse=True)[:MOST] for home in islands]
        rng = _chance(born)
        if rng.random() < options.migration:
            _migrate(islands, rng, options.softmax)
    return islands


def _home(row: Row, islands: int) -> int | None:
    found = _NOTE.match(str(row.author.get("note", "")))
    return int(found.group(1)) % islands if found else None


def _fitness(row: Row) -> float:
    assert row.fitness is not None  # only trained rows live on islands
    return row.fitness


def _chance(born: Sequence[Row]) -> np.random.Generator:
    """Return random numbers that depend on a generation's rows alone, so a resume repeats them."""
    told = " ".join(f"{row.id} {row.ast_hash}" for row in born)
    return np.random.default_rng(list(hashlib.sha256(told.encode()).digest()))


def _migrate(islands: list[list[Row]], rng: np.random.Generator, softmax: float) -> None:
    """Reset the weaker half to its best and one migrant each from the stronger half."""
    order = sorted(
        range(len(islands)),
        key=lambda i: _fitness(islands[i][0]) if islands[i] else -np.inf,
        reverse=True,
    )
    middle = (len(order) + 1) // 2
    sources = [row for i in order[:middle] for row in islands[i]]
    for i in order[middle:]:
        if sources:
            (migrant,) = _drawn(sources, rng, softmax, 1)
            kept = {row.id: row for row in (*islands[i][:1], migrant)}
            islands[i] = sorted(kept.values(), key=_fitness, reverse=True)


def _drawn(
    rows: Sequence[Row], rng: np.random.Generator, softmax: float, count: int
) -> tuple[Row, ...]:
    """Return different rows, drawn by a softmax of fitness."""
    scores = np.array([_fitness(row) for row in rows]) / softmax
    weights = np.exp(scores - scores.max())
    # A far worse row may round to no chance at all, and two are wanted.
    chances = (weights + 1e-12) / (weights + 1e-12).sum()
    return tuple(rows[i] for i in rng.choice(len(rows), size=count, replace=False, p=chances))


def _children(
    context: Context, islands: Sequence[Sequence[Row]], options: RevolveOptions
) -> list[Child]:
    everyone = list({row.id: row for home in islands for row in home}.values())
    children = []
    for k in range(context.candidates):
        island = (context.iteration * context.candidates + k) % options.islands
        home = islands[island] or everyone
        merges = context.rng.random() < options.crossover and len(home) > 1
        count = min(2 if merges else 1, len(home))
        parents = _drawn(home, context.rng, options.softmax, count) if home else ()
        children.append(Child(island, tuple(sorted(parents, key=lambda row: row.id))))
    return children


def _answers(drafting: Drafting, children: Sequence[Child]) -> list[Answer]:
    """Return every child's answer; children of equal parents are samples of one question.

    Asked one by one they would be the same request, and share one recorded reply.
    """
    places: dict[tuple[str, ...], list[int]] = {}
    for place, child in enumerate(children):
        places.setdefault(tuple(row.id for row in child.parents), []).append(place)
    found: dict[int, Answer] = {}
    for same in places.values():
        prompt = _question(drafting, children[same[0]].parents)
        replies = drafting.ask(prompt, len(same), purpose="candidates")
        for place, reply in zip(same, replies, strict=True):
            found[place] = Answer(children[place], prompt, reply)
    return [found[place] for place in range(len(children))]


def _question(drafting: Drafting, parents: Sequence[Row]) -> Prompt:
    said = drafting.feedback()
    if not parents:
        return drafting.question(said)
    titles = ("The program",) if len(parents) == 1 else ("Program A", "Program B")
    told = []
    for title, row in zip(titles, parents, strict=True):
        text = prompts.render(
            "revolve-parents",
            title=title,
            outcome=prompts.outcome(row),
            code=drafting.source(row),
        )
        told.append(Block("history", text, ("revolve-parents",)))
        told.append(Block("reflection", reflection.progress(row), ("course",)))
    move = "revolve-mutation" if len(parents) == 1 else "revolve-crossover"
    return drafting.question(*told, said, Block(move, prompts.render(move)))
