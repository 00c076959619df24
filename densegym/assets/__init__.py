"""Data shipped with the package, read by relative name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def path(name: str) -> Path:
    """Return the path of an asset, e.g. ``path("presets/metaworld.toml")``."""
    return Path(str(files(__name__))) / name


def text(name: str) -> str:
    """Return an asset's text (UTF-8)."""
    return path(name).read_text(encoding="utf-8")


def names(folder: str, suffix: str) -> list[str]:
    """Return the sorted stems of the files in ``folder`` that end in ``suffix``."""
    return sorted(entry.stem for entry in path(folder).glob(f"*{suffix}"))
