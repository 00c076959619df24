"""Where DenseGym keeps what it can make again: trajectory banks, catalogues."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return ``$DENSEGYM_CACHE``, or ``densegym`` under ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    chosen = os.environ.get("DENSEGYM_CACHE")
    if chosen:
        return Path(chosen)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "densegym"
