"""The search over reward programs: propose, screen, train by halving, confirm on fresh seeds.

One engine and one ledger for every author, with and without a language model. Killed at any
moment, the same call goes on: proposals are repeated from their recorded replies and seeds, rows
that the ledger already holds are not judged again, and jobs that were finished are not repeated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from densegym.errors import DenseGymError
from densegym.reward_models.authored.screening.bank import Bank
from densegym.reward_models.authored.search.author import Author
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.context import Context, Desk
from densegym.reward_models.authored.search.evaluation import Evaluator, Job, Outcome
from densegym.reward_models.authored.search.halving import best, promoted, rank_key
from densegym.reward_models.authored.search.ledger import Ledger
from densegym.reward_models.llm.types import LLMError
from densegym.reward_models.sandbox.status import Status
from densegym.reward_models.types import TaskCard

SELECTION_SEED = 2_000_003  # placements that rank candidates
REPORT_SEED = 3_000_017  # placements of the final figures, never seen while selecting


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchConfig:
    """What a search is made of.

    Attributes:
        task: environment id, e.g. ``DenseGym/DoorUnlock-v0``.
        author: who writes the programs, as listed by ``densegym author authors``.
        candidates: passing candidates an iteration (K).
        iterations: rounds of writing and training (N).
        restarts: independent repetitions of all iterations.
        steps: environment steps of a full training run.
        fractions: shares of ``steps`` at which halving promotes.
        eta: one in eta is promoted to the next rung.
        eval_episodes: episodes behind every F.
        final_top: how many of the best are trained again on fresh seeds.
        final_seeds: fresh seeds of each of these.
        temperature: of replies.
        seed: seed of the author's draws and of training.
        settings: ``key=value`` overrides of the training preset.
        options: ``key=value`` settings of the author.
    """

    task: str
    author: str = "eureka"
    candidates: int = 6
    iterations: int = 3
    restarts: int = 1
    steps: int = 100_000
    fractions: tuple[float, ...] = (0.1, 0.3, 1.0)
    eta: int = 3
    eval_episodes: int = 20
    final_top: int = 3
    final_seeds: int = 5
    temperature: float = 1.0
    seed: int = 0
    settings: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            DenseGymError: a count below one, or fractions that do not rise to 1.
        """
        for key in ("candidates", "iterations", "restarts", "steps", "eval_episodes"):
            if getattr(self, key) < 1:
                raise DenseGymError(f"{key} is at least 1; given {getattr(self, key)}")
        rising = all(a < b for a, b in zip((0.0, *self.fractions), self.fractions, strict=False))
        if not self.fractions or not rising or self.fractions[-1] != 1.0:
            raise DenseGymError(
                f"fractions rise from above 0 to 1, such as 0.1,0.3,1; given {self.fractions}"
            )
        if self.eta < 2:
            raise DenseGymError(f"eta is at least 2; given {self.eta}")


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a search stands, for whoever watches.

    Attributes:
        phase: ``"proposing"``, ``"rung 1 of 3"``, ``"confirming"`` or ``"finished"``.
        iteration: 0-based, over all restarts.
        rows: every candidate so far.
        running: jobs of this phase that are not done.
    """

    phase: str
    iteration: int
    rows: Sequence[Row]
    running: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """How a search ended.

    Attributes:
        rows: the whole ledger.
        winner: best candidate, by fresh seeds where there are some, or None.
        stopped: why it ended early, or "".
    """

    rows: Sequence[Row]
    winner: Row | None
    stopped: str = ""


class Search:
    """Carries out a search.

    Args:
        config: what to search.
        card: the task.
        author: who writes.
        bank: labelled trajectories of the task.
        evaluator: who trains.
        ledger: what is known so far.
        desk: how the author reaches its language model and how programs are judged.
        on_change: told about every step of the search.
        on_outcome: told about every finished job and its clocks.
    """

    def __init__(
        self,
        config: SearchConfig,
        *,
        card: TaskCard,
        author: Author,
        bank: Bank,
        evaluator: Evaluator,
        ledger: Ledger,
        desk: Desk,
        on_change: Callable[[Moment], None] = lambda moment: None,
        on_outcome: Callable[[Job, Outcome], None] = lambda job, outcome: None,
    ) -> None:
        self._config, self._card, self._author, self._bank = config, card, author, bank
        self._evaluator, self._ledger, self._desk = evaluator, ledger, desk
        self._on_change, self._on_outcome = on_change, on_outcome

    def run(self) -> Found:
        """Search to the end, or until the language model cannot be asked any more."""
        stopped = ""
        for iteration in range(self._config.iterations * self._config.restarts):
            self._tell("proposing", iteration)
            context = self._context(iteration)
            try:
                self._author.propose(context)
            except LLMError as error:
                stopped = str(error)  # what was submitted before is trained all the same
            self._train(iteration)
            if stopped:
                break
        self._confirm()
        rows = self._ledger.rows()
        self._tell("finished", self._config.iterations * self._config.restarts - 1)
        return Found(rows, winner(rows), stopped)

    def train_in_full(self) -> None:
        """Train every passing candidate to the whole budget, whatever its rung said.

        The ledger then holds what halving saved and what it missed; see ``halving_check``.
        """
        last = self._config.iterations * self._config.restarts - 1
        for rung in range(1, len(self._config.fractions)):
            behind = [row for row in self._ledger.rows() if row.rungs and _reached(row) == rung]
            for row, entry, outcome in self._outcomes(behind, rung, last):
                if outcome.status == Status.TRAINED:
                    self._ledger.write(row.with_(audit=(*row.audit, entry)))

    def _row(self, row: Row) -> Row:
        found = self._ledger.find(row.id)
        assert found is not None
        return found

    def _context(self, iteration: int) -> Context:
        config = self._config
        restart, within = divmod(iteration, config.iterations)
        first = restart * config.iterations
        earlier = [row for row in self._ledger.rows() if first <= row.iteration < iteration]
        return Context(
            card=self._card,
            iteration=within,
            candidates=config.candidates,
            rows=earlier,
            bank=self._bank,
            rng=np.random.default_rng([config.seed, iteration]),
            options=config.options,
            kind=self._author.name,
            temperature=config.temperature,
            ledger=self._ledger,
            desk=self._desk,
            prefix=f"{iteration:02d}",
            restart=restart,
            on_row=lambda: self._tell("proposing", iteration),
        )

    def _train(self, iteration: int) -> None:
        """Train the passing candidates of an iteration by successive halving."""
        rows = [
            row
            for row in self._ledger.rows()
            if row.iteration == iteration
            and row.status.passed
            and row.duplicate_of is None
            and row.author.get("train", True)
        ]
        for rung in range(len(self._config.fractions)):
            # Candidates of a killed call may be ahead of this rung; they still take part in it.
            trained = self._rung(rows, rung, iteration)
            rows = promoted([upto(row, rung) for row in trained], eta=self._config.eta)
            rows = [self._row(row) for row in rows]

    def _rung(self, rows: Sequence[Row], rung: int, iteration: int) -> list[Row]:
        """Train rows through a rung; return those that came through it."""
        waiting = [row for row in rows if len(row.rungs) <= rung]
        for row, entry, outcome in self._outcomes(waiting, rung, iteration):
            self._ledger.write(_after_rung(row, entry, outcome))
        current = [self._row(row) for row in rows]
        return [row for row in current if row.status.passed and len(row.rungs) > rung]

    def _outcomes(
        self, rows: Sequence[Row], rung: int, iteration: int
    ) -> list[tuple[Row, dict[str, Any], Outcome]]:
        config = self._config
        until = round(config.steps * config.fractions[rung])
        jobs = [
            self._job(row, training_seed(config.seed, row.ast_hash), until, SELECTION_SEED)
            for row in rows
        ]
        outcomes = self._carry_out(jobs, f"rung {rung + 1} of {len(config.fractions)}", iteration)
        return [
            (row, {**o.result, "fraction": config.fractions[rung], "seed": job.seed}, o)
            for row, job, o in zip(rows, jobs, outcomes, strict=True)
        ]

    def _confirm(self) -> None:
        """Train the best again on fresh seeds and fresh placements: no winner's curse."""
        config = self._config
        full = [row for row in self._ledger.rows() if len(row.rungs) == len(config.fractions)]
        top = sorted([row for row in full if row.status.passed], key=rank_key, reverse=True)
        jobs, owners = [], []
        for row in top[: config.final_top]:
            for index in range(len(row.final), config.final_seeds):
                seed = training_seed(config.seed, f"final {index}")
                jobs.append(self._job(row, seed, config.steps, REPORT_SEED))
                owners.append(row)
        outcomes = self._carry_out(jobs, "confirming", config.iterations * config.restarts - 1)
        for row, job, outcome in zip(owners, jobs, outcomes, strict=True):
            current = self._row(row)
            if outcome.status == Status.TRAINED:
                entry = {**outcome.result, "seed": job.seed}
                self._ledger.write(current.with_(final=(*current.final, entry)))

    def _job(self, row: Row, seed: int, until: int, eval_seed: int) -> Job:
        config = self._config
        return Job(
            candidate=row.id,
            source=row.source,
            task=config.task,
            seed=seed,
            steps=config.steps,
            until=until,
            eval_seed=eval_seed,
            eval_episodes=config.eval_episodes,
            settings=config.settings,
        )

    def _carry_out(self, jobs: Sequence[Job], phase: str, iteration: int) -> list[Outcome]:
        left = len(jobs)
        self._tell(phase, iteration, left)

        def done(job: Job, outcome: Outcome) -> None:
            nonlocal left
            left -= 1
            self._on_outcome(job, outcome)
            self._tell(phase, iteration, left)

        return self._evaluator.evaluate(jobs, done) if jobs else []

    def _tell(self, phase: str, iteration: int, running: int = 0) -> None:
        self._on_change(Moment(phase, iteration, self._ledger.rows(), running))


