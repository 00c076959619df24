"""Reads films, folders of pictures and single pictures as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from densegym.errors import DenseGymError, require
from densegym.reward_models.types import Frames

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


def read_film(path: str | Path) -> Frames:
    """Return pictures (T, H, W, 3) uint8, RGB, of a film, a folder of pictures, or one picture.

    Pictures of a folder are taken in the order of their names.

    Raises:
        DenseGymError: nothing there, unreadable, or pictures of different sizes.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in _PICTURES)
        if not files:
            raise DenseGymError(f"{path} holds no pictures ({', '.join(_PICTURES)})")
        return _together([_read_picture(file) for file in files], path)
    if not path.is_file():
        raise DenseGymError(f"no film, picture or folder of pictures at {path}")
    if path.suffix.lower() in _PICTURES:
        return _read_picture(path)[None]
    return _read_video(path)


def read_views(paths: Sequence[str | Path]) -> Frames:
    """Return pictures (T, V, H, W, 3) of V films of the same moments, one per camera.

    Raises:
        DenseGymError: films of different lengths or sizes.
    """
    films = [read_film(path) for path in paths]
    shapes = [film.shape for film in films]
    if len(set(shapes)) != 1:
        raise DenseGymError(
            f"films of one attempt have the same length and size; given {shapes} of "
            f"{', '.join(str(path) for path in paths)}"
        )
    return np.stack(films, axis=1)


def _read_picture(path: Path) -> Frames:
    cv2: Any = require("cv2", extra="vision")
    picture = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise DenseGymError(f"{path} is no readable picture")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


def _read_video(path: Path) -> Frames:
    cv2: Any = require("cv2", extra="vision")
    video = cv2.VideoCapture(str(path))
    pictures = []
    while video.isOpened():
        more, picture = video.read()
        if not more:
            break
        pictures.append(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)))
    video.release()
    if not pictures:
        raise DenseGymError(f"{path} is no readable film")
    return _together(pictures, path)


def _together(pictures: Sequence[Frames], path: Path) -> Frames:
    shapes = {picture.shape for picture in pictures}
    if len(shapes) != 1:
        raise DenseGymError(f"the pictures of {path} have different sizes: {sorted(shapes)}")
    return np.stack(pictures)
