"""Errors that say what was given, what was expected and what to type next."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterable
from types import ModuleType


class DenseGymError(Exception):
    """Base of every error a user can cause; the command line prints it without a traceback."""


class UnknownNameError(DenseGymError, ValueError):
    """A name that is not registered: an env id, a reward, an option, an algorithm."""


class MissingExtraError(DenseGymError, ImportError):
    """A package of an optional extra is not installed."""


class RewardError(DenseGymError, ValueError):
    """A reward model broke its contract, or a reward specification cannot be built."""


class ActionError(DenseGymError, ValueError):
    """A policy chose what no world should see: a wrong shape, or a number that is not finite."""


class ProgressBackendError(RewardError):
    """The model behind a progress reward is unusable: wrong, damaged, gone, or talking nonsense."""


class ResultsError(DenseGymError, ValueError):
    """A results folder or checkpoint is damaged, foreign, or of another version."""


class Interrupted(DenseGymError):
    """The user or the system stopped a run, which left a checkpoint and can be resumed."""


def closest(name: str, known: Iterable[str], *, key: Callable[[str], str] = str) -> str:
    """Return ``' Did you mean "x"?'`` for the nearest known name, or an empty string.

    ``key`` gives the part of a name that is compared; of names that share it the last is told.
    """
    folded = {key(candidate).lower(): candidate for candidate in known}
    match = difflib.get_close_matches(key(name).lower(), folded, n=1, cutoff=0.5)
    return f' Did you mean "{folded[match[0]]}"?' if match else ""


def unknown(kind: str, name: str, known: Iterable[str], *, see: str = "") -> UnknownNameError:
    """Build the error for an unknown name.

    Args:
        kind: What the name was taken for, e.g. ``"reward"``.
        name: What was given.
        known: Every accepted name; the closest is suggested.
        see: How to list what exists, e.g. ``"densegym rewards"``.

    Returns:
        The error, ready to raise.
    """
    names = sorted(known)
    listing = f" `{see}` lists all {len(names)}." if see else f" Known: {', '.join(names)}."
    return UnknownNameError(f'Unknown {kind} "{name}".{closest(name, names)}{listing}')


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional module, or say which extra brings it.

    Raises:
        MissingExtraError: the module is not installed, or is broken; the message says what to type.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtraError(
            f"{module} is not installed. Type: pip install 'densegym[{extra}]'"
        ) from error
    except (ImportError, OSError) as error:  # such as libraries left over from another version
        raise MissingExtraError(
            f"{module} is installed but cannot be imported: {error}. Type: densegym doctor"
        ) from error
