"""Reads films, folders of pictures and single pictures as arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from densegym.errors import DenseGymError, require
from densegym.reward_models.types import Frames

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
FILMS = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".gif")
_LOST = 2  # pictures that a whole film may have fewer than its header says
_QUIET = "-8"  # FFmpeg's level of silence: what it has to say is said in our errors


def read_film(path: str | Path, *, every: int = 1, size: int | None = None) -> Frames:
    """Return pictures (T, H, W, 3) uint8, RGB, of a film, a folder of pictures, or one picture.

    Pictures of a folder are taken in the order of their names.

    Args:
        path: of the film.
        every: keep the first picture, every ``every``-th after it and the last one.
        size: make pictures square, so many pixels wide, as those that worlds show to judges;
            None leaves them as they are.

    Raises:
        DenseGymError: nothing there, unreadable, cut off, or pictures of different sizes.
    """
    kept, shapes, last, count = list[Frames](), set[Any](), None, 0
    for count, picture in enumerate(pictures_of(path)):
        shapes.add(picture.shape)
        if len(shapes) > 1:
            raise DenseGymError(f"the pictures of {path} have different sizes: {sorted(shapes)}")
        last = picture
        if count % every == 0:
            kept.append(picture if size is None else square(picture, size))
    if last is not None and count % every:
        kept.append(last if size is None else square(last, size))
    return np.stack(kept)


def pictures_of(path: str | Path) -> Iterator[Frames]:
    """Yield the pictures (H, W, 3) of a film one by one; at least one.

    Raises:
        DenseGymError: nothing there, unreadable, or cut off.
    """
    path = Path(path)
    if path.is_dir():
        files = picture_files(path)
        if not files:
            raise DenseGymError(f"{path} holds no pictures ({', '.join(PICTURES)})")
        yield from map(_read_picture, files)
    elif not path.is_file():
        raise DenseGymError(f"no film, picture or folder of pictures at {path}")
    elif path.suffix.lower() in PICTURES:
        yield _read_picture(path)
    else:
        yield from _read_video(path)


def picture_files(folder: Path) -> list[Path]:
    """Return the pictures of a folder in the order of their names."""
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURES)


def film_length(path: str | Path) -> int:
    """Return how many pictures a film has by its header or its folder, at least 1."""
    path = Path(path)
    if path.is_dir():
        return max(1, len(picture_files(path)))
    if not path.is_file() or path.suffix.lower() in PICTURES:
        return 1
    cv2, video = _open(path)
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    video.release()
    return max(1, count)


def read_views(paths: Sequence[str | Path], *, every: int = 1, size: int | None = None) -> Frames:
    """Return pictures (T, V, H, W, 3) of V films of the same moments, one per camera.

    Arguments as in ``read_film``.

    Raises:
        DenseGymError: films of different lengths or sizes.
    """
    films = [read_film(path, every=every, size=size) for path in paths]
    shapes = [film.shape for film in films]
    if len(set(shapes)) != 1:
        raise DenseGymError(
            f"films of one attempt have the same length and size; given {shapes} of "
            f"{', '.join(str(path) for path in paths)}"
        )
    return np.stack(films, axis=1)


def square(picture: Frames, size: int) -> Frames:
    """Return a picture (H, W, 3) as (size, size, 3), each pixel the mean of what it covers."""
    if picture.shape[:2] == (size, size):
        return picture
    cv2: Any = require("cv2", extra="vision")
    resized: Frames = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    return resized


def decoded(content: bytes, path: str | Path) -> Frames:
    """Return the picture (H, W, 3) of a compressed file's bytes; ``path`` is named in errors."""
    cv2: Any = require("cv2", extra="vision")
    picture = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise DenseGymError(f"{path} is no readable picture")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


def _read_picture(path: Path) -> Frames:
    content = path.read_bytes()
    if not content:
        raise DenseGymError(f"{path} is no readable picture; it is empty")
    return decoded(content, path)


def _read_video(path: Path) -> Iterator[Frames]:
    cv2, video = _open(path)
    wanted, count = video.get(cv2.CAP_PROP_FRAME_COUNT), 0
    try:
        while video.isOpened():
            more, picture = video.read()
            if not more:
                break
            count += 1
            yield np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
    finally:
        video.release()
    if not count:
        for picture, expected in _read_by_ffmpeg(path):
            count, wanted = count + 1, expected
            yield picture
    if count < wanted - _LOST:
        raise DenseGymError(
            f"{path} is cut off: {count} of its {wanted:.0f} pictures can be read. Copy it again, "
            f"or keep what is there: ffmpeg -i {path} -c:v libx264 whole.mp4"
        )


def _read_by_ffmpeg(path: Path) -> Iterator[tuple[Frames, float]]:
    """Yield what OpenCV has no decoder for, such as AV1, and how many pictures there should be."""
    imageio_ffmpeg: Any = require("imageio_ffmpeg", extra="vision")
    reader = imageio_ffmpeg.read_frames(str(path))
    try:
        told = next(reader)
        width, height = told["size"]
        for content in reader:
            picture = np.frombuffer(content, dtype=np.uint8).reshape(height, width, 3)
            yield picture, told["duration"] * told["fps"]
    except (OSError, RuntimeError, ValueError, KeyError, StopIteration) as error:
        raise DenseGymError(
            f"{path} is no readable film: empty, cut off, or of an unknown format"
        ) from error


def _open(path: Path) -> tuple[Any, Any]:
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", _QUIET)
    cv2: Any = require("cv2", extra="vision")
    return cv2, cv2.VideoCapture(str(path))
