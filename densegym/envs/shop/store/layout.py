"""The files of a store: names, format version, header, and how an array of one is opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densegym.errors import ResultsError

FORMAT = "densegym shop store"
VERSION = 1
HEADER = "store.json"


def mapped(folder: Path, name: str) -> NDArray[Any]:
    """Return an array of a store, memory-mapped and read-only.

    A plain array over the map: slices of ``numpy.memmap`` itself cost a microsecond more.
    """
    return np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r"))


def read_header(folder: Path) -> dict[str, Any]:
    """Return the header of a store whose files are all there, whole.

    Raises:
        ResultsError: nothing there, another version, or damaged files; says what to type.
    """
    path = folder / HEADER
    if not path.is_file():
        raise _unusable(folder, f"no {HEADER} there")
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _unusable(folder, f"{HEADER} is damaged: {error}") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise _unusable(folder, f"{HEADER} is not a shop store's")
    if header.get("version") != VERSION:
        version = header.get("version")
        raise _unusable(folder, f"it has version {version}, this program reads version {VERSION}")
    for name, size in header["files"].items():
        file = folder / name
        found = file.stat().st_size if file.is_file() else 0
        if found != size:
            raise _unusable(folder, f"{name} has {found} bytes where {size} were written")
    return header


def _unusable(folder: Path, why: str) -> ResultsError:
    return ResultsError(
        f"{folder} is no usable shop store: {why}. "
        f"Type: densegym shop build --data FOLDER --store {folder}"
    )
