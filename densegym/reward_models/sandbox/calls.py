"""What calls of builtins, ``np``, ``math`` and methods come to in a rehearsal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, MappingView
from typing import Any

from densegym.reward_models.sandbox import vocabulary as words
from densegym.reward_models.sandbox.cleaning import RefusedError
from densegym.reward_models.sandbox.standins import (
    ARRAY,
    INTEGERS,
    Shape,
    Size,
    StandIn,
    as_operand,
    bounded,
    check_shape,
    is_number,
    key_of,
    leaves,
)

_MAX_DIGITS = 20
_MAX_WRITTEN = 64
_INDEX_MAKERS = frozenset({"argmin", "argmax"})
_SIZED = frozenset({"zeros", "ones"})
_LOOKED_THROUGH = frozenset({tuple, list, dict, range, zip, enumerate})
_COPIES: Mapping[type, frozenset[str]] = {
    dict: words.DICT_VIEWS | {"get", "copy"},
    list: frozenset({"copy"}),
}


class Calls:
    """Carries out calls on written-out values, and judges those on stand-ins.

    Args:
        spend: told how many items a call goes through.
        add: of two values, for ``sum``.
    """

    def __init__(self, spend: Callable[[int], None], add: Callable[[Any, Any], Any]) -> None:
        self._spend, self._add = spend, add

    def call(self, path: str, base: Any, arguments: list[Any], named: dict[str, Any]) -> Any:
        """Return what a call comes to.

        Args:
            path: ``name`` of a builtin, ``np.name``, ``math.name`` or ``.method``.
            base: whose method it is.
            arguments: by position.
            named: by keyword, without ``dtype``.

        Raises:
            RefusedError: the call needs a value that a stand-in has not.
        """
        if path.startswith("math."):
            return self._math(path.removeprefix("math."), arguments)
        if path.startswith("np."):
            return self._numpy(path.removeprefix("np."), arguments, named)
        if path.startswith("."):
            return self._method(base, path.removeprefix("."), arguments, named)
        return self._builtin(path, arguments, named)

    def iterable(self, value: Any) -> Any:
        """Return a value that may be looped over."""
        if isinstance(value, StandIn):
            raise RefusedError(
                "rows and columns are not looped over; use array operations, or range(3) and "
                "feature[:, i]"
            )
        if type(value) not in _LOOKED_THROUGH and not isinstance(value, MappingView):
            raise RefusedError(f"{type(value).__name__} cannot be looped over")
        return value

    def _items(self, value: Any) -> list[Any]:
        items = []
        for item in self.iterable(value):
            self._spend(1)
            items.append(item)
        return items

    def _math(self, name: str, arguments: list[Any]) -> Any:
        if not all(is_number(item) for item in arguments):
            raise RefusedError(f"math.{name} takes written-out numbers; use np.{name} for arrays")
        return bounded(getattr(math, name)(*arguments))

    # builtins

    def _builtin(self, name: str, arguments: list[Any], named: dict[str, Any]) -> Any:
        if name in ("range", "zip", "enumerate"):
            return self._loop(name, arguments, named)
        if name in ("tuple", "list", "dict"):
            return self._container(name, arguments, named)
        if name == "len":
            return self._length(*arguments, **named)
        if name == "sum":
            return self._sum(*arguments, **named)
        if name in ("min", "max"):
            return self._extreme(name, arguments, named)
        return self._convert(name, arguments, named)

    def _loop(self, name: str, arguments: list[Any], named: dict[str, Any]) -> Any:
        if name == "range":
            return range(*arguments, **named)
        if name == "zip":
            return zip(*map(self.iterable, arguments), strict=bool(named.get("strict")))
        start = named.get("start", arguments[1] if len(arguments) > 1 else 0)
        if type(start) is not int:
            raise RefusedError("enumerate starts at a written-out integer")
        return enumerate(self.iterable(arguments[0]), start)

    def _container(self, name: str, arguments: list[Any], named: dict[str, Any]) -> Any:
        if name == "dict":
            pairs = dict(arguments[0]) if arguments and type(arguments[0]) is dict else {}
            if arguments and type(arguments[0]) is not dict:
                for pair in self._items(arguments[0]):
                    key, value = self._items(pair)
                    pairs[key_of(key)] = value
            self._spend(len(pairs))
            return pairs | named
        if len(arguments) > 1 or named:
            raise RefusedError(f"{name} takes one argument")
        if arguments and isinstance(arguments[0], Shape):
            return arguments[0]
        items = self._items(arguments[0]) if arguments else []
        return tuple(items) if name == "tuple" else items

    def _length(self, value: Any) -> Any:
        if isinstance(value, Shape):
            return Size(8, rows=False)
        if isinstance(value, Size):
            raise RefusedError("a size has no length")
        if isinstance(value, StandIn):
            return Size(32)
        return len(value)

    def _sum(self, values: Any, start: Any = 0) -> Any:
        if isinstance(values, StandIn):
            raise RefusedError("sum() would add up the rows; use np.sum(feature, axis=1)")
        for item in self._items(values):
            start = self._add(start, item)
        return start

    def _extreme(self, name: str, arguments: list[Any], named: dict[str, Any]) -> Any:
        items = self._items(arguments[0]) if len(arguments) == 1 else arguments
        if not all(is_number(item) for item in (*items, *named.values())):
            raise RefusedError(f"{name}() takes written-out numbers; use np.{name}imum for arrays")
        return _EXTREMES[name](items, **named)

    def _convert(self, name: str, arguments: list[Any], named: dict[str, Any]) -> Any:
        values = [*arguments, *named.values()]
        if name == "abs" and len(values) == 1 and isinstance(values[0], StandIn):
            as_operand(values[0])
            whole = INTEGERS if values[0].integers else ARRAY
            return values[0] if isinstance(values[0], Size) else whole
        if not all(is_number(item) for item in values):
            advice = {
                "float": "use feature.astype(float), or the array as it is",
                "int": "use feature.astype(int)",
                "bool": "use a comparison",
                "round": "use np.round",
            }.get(name, "use np.abs")
            raise RefusedError(f"{name}() takes one written-out number; {advice}")
        if name == "round" and any(abs(item) > _MAX_DIGITS for item in values[1:]):
            raise RefusedError(f"round() takes at most {_MAX_DIGITS} digits")
        return bounded(_CONVERSIONS[name](*arguments, **named))

    # NumPy

    def _numpy(self, name: str, arguments: list[Any], named: dict[str, Any]) -> Any:
        self._check_keywords(named)
        if name in _SIZED:
            check_shape(arguments[0])
            return ARRAY
        if name == "arange":
            return self._arange(arguments)
        if not arguments:
            raise RefusedError(f"np.{name} is given nothing")
        if name == "reshape":
            as_operand(arguments[0])
            check_shape(arguments[1])
            return ARRAY
        if name == "where" and len(arguments) != 3:
            raise RefusedError("np.where takes a condition and two values")
        written = arguments[1:] if name in words.PARAMETRISED else []
        for item in written:
            _check_written(item)
        for item in arguments[: len(arguments) - len(written)]:
            if item is not None or item is arguments[0]:
                self._spend(len(leaves(as_operand(item))) - 1)
        return INTEGERS if name in _INDEX_MAKERS else ARRAY

    def _arange(self, arguments: list[Any]) -> Any:
        if len(arguments) == 1 and isinstance(arguments[0], Size):
            return INTEGERS
        if not arguments or not all(is_number(item) for item in arguments):
            raise RefusedError("np.arange takes written-out numbers, or len(feature)")
        start, stop, step = (0, arguments[0], 1) if len(arguments) == 1 else (*arguments, 1)[:3]
        if not abs((stop - start) / step) <= words.MAX_RANGE:
            raise RefusedError(f"np.arange gives at most {words.MAX_RANGE} numbers")
        return INTEGERS if all(type(item) is int for item in arguments) else ARRAY

    def _check_keywords(self, named: Mapping[str, Any]) -> None:
        for name, value in named.items():
            if name in words.PLAIN_KEYWORDS:
                _check_written(value)
            elif value is not None:
                as_operand(value)

    # methods

    def _method(self, base: Any, name: str, arguments: list[Any], named: dict[str, Any]) -> Any:
        if isinstance(base, Shape | Size) or not isinstance(base, StandIn):
            return self._plain_method(base, name, arguments, named)
        if name in words.DICT_VIEWS or name == "get":
            raise RefusedError(f".{name} belongs to dicts only")
        self._check_keywords(named)
        if name == "reshape":
            check_shape(arguments[0] if len(arguments) == 1 else tuple(arguments))
        elif name in ("clip", "dot"):
            for item in arguments:
                if item is not None:
                    as_operand(item)
        else:
            for item in arguments:
                _check_written(item)
        if name in _INDEX_MAKERS:
            return INTEGERS
        kept = name in ("copy", "flatten", "ravel", "squeeze", "reshape", "clip")
        return INTEGERS if kept and base.integers else ARRAY

    def _plain_method(
        self, base: Any, name: str, arguments: list[Any], named: dict[str, Any]
    ) -> Any:
        if name not in _COPIES.get(type(base), ()):
            raise RefusedError(f".{name} does not belong to {_kind(base)}")
        if name == "get":
            key_of(arguments[0])
        if name == "copy":
            self._spend(len(base))
        return getattr(base, name)(*arguments, **named)


_EXTREMES: Mapping[str, Callable[..., Any]] = {"min": min, "max": max}
_CONVERSIONS: Mapping[str, Callable[..., Any]] = {
    "abs": abs,
    "float": float,
    "int": int,
    "bool": bool,
    "round": round,
}


def _check_written(value: Any) -> None:
    """Refuse an argument that says how to compute, and is not written out."""
    items: Iterable[Any] = value if type(value) in (tuple, list) else (value,)
    for item in items:
        if item is not None and not is_number(item):
            raise RefusedError("an axis, order or number of digits is written out as a number")
        if is_number(item) and math.isfinite(item) and abs(item) > _MAX_WRITTEN:
            raise RefusedError(f"an axis, order or number of digits is at most {_MAX_WRITTEN}")


def _kind(value: Any) -> str:
    if isinstance(value, StandIn):
        return "sizes"
    return {str: "text", type(None): "None"}.get(type(value), type(value).__name__)
