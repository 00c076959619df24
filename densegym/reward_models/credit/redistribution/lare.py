"""LaRe: authored factors of a step, and a decoder that learns from returns what they are worth.

Qu et al. 2025, arXiv 2412.11120 (LaRe_RRDu). A program defines ``factors(feature, ...) -> {name:
(N,)}``; the decoder is fitted by unbiased RRD on the factors instead of on raw observations. What
is added: factors are standardised, and those that are not finite are refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from densegym import assets
from densegym.errors import RewardError
from densegym.reward_models.authored.programs.program import has_header, read_header
from densegym.reward_models.authored.programs.runner import LocalRunner
from densegym.reward_models.authored.verification.verify import verify
from densegym.reward_models.credit.fitting.inputs import steps_of
from densegym.reward_models.credit.redistribution.rrd import RRDCredit, RRDOptions
from densegym.reward_models.features import feature_names, reader
from densegym.reward_models.sandbox.allowlist import inspect_source
from densegym.reward_models.sandbox.status import Status
from densegym.reward_models.types import Episode, Steps, TaskCard

FOLDER = "factors"


class Factors:
    """Reads the factors of a program from steps: (B, k) float32.

    Args:
        source: the program's text.
        task: the card whose features it reads.
        name: for errors.

    Raises:
        RewardError: the allow-list refuses it, or it defines no ``factors``.
    """

    def __init__(self, source: str, task: TaskCard, name: str) -> None:
        inspection = inspect_source(source, known=feature_names(task))
        if inspection.status is not Status.OK:
            raise RewardError(f"{name}: {inspection.status}: {inspection.feedback}")
        if inspection.kind != "factors":
            raise RewardError(f"{name} must define factors(feature, ...) -> {{name: (N,)}}")
        self._runner = LocalRunner(inspection, name)
        self._readers = [reader(task, parameter) for parameter in self._runner.parameters]
        told = {item.name for item in task.features if item.source == "info"}
        self.reads_info = not told.isdisjoint(self._runner.parameters)
        self._name = name

    def __call__(self, steps: Steps) -> Any:
        """Return the factors of B steps.

        Raises:
            RewardError: the program failed, or a factor is NaN or infinite.
        """
        arguments = [read(steps) for read in self._readers]
        parts = self._runner.run(arguments, len(steps.slot)).parts
        rows = np.stack(list(parts.values()), axis=1).astype("f4")
        if not np.isfinite(rows).all():
            bad = np.flatnonzero(~np.isfinite(rows).all(axis=0))
            names = [list(parts)[i] for i in bad]
            raise RewardError(f"{self._name}: factors {', '.join(names)} are not finite")
        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class LaReOptions(RRDOptions):
    """Options of credits decoded from factors.

    Attributes:
        path: a factor program, such as ``densegym author run --author lare`` writes; None is the
            shipped one for the task.
        factors: read factors with this function of ``Steps`` instead.
    """

    unbiased: bool = True
    path: str | None = None
    factors: Callable[[Steps], Any] | None = None


class LaReCredit(RRDCredit):
    """Credits decoded from authored factors: ``reward="credit/lare"``.

    Args:
        task: the task's card.
        options: see ``LaReOptions``.
        seed: of weights and draws.
    """

    name = "credit/lare"

    def __init__(self, task: TaskCard, options: LaReOptions, *, seed: int = 0) -> None:
        super().__init__(task, options, seed=seed)
        read = options.factors or load_factors(task, options.path)
        self._factors: Callable[[Steps], Any] = read
        reads_info = isinstance(self._factors, Factors) and self._factors.reads_info
        self.traits = self.traits.replace(markov=not reads_info)

    def _inputs_of(self, episode: Episode) -> Any:
        return self._factors(steps_of(episode))

    def _inputs(self, obs: Any, action: Any, next_obs: Any) -> Any:
        rows = len(action)
        never = np.zeros(rows, dtype=np.bool_)
        lanes = np.arange(rows)
        zeros = np.zeros(rows)
        return self._factors(
            Steps(lanes, lanes, obs, action, next_obs, zeros, never, never, [{}] * rows)
        )


def load_factors(task: TaskCard, path: str | None = None) -> Factors:
    """Return the factors of a file, verified in a worker first, or the shipped ones of a task.

    Raises:
        RewardError: there are none, the file cannot be read, or the program does not pass.
    """
    if path is None:
        return _shipped(task)
    try:
        source = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RewardError(f"{path} cannot be read as a factor program: {error}") from error
    verdict = verify(source, task)
    if verdict.status is not Status.OK:
        raise RewardError(f"{path} does not pass ({verdict.status}): {verdict.feedback}")
    return Factors(source, task, Path(path).name)


def shipped_factors() -> dict[str, str]:
    """Return the shipped factor programs by the env ids they were written for."""
    texts = [assets.text(f"{FOLDER}/{stem}.py") for stem in assets.names(FOLDER, ".py")]
    headed = [(read_header(text, FOLDER), text) for text in texts if has_header(text)]
    return {task: text for head, text in headed for task in (head.task, *head.also)}


def _shipped(task: TaskCard) -> Factors:
    known = shipped_factors()
    if task.id not in known:
        raise RewardError(
            f"no factor program ships for {task.id}. Write one, or have one written with "
            f"`densegym author run {task.id} --author lare --mailbox prompts`, then "
            '{"model": "credit/lare", "path": "factors.py"}. Shipped for: '
            f"{', '.join(sorted(known))}."
        )
    return Factors(known[task.id], task, f"the factors of {task.id}")
