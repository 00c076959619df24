"""A reward program: one NumPy function over named features, with a provenance header.

A program file starts with a comment block of TOML between ``# /// densegym-reward`` and
``# ///``, and defines one of

- ``compute_reward(feature, ...) -> (total, {term: value})``: every array has the batch axis N
  first; the terms sum to the total;
- ``potential(feature, ...) -> values``: (N,), paid as shaping γΦ(s') − Φ(s).

The parameter names are features of the task card, ``prev_<feature>`` before the step, or
``terminated``. Programs are pure: no randomness, no state of their own. A module constant
``MEMORY = M`` asks for M numbers a lane that survive until its episode ends: ``compute_reward``
then takes ``memory`` (N, M), zero at first, and returns ``(total, terms, new_memory)``.

Programs pass the allow-list before they run, and see only the names it knows.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.authored.programs.runner import (
    LIMIT,
    LocalRunner,
    Scored,
    VettedRunner,
    settle,
)
from densegym.reward_models.batch import all_true
from densegym.reward_models.features import as_steps, blank_steps, feature_names, reader
from densegym.reward_models.model import Event, Potential, RewardModel
from densegym.reward_models.sandbox.allowlist import inspect_source
from densegym.reward_models.sandbox.status import Status
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Float, Scores, Starts, Steps, TaskCard, Values

_OPEN, _CLOSE = "# /// densegym-reward", "# ///"
_FEW = 32
_REQUIRED = ("name", "version", "task", "author", "date", "summary")
_OPTIONAL = ("stops_at_success", "notes", "also", "variant")


@dataclass(frozen=True, slots=True)
class Header:
    """The provenance of a program.

    Attributes:
        name: full reward name with version, e.g. ``"authored/button-press-v1"``.
        task: the env id it was written for.
        author: who or what wrote it.
        date: ISO date it was written.
        summary: one line for listings.
        stops_at_success: whether training episodes should end at the first success, or None.
        notes: what else a reader should know.
        also: other env ids whose cards have the same features.
        variant: one of several for its task, which ``reward="authored"`` never picks.
    """

    name: str
    task: str
    author: str
    date: str
    summary: str
    stops_at_success: bool | None = None
    notes: str = ""
    also: tuple[str, ...] = ()
    variant: bool = False
    source: str = field(default="", repr=False)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Return every env id that it serves."""
        return (self.task, *self.also)

    @property
    def is_potential(self) -> bool:
        """Whether the program values states, so that it is paid as shaping."""
        return "\ndef potential(" in self.source


def read_header(source: str, where: str) -> Header:
    """Read the provenance header of a program.

    Args:
        source: the program's text.
        where: its path or name, for errors.

    Raises:
        RewardError: the block is missing, is no TOML, or lacks or adds an entry.
    """
    lines = source.splitlines()
    if not lines or lines[0].strip() != _OPEN or _CLOSE not in lines[1:]:
        raise RewardError(f'{where} must start with a block "{_OPEN}" ... "{_CLOSE}"')
    block = lines[1 : lines.index(_CLOSE, 1)]
    try:
        entries = tomllib.loads("\n".join(line.removeprefix("#").strip() for line in block))
    except tomllib.TOMLDecodeError as error:
        raise RewardError(f"the header of {where} is not TOML: {error}") from error
    missing = [key for key in _REQUIRED if key not in entries]
    foreign = [key for key in entries if key not in (*_REQUIRED, *_OPTIONAL)]
    if missing or foreign:
        raise RewardError(f"the header of {where} lacks {missing} and must not have {foreign}")
    return Header(
        name=f"authored/{entries['name']}-v{int(entries['version'])}",
        task=entries["task"],
        author=entries["author"],
        date=str(entries["date"]),
        summary=entries["summary"],
        stops_at_success=entries.get("stops_at_success"),
        notes=entries.get("notes", ""),
        also=tuple(entries.get("also", ())),
        variant=entries.get("variant", False),
        source=source,
    )


def plain_header(source: str, task: str, name: str) -> Header:
    """Return the header of a program that carries none, such as a search's candidate.

    Args:
        source: the program's text.
        task: env id it is used on.
        name: full reward name.
    """
    return Header(name=name, task=task, author="", date="", summary="", source=source)


def has_header(source: str) -> bool:
    """Return whether a program starts with a provenance block."""
    return source.partition("\n")[0].strip() == _OPEN


