"""Episodes written down as they come about, so that a collection that was stopped goes on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from densegym.agents.training.provenance import installed_versions
from densegym.cache import cache_folder
from densegym.errors import ResultsError
from densegym.reward_models.progress.demos import Demo
from densegym.reward_models.types import Places

_ARRAYS = ("pictures", "success", "state", "action", "left")
_PLAIN = ("kind", "expert_from", "held_out", "seed")


class Written(NamedTuple):
    """What is written down of a unit: the episodes of one kind on one side of the split.

    Attributes:
        demos: its episodes so far.
        rejected: attempts whose outcome was wrong so far.
        random: the state of its random numbers after the last of them, None before the first.
    """

    demos: Sequence[Demo] = ()
    rejected: int = 0
    random: Mapping[str, Any] | None = None


def journal_of(env_id: str, **order: Any) -> Journal:
    """Return the journal in the user's cache of a collection that is ordered so.

    Args:
        env_id: the world.
        **order: whatever decides what is collected; plain values.
    """
    told = json.dumps([order, installed_versions()], sort_keys=True, default=str)
    name = f"{env_id.replace('/', '.')}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
    return Journal(cache_folder() / "collecting" / name)


class Journal:
    """A folder with a file per episode, and after each the state of its unit's random numbers.

    Args:
        folder: of one collection; made when the first episode is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def count(self) -> int:
        """Return how many episodes are written down."""
        return sum(1 for _ in self.folder.glob("*/*.npz"))

    def write(
        self, unit: str, index: int, demo: Demo, rng: np.random.Generator, rejected: int
    ) -> None:
        """Write down an episode.

        Args:
            unit: it belongs to.
            index: in the unit, from 0.
            demo: the episode.
            rng: the unit's random numbers after it.
            rejected: attempts of the unit whose outcome was wrong so far.
        """
        path = self._path(unit, index)
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {k: v for k in _ARRAYS if (v := getattr(demo, k)) is not None}
        told = {
            **{name: getattr(demo, name) for name in _PLAIN},
            "random": rng.bit_generator.state,
            "rejected": rejected,
        }
        partial = path.with_suffix(f".{os.getpid()}.partial")
        with partial.open("wb") as file:
            np.savez(file, told=np.array(json.dumps(told)), **arrays)
        partial.replace(path)

    def read(self, unit: str, most: int, places: Places | None) -> Written:
        """Return what is written down of a unit, ``most`` episodes of it.

        Raises:
            ResultsError: a file is damaged; says what to remove.
        """
        demos, told = list[Demo](), dict[str, Any]()
        while len(demos) < most and (path := self._path(unit, len(demos))).is_file():
            try:
                with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                    told = json.loads(str(file["told"]))
                    arrays = {k: file[k] for k in _ARRAYS if k in file.files}
                plain = {name: told[name] for name in _PLAIN}
                demos.append(Demo(**plain, **arrays, places=places))
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                raise ResultsError(
                    f"{path} is damaged ({error}). To begin anew, type: rm -r {self.folder}"
                ) from error
        return Written(demos, told.get("rejected", 0), told.get("random"))

    def clear(self) -> None:
        """Remove the journal."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, unit: str, index: int) -> Path:
        return self.folder / unit / f"{index:05d}.npz"
