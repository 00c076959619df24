"""What installed packages offer through entry points, and objects that are named by string."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

from densegym.requirements import missing_extra


def owner_of(point: EntryPoint) -> str:
    """Return the distribution that offers an entry point."""
    return point.dist.name if point.dist is not None else "an unknown distribution"


def version_of(owner: str) -> str | None:
    """Return the version of an installed distribution, or None where there is none."""
    try:
        return version(owner)
    except PackageNotFoundError:
        return None


def load_plugins(
    points: Iterable[EntryPoint], kind: str, accept: Callable[[str, str, Any], None]
) -> None:
    """Load entry points and hand on what they name; a broken one is a warning and breaks no other.

    Args:
        points: of one group.
        kind: what each offers, for the warning.
        accept: called with the entry point's name, its distribution and what it names; whatever it
            raises is a fault of the plug-in.
    """
    broken: list[str] = []
    for point in points:
        owner = owner_of(point)
        try:
            accept(point.name, owner, point.load())
        except Exception as error:  # a broken plug-in must not break every other one
            broken.append(f'{kind} "{point.name}" of {owner} could not be loaded: {error!r}')
    for message in broken:  # last, because a warning may be an error
        warnings.warn(message, stacklevel=3)


def import_here(name: str) -> ModuleType:
    """Import a module, which may lie in the current folder, where a console script looks not."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last, so that a folder of results hides no package
    return importlib.import_module(name)


def resolve(target: Any) -> Any:
    """Return what a lazy ``"module:attr"`` names; anything but text is returned as it is.

    Raises:
        MissingExtraError: what it imports comes with an extra; the message holds the pip line.
    """
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        raise missing from error
