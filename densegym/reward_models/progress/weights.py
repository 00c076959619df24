"""Where the weights of the local judge lie."""

from __future__ import annotations

from pathlib import Path

from densegym.cache import cache_folder


def weights_path(env_id: str) -> Path:
    """Return where ``densegym fit progress/local`` keeps the weights of a task."""
    return cache_folder() / "progress-local" / f"{env_id.replace('/', '.')}.safetensors"