def winner(rows: Sequence[Row]) -> Row | None:
    """Return the best candidate: by mean F over fresh seeds where there are some, else by rung."""
    confirmed = [row for row in rows if row.final]
    if confirmed:
        return max(confirmed, key=lambda row: (_final(row, "F_mean"), -_final(row, "length")))
    return best([row for row in rows if row.status.passed])


def training_seed(seed: int, what: str) -> int:
    """Return a training seed that depends on the search's seed and on the candidate's code."""
    digest = hashlib.sha256(f"{seed} {what}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % 2**31


def _reached(row: Row) -> int:
    """Return how many rungs a row was trained through, promoted to them or not."""
    return len(row.rungs) + len(row.audit)


def upto(row: Row, rung: int) -> Row:
    """Return a row as it stood at a rung."""
    return row.with_(rungs=tuple(row.rungs[: rung + 1]))


def _final(row: Row, key: str) -> float:
    return float(np.mean([run[key] for run in row.final]))


def _after_rung(row: Row, entry: Mapping[str, Any], outcome: Outcome) -> Row:
    status = Status(outcome.status)
    if status is not Status.TRAINED:
        return row.with_(status=status, feedback=outcome.feedback)
    rungs = (*row.rungs, entry)
    return row.with_(status=status, rungs=rungs, components=outcome.components)
