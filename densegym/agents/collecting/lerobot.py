"""Reads data sets in LeRobot's format, versions 2.0 to 3.0, from a folder.

Tables are Parquet, pictures are films or stand in the tables. Source: the layout of the repository
huggingface/lerobot; nothing of it is imported, and nothing is downloaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from densegym.errors import DenseGymError, require
from densegym.reward_models.progress.films import decoded, pictures_of
from densegym.reward_models.types import Frames

STATE, ACTION, SUCCESS = "observation.state", "action", "next.success"
COLUMNS = (STATE, ACTION, SUCCESS)
_DRAWN = ("video", "image")
_PARTS = ("chunk_index", "file_index")  # by which version 3 names its files


@dataclass(frozen=True, slots=True)
class LeRobotEpisode:
    """One episode: its row of films, and its steps.

    Attributes:
        name: in errors.
        films: of every view asked for, pictures (H, W, 3).
        steps: columns of the table, one row per step.
    """

    name: str
    films: Sequence[Iterator[Frames]]
    steps: Mapping[str, Sequence[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.steps.values())))

    def column(self, key: str) -> Any:
        """Return a column as an array, one row per step, or None."""
        return np.array(list(self.steps[key])) if key in self.steps else None


class _Reel:
    """A film that is read once, from episode to episode."""

    def __init__(self, path: Path) -> None:
        self.path, self.position = path, 0
        self._pictures = pictures_of(path)

    def cut(self, first: int, count: int) -> Iterator[Frames]:
        """Yield ``count`` pictures from ``first`` on, which has not been passed."""
        for picture in self._pictures:
            self.position += 1
            if self.position > first:
                yield picture
            if self.position == first + count:
                return


@dataclass(frozen=True, slots=True)
class LeRobotDataset:
    """A data set on disk.

    Attributes:
        folder: of the data set.
        info: its ``meta/info.json``.
    """

    folder: Path
    info: Mapping[str, Any]

    @property
    def views(self) -> list[str]:
        """The names of its pictures, e.g. ``observation.images.top``."""
        kinds = {name: one.get("dtype") for name, one in self.info["features"].items()}
        return [name for name, kind in kinds.items() if kind in _DRAWN]

    def episodes(self, views: Sequence[str]) -> Iterator[LeRobotEpisode]:
        """Yield every episode with the films of some views.

        Raises:
            DenseGymError: a file is missing, damaged or of an unknown layout.
        """
        newer = str(self.info["codebase_version"]).startswith("v3")
        rows = self._rows_v3() if newer else self._rows_v2()
        try:
            reels = dict[str, _Reel]()
            for row in rows:
                yield self._episode(row, views, newer, reels)
        except (KeyError, IndexError, TypeError) as error:
            raise DenseGymError(
                f"{self.folder} is no LeRobot data set of a known layout: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _episode(
        self, row: dict[str, Any], views: Sequence[str], newer: bool, reels: dict[str, _Reel]
    ) -> LeRobotEpisode:
        index = int(row["episode_index"])
        # Columns that hold compressed pictures are large, so only those asked for are read.
        stored = [view for view in views if self.info["features"][view]["dtype"] == "image"]
        steps = self._steps(row, [*COLUMNS, *stored], newer)
        films = [
            self._stills(steps[view]) if view in stored else self._film(row, view, newer, reels)
            for view in views
        ]
        return LeRobotEpisode(f"episode {index} of {self.folder}", films, steps)

    def _rows_v2(self) -> Iterator[dict[str, Any]]:
        size = int(self.info.get("chunks_size", 1000))
        for index in range(int(self.info["total_episodes"])):
            yield {"episode_index": index, "episode_chunk": index // size}

    def _rows_v3(self) -> Iterator[dict[str, Any]]:
        tables = sorted((self.folder / "meta" / "episodes").glob("*/*.parquet"))
        for table in map(_table, tables):
            yield from table.to_pylist()

    def _steps(self, row: dict[str, Any], names: Sequence[str], newer: bool) -> dict[str, Any]:
        place = {part: row[f"data/{part}"] for part in _PARTS} if newer else row
        table = _table(self.folder / self.info["data_path"].format(**place))
        wanted = [n for n in (*names, "frame_index", "episode_index") if n in table.schema.names]
        found = table.select(wanted).to_pydict()
        index = int(row["episode_index"])
        mine = [i for i, one in enumerate(found["episode_index"]) if one == index]
        return {name: [column[i] for i in mine] for name, column in found.items()}

    def _film(
        self, row: dict[str, Any], view: str, newer: bool, reels: dict[str, _Reel]
    ) -> Iterator[Frames]:
        if not newer:
            path = self.info["video_path"].format(video_key=view, **row)
            return pictures_of(self.folder / path)
        parts = {part: row[f"videos/{view}/{part}"] for part in _PARTS}
        path = self.folder / self.info["video_path"].format(video_key=view, **parts)
        # One film holds several episodes, one after another.
        first = round(row[f"videos/{view}/from_timestamp"] * float(self.info["fps"]))
        if view not in reels or reels[view].path != path or reels[view].position > first:
            reels[view] = _Reel(path)
        return reels[view].cut(first, int(row["length"]))

    def _stills(self, cells: Sequence[Mapping[str, Any]]) -> Iterator[Frames]:
        for cell in cells:
            name = str(cell.get("path") or self.folder)
            content = cell.get("bytes") or (self.folder / name).read_bytes()
            yield decoded(content, name)


def open_dataset(folder: Path) -> LeRobotDataset:
    """Open a data set by its ``meta/info.json``.

    Raises:
        DenseGymError: it cannot be read, or is of an unknown version.
    """
    path = folder / "meta" / "info.json"
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        version = str(info["codebase_version"])
        known = version.startswith(("v2", "v3")) and isinstance(info["features"], dict)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DenseGymError(f"{path} cannot be read: {type(error).__name__}: {error}") from error
    if not known:
        raise DenseGymError(
            f"{folder} is a LeRobot data set of version {version}; read are v2.0 to v3.0, and "
            "LeRobot's scripts convert older ones"
        )
    return LeRobotDataset(folder, info)


@lru_cache(maxsize=1)
def _table(path: Path) -> Any:
    parquet: Any = require("pyarrow.parquet", extra="lerobot")
    try:
        return parquet.read_table(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are among these
        raise DenseGymError(f"{path} cannot be read as Parquet: {error}") from error
