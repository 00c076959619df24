"""What a search asks of whoever trains: jobs in, outcomes out, both plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Train a candidate up to a step count, then evaluate it on the world's outcome.

    Attributes:
        candidate: its id.
        source: the program's text.
        task: environment id.
        seed: of the training run.
        steps: of a full run; decides the points at which terms are recorded.
        until: environment steps at which this job ends; a later job goes on from there.
        eval_seed: of the first evaluation placement.
        eval_episodes: how many.
        settings: ``key=value`` overrides of the training preset.
        folder: where the run keeps its checkpoint.
    """

    candidate: str
    source: str
    task: str
    seed: int
    steps: int
    until: int
    eval_seed: int
    eval_episodes: int
    settings: tuple[str, ...] = ()
    folder: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a job found.

    Attributes:
        result: F_mean, F_std, success and length over the evaluation episodes, their number
            ``episodes``, ``training_success`` (share of successful ones among the last hundred
            training episodes) and ``env_steps`` (trained in all, earlier jobs included).
        components: per term, ``"fitness"`` and ``"episode_length"``: ``series`` (mean per step)
            and ``sums`` (per episode) at tenths of a full run, and max, mean, min of the series.
        clocks: ``cpu_s`` and ``wall_s`` of this job alone.
        status: ``trained``, or why there is no result: ``runtime_error`` or ``unstable``.
        feedback: what the program's author is told about a failure.
    """

    result: Mapping[str, float] = field(default_factory=dict)
    components: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    clocks: Mapping[str, float] = field(default_factory=dict)
    status: str = "trained"
    feedback: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return dataclasses.asdict(self)


class Evaluator(Protocol):
    """Trains and evaluates candidates; ``agents.authoring`` has one per engine."""

    def evaluate(
        self, jobs: Sequence[Job], on_done: Callable[[Job, Outcome], None]
    ) -> list[Outcome]:
        """Carry out jobs side by side and return their outcomes in order.

        A job that was finished by an earlier, killed call is not carried out again.

        Args:
            jobs: what to do.
            on_done: told about each as it ends, in any order.
        """
