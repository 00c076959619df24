"""The trajectory bank: labelled episodes of a task as features, against which rewards are screened.

A bank is collected once per task, before any model is asked, and grows by the exploits that
earlier candidates' policies found. Stored as one ``.npz`` without pickles.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from densegym.errors import ResultsError
from densegym.reward_models.types import Bool, Float

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """One episode of T steps.

    Attributes:
        features: every name a program may read (``feature_names(card)``), (T, *shape) float64;
            ``terminated`` is (T,) bool.
        source: how it was made: ``"random"``, ``"idle"``, ``"expert"``, ``"noise"``,
            ``"policy:<candidate>"``, ``"exploit:<name>"``.
        noise: share of random actions mixed into a scripted expert, 0 to 1, or NaN.
        success: whether the world's rule was met at any step.
        fitness: F of the episode.
    """

    features: Mapping[str, Any]
    source: str
    success: bool
    fitness: float
    noise: float = float("nan")

    def __len__(self) -> int:
        return len(self.features["terminated"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """Trajectories of one task.

    Attributes:
        task: environment id.
        gamma: the discount that returns are compared with.
        trajectories: in the order they were collected.
    """

    task: str
    gamma: float
    trajectories: tuple[Trajectory, ...]

    def stacked(self) -> dict[str, Any]:
        """Return every feature of every step, (sum of T, *shape), in order."""
        names = self.trajectories[0].features if self.trajectories else {}
        return {
            name: np.concatenate([item.features[name] for item in self.trajectories])
            for name in names
        }

    def lengths(self) -> list[int]:
        """Return T of every trajectory."""
        return [len(item) for item in self.trajectories]

    def success(self) -> Bool:
        """Return (trajectories,) bool."""
        return np.array([item.success for item in self.trajectories], dtype=np.bool_)

    def quantiles(self, levels: Sequence[float] = (0.05, 0.5, 0.95)) -> dict[str, Float]:
        """Return (levels, *shape) quantiles of every numeric feature over all steps."""
        return {
            name: np.quantile(values, levels, axis=0)
            for name, values in self.stacked().items()
            if values.dtype != np.bool_
        }

    def joined(self, more: Sequence[Trajectory]) -> Bank:
        """Return the bank with more trajectories."""
        return Bank(task=self.task, gamma=self.gamma, trajectories=(*self.trajectories, *more))

    def save(self, path: Path) -> None:
        """Write the bank as ``.npz``."""
        labels = [
            {"source": t.source, "success": t.success, "fitness": t.fitness, "noise": t.noise}
            for t in self.trajectories
        ]
        head = {"schema": SCHEMA, "task": self.task, "gamma": self.gamma, "labels": labels}
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                head=np.frombuffer(json.dumps(head).encode(), dtype=np.uint8),
                lengths=np.array(self.lengths(), dtype=np.int64),
                **{f"feature/{name}": values for name, values in self.stacked().items()},
            )


def load_bank(path: Path) -> Bank:
    """Read a bank.

    Raises:
        ResultsError: the file is missing, damaged, or of another schema.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            head = json.loads(stored["head"].tobytes())
            if head["schema"] != SCHEMA:
                raise ResultsError(
                    f"{path} has bank schema {head['schema']}, this version reads {SCHEMA}; "
                    "remove it and run the command again"
                )
            ends = np.cumsum(stored["lengths"])[:-1]
            names = [key for key in stored.files if key.startswith("feature/")]
            columns = {key.removeprefix("feature/"): np.split(stored[key], ends) for key in names}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        if isinstance(error, ResultsError):
            raise
        raise ResultsError(
            f"{path} is no readable trajectory bank ({type(error).__name__}); remove it and run "
            "the command again"
        ) from error
    trajectories = tuple(
        Trajectory(features={name: parts[i] for name, parts in columns.items()}, **label)
        for i, label in enumerate(head["labels"])
    )
    return Bank(task=head["task"], gamma=head["gamma"], trajectories=trajectories)
