"""Wrong use of a verb, told in one sentence: what was given, what is expected, what to type."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import typer

from densegym.errors import closest

UsageError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")
"""Of the Click that Typer brings along or stands on, which is not the same in every version."""

_KINDS = {"int": "a whole number", "float": "a number"}
_NAMES = {"integer": "int", "float": "float"}  # of Click's own types, in older versions of Typer


def sentence(error: Any, words: Sequence[str]) -> str:
    """Return what was wrong with a command in one sentence.

    Args:
        error: a ``UsageError``.
        words: as typed after ``densegym``.
    """
    kind, verb = type(error).__name__, _verb(error)
    if kind == "NoSuchOption":
        known = [name for one in error.ctx.command.params for name in one.opts]
        said = f"{verb} takes no {error.option_name}.{closest(error.option_name, known)}"
        return f"{said} Type: {verb} --help"
    if kind == "MissingParameter" and error.param is not None:
        shown = error.param.opts[0] if _is_option(error.param) else error.param.name.upper()
        return f"{verb} needs {shown}; type for example: {_example(error)}"
    if kind == "BadParameter" and error.param is not None and (wanted := _wanted(error.param)):
        return f'{error.param.opts[0]} takes {wanted}; given "{_given(error.param, words)}"'
    told = " ".join(error.format_message().split())
    return f"{told}{'' if told.endswith(('.', '?')) else '.'} Type: {verb} --help"


def _verb(error: Any) -> str:
    path = error.ctx.command_path if error.ctx is not None else "densegym"
    # Click writes the arguments of a group into the path of its verbs.
    return " ".join(word for word in path.split() if not word.startswith(("[", "{")))


def _example(error: Any) -> str:
    """Return the first example of the verb's help."""
    text = error.ctx.command.callback.__doc__ or ""
    found = re.search(r"^\s+(densegym .*)$", text, flags=re.MULTILINE)
    return found[1] if found else f"{_verb(error)} --help"


def _is_option(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "option")


def _wanted(parameter: Any) -> str:
    """Return which numbers an option takes, or nothing where it takes something else."""
    described = getattr(parameter, "type_descriptor", None)
    if described is None:
        kind: Any = parameter.type
        name = _NAMES.get(kind.name.removesuffix(" range"), "")
        low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    else:
        name = getattr(described.annotation, "__name__", "")
        low, high = described.parameter_info.min, described.parameter_info.max
    if name not in _KINDS:
        return ""
    if low is not None and high is not None:
        return f"{_KINDS[name]} from {low} to {high}"
    return _KINDS[name] + ("" if low is None else f" of at least {low}")


def _given(parameter: Any, words: Sequence[str]) -> str:
    """Return what was typed after an option, the last time it was."""
    found = ""
    for word, after in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name in parameter.opts:
            found = value if equals else after
    return found
