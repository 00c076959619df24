"""Verifies a reward program: the allow-list, a worker process, and how it behaves on many steps.

The three layers catch different faults: text that must not run, runs that do not end, and rewards
that are wrong in shape, infinite, constant, or dependent on who shares the batch.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from densegym.reward_models.authored.programs.runner import WorkerRunner, unroll
from densegym.reward_models.authored.verification.behaviour import (
    Fault,
    find_fault,
    find_inconsistency,
    measure,
    warn,
)
from densegym.reward_models.authored.verification.deployment import (
    EPISODE,
    try_episode,
    try_lanes,
)
from densegym.reward_models.authored.verification.trial import Trial, make_trial
from densegym.reward_models.features import feature_names
from densegym.reward_models.sandbox.allowlist import inspect_source
from densegym.reward_models.sandbox.process import SandboxError, Worker
from densegym.reward_models.sandbox.status import Status
from densegym.reward_models.types import TaskCard

_STRETCH = 32  # rows in a row that a program with memory sees as one episode when it is measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the three layers say of a program.

    Attributes:
        status: ``OK`` or the first fault found.
        feedback: what an author is told about it, without paths; "" for ``OK``.
        isolation: the level it ran at: ``ast`` where the static check already refused it,
            ``ast+process`` or ``ast+process+ns``.
        kind: ``compute_reward``, ``potential`` or ``factors``; "" where the text was refused.
        ast_hash: hash of the code without comments and layout.
        parameters: the features it reads.
        static: nodes, and ms of the static check.
        dynamic: as ``behaviour.measure``, and warnings, ms of the dynamic check, and
            us_per_transition in the worker, and step_ms by batch size; empty where it did not
            run to the end.
    """

    status: Status
    feedback: str
    isolation: str
    kind: str
    ast_hash: str
    parameters: tuple[str, ...]
    static: Mapping[str, Any]
    dynamic: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; None stands for NaN and infinity."""
        plain: dict[str, Any] = _plain(dataclasses.asdict(self))
        return plain


def verify(
    source: str,
    card: TaskCard,
    *,
    samples: Mapping[str, Any] | None = None,
    episode: int = EPISODE,
    runner_timeout_s: float = 2.0,
    worker: Worker | None = None,
) -> Verdict:
    """Check a program without letting it near this process.

    Without samples a total that is NaN on some made-up rows, or constant on most, is only warned
    about: which states can occur is not known.

    Args:
        source: the program's text.
        card: the task whose features it may read.
        samples: (rows, *shape) features of real steps, by name.
        episode: steps that a program with memory must stand.
        runner_timeout_s: wall seconds a call may take, where no worker is given.
        worker: a worker to use and leave running; one worker serves one caller at a time.

    Raises:
        RewardError: the samples do not fit the card.
    """
    started = time.perf_counter()
    inspection = inspect_source(source, known=feature_names(card))
    static = {"nodes": inspection.nodes, "ms": _since(started)}
    parameters = tuple(name for name in inspection.parameters if name != "memory")
    verdict = Verdict(
        status=inspection.status,
        feedback=inspection.feedback,
        isolation="ast",
        kind=inspection.kind,
        ast_hash=inspection.ast_hash,
        parameters=parameters,
        static=static,
    )
    if inspection.status is not Status.OK:
        return verdict
    trial = make_trial(card, parameters, samples)
    with Worker(timeout_s=runner_timeout_s) if worker is None else nullcontext(worker) as hired:
        started = time.perf_counter()
        try:
            dynamic, fault = _behave(WorkerRunner(inspection, hired), trial, source, episode)
        except SandboxError as error:
            dynamic, fault = {}, Fault(error.status, error.feedback)
        if dynamic:
            dynamic["ms"] = _since(started)
        return dataclasses.replace(
            verdict,
            status=Status.OK if fault is None else fault.status,
            feedback="" if fault is None else fault.feedback,
            isolation=hired.isolation,
            dynamic=dynamic,
        )


def _behave(
    runner: WorkerRunner, trial: Trial, source: str, episode: int
) -> tuple[dict[str, Any], Fault | None]:
    lengths = [min(_STRETCH, len(trial) - start) for start in range(0, len(trial), _STRETCH)]
    scored = unroll(runner, trial.features, lengths)
    started = time.perf_counter()
    runner(trial.features, scored.memory)
    per_row = (time.perf_counter() - started) * 1e6 / len(trial)
    facts = measure(scored, trial, runner.kind)
    facts |= {"warnings": warn(facts, scored, trial), "us_per_transition": per_row}
    fault = find_fault(scored, trial, runner.kind)
    fault = fault or find_inconsistency(runner, trial, scored.memory)
    if fault is None:
        fault, facts["step_ms"] = try_lanes(runner, trial, scored.memory, source)
    if fault is None and runner.memory:
        fault = try_episode(runner, trial, episode)
    return facts, fault


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1e3


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Status):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
