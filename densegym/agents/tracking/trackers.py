"""Experiment trackers by the name a user types, behind Stable-Baselines3's logger.

A tracker is a ``KVWriter``: it is given numbers at a step. Each is imported on first use, keeps its
records where its own library keeps them, and works without a server or a key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import KVWriter, Logger

from densegym.errors import require, unknown
from densegym.plugins import resolve

PROJECT = "densegym"
_IDS = "tracking.json"
_HERE = "densegym.agents.tracking"


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What a tracker is told about a run.

    Attributes:
        name: what people see.
        config: nested plain values.
        folder: of the run while it works.
        resumed_at: step of the checkpoint that the run goes on from; None for a new run.
    """

    name: str
    config: Mapping[str, Any]
    folder: Path
    resumed_at: int | None = None

    def kept(self, tracker: str) -> str | None:
        """Return the id under which a tracker knows this run, or None if it does not yet."""
        known: str | None = self._ids().get(tracker)
        return known

    def keep(self, tracker: str, identity: str) -> str:
        """Note, and return, the id under which a tracker knows this run."""
        ids = {**self._ids(), tracker: identity}
        (self.folder / _IDS).write_text(json.dumps(ids), encoding="utf-8")
        return identity

    def flat_config(self) -> dict[str, str | int | float | bool]:
        """Return the configuration with one level, keys joined by dots."""
        return dict(_flat(self.config, ""))

    def _ids(self) -> dict[str, str]:
        path = self.folder / _IDS
        if not path.is_file():
            return {}
        ids: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return ids


@dataclass(frozen=True, slots=True)
class Tracker:
    """One tracker.

    Attributes:
        target: ``"module:Class"``, made of an ``Experiment``.
        module: what must be installed.
        extra: what brings it.
    """

    target: str
    module: str
    extra: str


TRACKERS: Mapping[str, Tracker] = {
    "tensorboard": Tracker(f"{_HERE}.tensorboard:TensorBoard", "tensorboard", "agents"),
    "wandb": Tracker(f"{_HERE}.weights_and_biases:WeightsAndBiases", "wandb", "tracking"),
    "mlflow": Tracker(f"{_HERE}.mlflow_runs:MLflowRun", "mlflow", "tracking"),
    "trackio": Tracker(f"{_HERE}.trackio_runs:TrackioRun", "trackio", "tracking"),
}
DEFAULT = ("tensorboard",)


def check_trackers(names: Sequence[str]) -> None:
    """Refuse what cannot be logged to, before anything slow begins.

    Raises:
        UnknownNameError: no such tracker; names the closest.
        MissingExtraError: its library is not installed.
    """
    for name in names:
        if name not in TRACKERS:
            raise unknown("tracker", name, TRACKERS)
        require(TRACKERS[name].module, extra=TRACKERS[name].extra)


def open_logger(names: Sequence[str], experiment: Experiment) -> Logger:
    """Return SB3's logger that writes to trackers; whoever asks for it closes it.

    Args:
        names: of ``TRACKERS``.
        experiment: the run.
    """
    check_trackers(names)
    if experiment.resumed_at is None:
        (experiment.folder / _IDS).unlink(missing_ok=True)
    writers: list[KVWriter] = [resolve(TRACKERS[name].target)(experiment) for name in names]
    return Logger(str(experiment.folder), writers)


def draw(logger: Logger, values: Mapping[str, float], step: int) -> None:
    """Write values at their own step, leaving what the learner has not written yet."""
    for form in logger.output_formats:
        form.write(dict(values), dict.fromkeys(values, ()), step)


def numbers(
    values: Mapping[str, Any], excluded: Mapping[str, tuple[str, ...]], tracker: str
) -> dict[str, float]:
    """Return what is a number and is not kept from this tracker; pictures and texts are not."""
    kept = {}
    for key, value in values.items():
        scalar = isinstance(value, int | float) or getattr(value, "ndim", None) == 0
        if scalar and tracker not in (excluded.get(key) or ()):
            kept[key] = float(value)
    return kept


def _flat(table: Mapping[str, Any], prefix: str) -> list[tuple[str, str | int | float | bool]]:
    found: list[tuple[str, str | int | float | bool]] = []
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            found += _flat(value, f"{prefix}{key}.")
        elif isinstance(value, str | int | float | bool):
            found.append((f"{prefix}{key}", value))
        elif value is not None:
            found.append((f"{prefix}{key}", json.dumps(value, default=str)))
    return found
