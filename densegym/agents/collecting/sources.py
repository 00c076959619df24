"""Attempts in what others recorded: films, folders of pictures, Minari and LeRobot data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from densegym.agents.collecting import lerobot
from densegym.errors import DenseGymError, require, unknown
from densegym.reward_models.progress.films import (
    FILMS,
    picture_files,
    pictures_of,
    square,
)
from densegym.reward_models.types import Bool, Frames


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was recorded of one attempt.

    Attributes:
        name: in errors.
        pictures: (T + 1, V, size, size, 3) uint8.
        shape: height and width of a picture before it was made square.
        success: (T + 1,) whether the task was done, or None where nothing was noted.
        state: (T + 1, D) what a policy saw, or None.
        action: (T, A) what it did, or None.
    """

    name: str
    pictures: Frames
    shape: tuple[int, int]
    success: Bool | None = None
    state: Any = None
    action: Any = None


def attempts(source: str, *, size: int, every: int, views: Sequence[str]) -> Iterator[Attempt]:
    """Yield the attempts of a source.

    Args:
        source: a film; a folder of pictures, which is one attempt; a folder of such films and
            folders; a LeRobot data set's folder; or the id of a Minari data set with pictures.
        size: of pictures, which are made square, pixels.
        every: keep the first picture, every ``every``-th after it and the last.
        views: which pictures of a data set, by name; needed where it holds several.

    Raises:
        DenseGymError: nothing there, unreadable, or a data set without such pictures.
        MissingExtraError: what reads the format is not installed.
    """
    path = Path(source)
    if (path / "meta" / "info.json").is_file():
        yield from _of_lerobot(path, size, every, views)
    elif path.is_dir() and not picture_files(path):
        inside = sorted(part for part in path.iterdir() if part.is_dir() or _is_film(part))
        if not inside:
            raise DenseGymError(
                f"{path} holds no films ({', '.join(FILMS)}), no pictures and no LeRobot data set"
            )
        for part in inside:
            yield from attempts(str(part), size=size, every=every, views=views)
    elif path.exists():
        yield film_attempt(source, pictures_of(path), size, every)
    else:
        yield from _of_minari(source, size, every, views)


def is_recording_only(dataset: str) -> bool:
    """Return whether this is a Minari data set on this machine that holds no pictures."""
    if Path(dataset).exists() or not _is_local(dataset):
        return False
    return not _picture_keys(_minari().load_dataset(dataset).observation_space)


def film_attempt(name: str, pictures: Iterator[Frames], size: int, every: int) -> Attempt:
    """Return a film of one view as an attempt.

    Raises:
        DenseGymError: its pictures differ in size, or there is only one.
    """
    kept, shapes, last, count = list[Frames](), set[Any](), None, -1
    for count, last in enumerate(pictures):
        shapes.add(last.shape[:2])
        if count % every == 0:
            kept.append(square(last, size))
    if len(shapes) != 1:
        raise DenseGymError(f"the pictures of {name} have different sizes: {sorted(shapes)}")
    if last is not None and count % every:
        kept.append(square(last, size))
    return Attempt(name, _checked(np.stack(kept)[:, None], name), shapes.pop())


def _of_lerobot(path: Path, size: int, every: int, views: Sequence[str]) -> Iterator[Attempt]:
    dataset = lerobot.open_dataset(path)
    chosen = _chosen(dataset.views, views, str(path))
    for episode in dataset.episodes(chosen):
        films = [film_attempt(episode.name, film, size, every) for film in episode.films]
        counts = [len(film.pictures) for film in films]
        rows = _kept(len(episode), every)
        if set(counts) != {len(rows)}:
            raise DenseGymError(
                f"{episode.name} has {len(episode)} steps, and films of {counts} kept pictures "
                f"({', '.join(chosen)}); expected {len(rows)} of each"
            )
        told = {key: episode.column(key) for key in lerobot.COLUMNS}
        yield Attempt(
            episode.name,
            np.concatenate([film.pictures for film in films], axis=1),
            films[0].shape,
            _rows(told[lerobot.SUCCESS], rows),
            _rows(told[lerobot.STATE], rows),
            _rows(told[lerobot.ACTION], rows[:-1]),
        )


def _of_minari(dataset: str, size: int, every: int, views: Sequence[str]) -> Iterator[Attempt]:
    if not _is_local(dataset):
        raise DenseGymError(
            f'"{dataset}" is no film, no folder and no Minari data set on this machine. If it is '
            f"one that can be downloaded, type: minari download {dataset}"
        )
    found = _minari().load_dataset(dataset)
    chosen = _chosen(_picture_keys(found.observation_space), views, dataset)
    for index, episode in enumerate(found):
        name = f"episode {index} of {dataset}"
        shown = [_at(episode.observations, key) for key in chosen]
        films = [film_attempt(name, iter(view), size, every) for view in shown]
        rows = _kept(len(shown[0]), every)
        told = episode.infos if isinstance(episode.infos, Mapping) else {}
        success = next((told[key] for key in ("success", "is_success") if key in told), None)
        state = _at(episode.observations, "state") if "state" in episode.observations else None
        yield Attempt(
            name,
            np.concatenate([film.pictures for film in films], axis=1),
            films[0].shape,
            None if success is None else np.asarray(success)[rows] > 0,
            None if state is None else np.asarray(state)[rows],
            np.asarray(episode.actions)[rows[:-1]],
        )


def _chosen(known: Sequence[str], views: Sequence[str], name: str) -> list[str]:
    if not known:
        raise DenseGymError(f"{name} holds no pictures")
    for view in views:
        if view not in known:
            raise unknown("view", view, known)
    if not views and len(known) > 1:
        raise DenseGymError(
            f"{name} shows {', '.join(known)}; say which with --view {known[0]}, one for every "
            "camera of the judge"
        )
    return list(views) or list(known)


def _picture_keys(space: Any, before: str = "") -> list[str]:
    """Return where an observation holds pictures: names of parts, with dots, "" for all of it."""
    from gymnasium import spaces

    if isinstance(space, spaces.Dict):
        return [found for key in space for found in _picture_keys(space[key], f"{before}{key}.")]
    flat = isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3
    return [before.removesuffix(".")] if flat and space.shape[2] == 3 else []


def _at(observations: Any, key: str) -> Any:
    for part in key.split(".") if key else ():
        observations = observations[part]
    return observations


def _kept(count: int, every: int) -> list[int]:
    rows = list(range(0, count, every))
    return rows if rows[-1] == count - 1 else [*rows, count - 1]


def _rows(column: Any, rows: Sequence[int]) -> Any:
    return None if column is None else column[rows]


def _checked(pictures: Frames, name: str) -> Frames:
    if len(pictures) < 2:
        raise DenseGymError(f"{name} is one picture; an attempt has at least 2")
    return pictures


def _is_film(path: Path) -> bool:
    return path.suffix.lower() in FILMS


def _is_local(dataset: str) -> bool:
    return dataset in _minari().list_local_datasets()


def _minari() -> Any:
    return require("minari", extra="demos")
