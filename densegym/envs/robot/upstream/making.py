"""Makes the upstream env that a world holds, with upstream's own options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym

from densegym.errors import DenseGymError


def make_held(
    task: str,
    options: Mapping[str, Any],
    *,
    ours: Mapping[str, str] | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> Any:
    """Return an upstream env without the wrappers that ``gym.make`` adds.

    Args:
        task: upstream id.
        options: constructor arguments of the upstream env.
        ours: what a world decides by itself, each with what to type instead.
        fixed: what it decides.

    Raises:
        DenseGymError: the upstream env takes no such option, or the world decides it.
    """
    for name, instead in (ours or {}).items():
        if name in options:
            raise DenseGymError(f"{name}={options[name]!r} would change nothing here. {instead}")
    try:
        return gym.make(task, **options, **(fixed or {})).unwrapped
    except TypeError as error:
        raise DenseGymError(
            f"{task} does not take these options: {error}. "
            f"Given: {', '.join(map(str, options)) or 'none'}"
        ) from error
