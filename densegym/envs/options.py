"""What ``reset(options=...)`` may say: what a world does not know is refused, never swallowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from densegym.errors import DenseGymError, UnknownNameError, closest


def check_options(world: Any, options: Mapping[str, Any] | None, known: Iterable[str]) -> None:
    """Refuse options of ``reset`` that a world does not take.

    Args:
        world: the environment, named in the error.
        options: as given to ``reset``; None and an empty dict are always fine.
        known: names of the options that it takes.

    Raises:
        UnknownNameError: an option that it does not take; says which it does.
        DenseGymError: the options are no dict.
    """
    if options is None:
        return
    if not isinstance(options, Mapping):
        raise DenseGymError(f"reset(options=...) takes a dict or None; given {options!r:.80}")
    names = sorted(known)
    for name in options:
        if name not in names:
            takes = ", ".join(names) or "none"
            raise UnknownNameError(
                f'{type(world).__name__} takes no reset option "{name}".'
                f"{closest(str(name), names)} It takes: {takes}."
            )
