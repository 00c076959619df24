"""Whether a typed value, made of JSON's or TOML's types, is what an annotation asks for."""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from densegym.errors import DenseGymError, UnknownNameError, closest

LARGEST_SEED = 2**32 - 1  # that NumPy's global generator takes, which Stable-Baselines3 seeds
_PLAIN = (str, int, float, bool, list, dict, tuple, type(None))


def fits(value: Any, hint: Any) -> bool:
    """Return whether a value may stand where a type is asked for.

    Whole numbers stand for floats, lists for tuples; what no plain value can be, such as a class or
    a function, is fitted by None of them.

    Args:
        value: as read from JSON or TOML, or an object that code made.
        hint: an annotation; a text that nobody can read, or none, is fitted by everything.
    """
    if hint in (Any, inspect.Parameter.empty) or isinstance(hint, str | TypeVar):
        return True
    if hint is None:
        return value is None
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return value in parts
    if origin is not None:
        return _fits_generic(value, origin, parts)
    if not isinstance(hint, type):
        return True
    return _fits_class(value, hint)


def _fits_class(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return kind in (bool, object)
    if kind is float:
        return isinstance(value, int | float)
    return isinstance(value, kind) or (kind is tuple and isinstance(value, list))


def _fits_generic(value: Any, origin: Any, parts: tuple[Any, ...]) -> bool:
    if not isinstance(origin, type):
        return True
    if issubclass(origin, Mapping):
        inner = parts[1] if len(parts) == 2 else Any
        return isinstance(value, Mapping) and all(fits(item, inner) for item in value.values())
    if issubclass(origin, tuple):
        if not isinstance(value, list | tuple):
            return False
        if not parts or parts[-1] is ...:
            return all(fits(item, parts[0] if parts else Any) for item in value)
        return len(value) == len(parts) and all(map(fits, value, parts))
    if issubclass(origin, Sequence):
        inner = parts[0] if parts else Any
        return isinstance(value, list | tuple) and all(fits(item, inner) for item in value)
    return not isinstance(value, _PLAIN)  # a class or a function, which code alone can give


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotation of every parameter, and of those that ``**kwargs`` are passed on to.

    An annotation that cannot be read stays a text. The result has the key ``"**"`` where other
    names are taken too.
    """
    owners: Sequence[Any] = (function,)
    if isinstance(function, type):
        owners = [kind for kind in function.__mro__[:-1] if "__init__" in vars(kind)]
    found: dict[str, Any] = {}
    for owner in owners:
        parameters = inspect.signature(owner).parameters
        target: Any = vars(owner).get("__init__", owner)
        names = getattr(inspect.unwrap(target), "__globals__", {})
        for name, item in parameters.items():
            if item.kind not in (item.VAR_KEYWORD, item.VAR_POSITIONAL):
                found.setdefault(name, _read(item.annotation, names))
        if not any(item.kind is item.VAR_KEYWORD for item in parameters.values()):
            return found
    return {**found, "**": Any}


def _read(annotation: Any, names: dict[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, names)
    except Exception:  # a name that only type checkers import; nobody can tell what fits
        return annotation


def check_values(
    given: Mapping[str, Any], hints: Mapping[str, Any], *, what: str, prefix: str = ""
) -> None:
    """Refuse names that nobody takes and values of the wrong type, in one sentence.

    Args:
        given: what was typed, by name.
        hints: as ``hints_of`` returns them.
        what: what the names are, e.g. ``"argument of DenseGym/Shop-v0"``.
        prefix: of the names as they are typed, e.g. ``"env."``.

    Raises:
        DenseGymError: says what was given, what is expected and the closest name.
    """
    known = [name for name in hints if name != "**"]
    for name, value in given.items():
        if name not in known:
            if "**" in hints:
                continue
            listing = ", ".join(f"{prefix}{one}" for one in sorted(known)) or "none"
            raise UnknownNameError(
                f"Unknown {what} {prefix}{name}={value!r}.{closest(name, known)} Known: {listing}."
            )
        if not fits(value, hints[name]):
            raise DenseGymError(f"{prefix}{name} takes {type_text(hints[name])}; given {value!r}")


def type_text(hint: Any) -> str:
    """Return a type in words: ``int | None``, ``"env" | "expert"``."""
    if hint is Any or hint is inspect.Parameter.empty:
        return "any"
    if hint is None or hint is type(None):
        return "None"
    if isinstance(hint, str):
        return hint
    origin = get_origin(hint)
    if origin is Literal:
        return " | ".join(json.dumps(value) for value in get_args(hint))
    if origin in (Union, types.UnionType):
        return " | ".join(type_text(part) for part in get_args(hint))
    if isinstance(hint, type) and origin is None:
        return hint.__name__
    if origin is None:
        return str(hint)
    if origin.__name__ == "Callable":
        return "callable"
    inner = ", ".join("..." if part is ... else type_text(part) for part in get_args(hint))
    return f"{origin.__name__.lower()}[{inner}]"
