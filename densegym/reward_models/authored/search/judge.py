"""Judges a submitted program before any training: static check, dynamic check, trajectory bank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from densegym.reward_models.authored.programs.runner import open_runner
from densegym.reward_models.authored.screening.bank import Bank
from densegym.reward_models.authored.screening.loops import find_loops
from densegym.reward_models.authored.screening.scoring import score_bank
from densegym.reward_models.authored.screening.screens import screen
from densegym.reward_models.authored.search.context import Judgement
from densegym.reward_models.authored.verification.deployment import EPISODE
from densegym.reward_models.authored.verification.verify import Verdict, verify
from densegym.reward_models.features import feature_names
from densegym.reward_models.sandbox.allowlist import inspect_source
from densegym.reward_models.sandbox.process import SandboxError, Worker
from densegym.reward_models.sandbox.status import Status
from densegym.reward_models.types import TaskCard

SAMPLES = 2048  # rows of the bank that the dynamic check looks at
_CLOCKS = ("ms", "us_per_transition", "step_ms")  # they differ between runs, and a ledger must not


class ProgramJudge:
    """Implements ``context.Judge`` with one worker process for all programs of a search.

    Args:
        card: the task.
        bank: labelled trajectories of the task.
    """

    def __init__(self, card: TaskCard, bank: Bank) -> None:
        self._card, self._bank = card, bank
        self._samples, self._loops = bank_samples(bank), find_loops(bank)
        self._episode = max(bank.lengths(), default=EPISODE)
        self._worker = Worker()

    def __enter__(self) -> ProgramJudge:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.close()

    def __call__(self, source: str) -> Judgement:
        """Judge one program."""
        verdict = verify(
            source,
            self._card,
            samples=self._samples,
            episode=self._episode,
            worker=self._worker,
        )
        if verdict.status is not Status.OK or verdict.kind == "factors":
            return _judgement(verdict)
        inspection = inspect_source(source, known=feature_names(self._card))
        try:
            with open_runner(inspection, worker=self._worker) as runner:
                scored = score_bank(runner, self._bank)
            screened = screen(self._bank, scored, loops=self._loops)
        except SandboxError as error:
            return _judgement(verdict, status=error.status, feedback=error.feedback)
        return _judgement(
            verdict,
            status=screened.status,
            feedback=screened.feedback,
            screen=screened.as_dict(),
        )


def bank_samples(bank: Bank, rows: int = SAMPLES) -> dict[str, Any]:
    """Return rows spread evenly over all trajectories of a bank, (rows, *shape) per feature."""
    stacked = bank.stacked()
    total = sum(bank.lengths())
    chosen = np.linspace(0, total - 1, min(rows, total)).astype(np.int64)
    return {name: values[chosen] for name, values in stacked.items()}


def _judgement(
    verdict: Verdict,
    *,
    status: Status | None = None,
    feedback: str = "",
    screen: Mapping[str, Any] | None = None,
) -> Judgement:
    return Judgement(
        status=status or verdict.status,
        feedback=feedback or verdict.feedback,
        ast_hash=verdict.ast_hash,
        isolation=verdict.isolation,
        static=_clockless(verdict.static),
        dynamic=_clockless(verdict.dynamic),
        screen=screen or {},
    )


def _clockless(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if key not in _CLOCKS}