class _Program:
    """What rewards and potentials share: the readers, the limits of the contract, their counts.

    Attributes:
        clipped: rows whose total was beyond ``runner.LIMIT`` and was clipped to it.
        non_finite: rows on which the program abstained, because its total was NaN or infinite.
    """

    traits: Traits

    def __init__(self, header: Header, runner: LocalRunner | VettedRunner, task: TaskCard) -> None:
        self.name = header.name
        self.header = header
        self.traits = Traits(ends_at_success=header.stops_at_success)
        self.clipped = self.non_finite = 0
        self._task = task
        self._runner = runner
        self._readers = [reader(task, name) for name in runner.parameters]

    def _run(self, steps: Steps, memory: Float | None = None) -> Scored:
        arguments = [read(steps) for read in self._readers]
        return self._runner.run(arguments, len(steps.slot), memory)

    def _settle(self, scored: Scored) -> Scores:
        total = scored.total
        if _within_limit(total):
            return Scores(total, all_true(len(total)), scored.parts)
        settled = settle(scored)
        self.clipped += settled.clipped
        self.non_finite += int(np.count_nonzero(~settled.valid))
        return Scores(settled.total, settled.valid, settled.parts)

    def state_dict(self) -> dict[str, Any]:
        """Return the counts."""
        return {"clipped": self.clipped, "non_finite": self.non_finite}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the counts."""
        self.clipped, self.non_finite = int(state["clipped"]), int(state["non_finite"])


class ProgramReward(_Program, RewardModel):
    """Pays what a program's ``compute_reward`` returns, within ±``runner.LIMIT``.

    Rows whose total is not finite are abstentions, for which the engine's fallback pays.
    """

    def __init__(self, header: Header, runner: LocalRunner | VettedRunner, task: TaskCard) -> None:
        super().__init__(header, runner, task)
        self._memory: Float = np.zeros((0, runner.memory))
        terms = tuple(self._run(blank_steps(task, rows=2)).parts)
        self.traits = self.traits.replace(terms=terms)

    def begin(self, starts: Starts) -> None:
        """Empty the memory of lanes that start an episode."""
        if self._runner.memory:
            missing = int(starts.slot.max(initial=-1)) + 1 - len(self._memory)
            if missing > 0:
                room = np.zeros((missing, self._runner.memory))
                self._memory = np.concatenate([self._memory, room])
            self._memory[starts.slot] = 0.0

    def score(self, steps: Steps) -> Scores:
        """Return the program's total and terms.

        Raises:
            RewardError: the program failed, or its result is not (total, {term: value}).
        """
        if not self._runner.memory:
            return self._settle(self._run(steps))
        scored = self._run(steps, self._memory[steps.slot])
        self._memory[steps.slot] = scored.memory
        return self._settle(scored)

    def state_dict(self) -> dict[str, Any]:
        """Return the counts, and the memory of every lane where the program keeps one."""
        kept = {"memory": self._memory.copy()} if self._runner.memory else {}
        return super().state_dict() | kept

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the counts and the memory."""
        super().load_state_dict(state)
        if self._runner.memory:
            self._memory = np.array(state["memory"], dtype=np.float64)


class ProgramPotential(_Program, Potential):
    """Values states with a program's ``potential``; pays through ``shaping.Shaped``."""

    def __init__(self, header: Header, runner: LocalRunner | VettedRunner, task: TaskCard) -> None:
        super().__init__(header, runner, task)
        self._run(blank_steps(task, rows=2))

    def value(self, event: Event) -> Values:
        """Return Φ; ``prev_`` features of a first state equal its current ones."""
        steps = as_steps(event, self._task) if isinstance(event, Starts) else event
        phi, valid, _ = self._settle(self._run(steps))
        return Values(phi, valid)


def build_program(
    header: Header, task: TaskCard, *, isolated: bool | None = None
) -> ProgramReward | ProgramPotential:
    """Load a program for a task whose card has the features it reads.

    The allow-list keeps out what a reward has no use for; a program by a stranger must pass
    ``verify`` too, which runs it in a worker under limits.

    Args:
        header: of the program.
        task: the task.
        isolated: run it in a worker process; False does so beyond the batch sizes that ``verify``
            tries, and None never does, for programs that somebody has read.

    Raises:
        RewardError: the allow-list refuses the program, it defines ``factors``, or it fails on a
            batch of zeros.
    """
    inspection = inspect_source(header.source, known=feature_names(task))
    if inspection.status is not Status.OK:
        raise RewardError(f"{header.name}: {inspection.status}: {inspection.feedback}")
    if inspection.kind == "factors":
        raise RewardError(
            f"{header.name} defines factors, which pay nothing by themselves: credit/lare learns "
            "a reward from them. A reward program defines compute_reward or potential."
        )
    runner: LocalRunner | VettedRunner = LocalRunner(inspection, header.name)
    if isolated is not None:
        runner = VettedRunner(inspection, header.name, isolated=isolated)
    if inspection.kind == "potential":
        return ProgramPotential(header, runner, task)
    return ProgramReward(header, runner, task)


def _within_limit(total: Float) -> bool:
    """Return whether all totals are surely finite and bounded; NaN compares false."""
    if len(total) <= _FEW:  # a sum of Python floats starts sooner than a NumPy reduction
        return bool(sum(map(abs, total.tolist())) <= LIMIT)
    return bool(np.abs(total).max() <= LIMIT)
