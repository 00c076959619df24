"""Stand-ins for what a reward program computes from features, and the operations on them.

A stand-in has no value. What would need one is refused with what to write instead.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from densegym.reward_models.sandbox import vocabulary as words
from densegym.reward_models.sandbox.cleaning import RefusedError

_DEPTH = 4  # of containers in containers
_MAX_BITS = 64
_NUMBERS = (int, float, bool)
_CONTAINERS = (tuple, list)
_INTEGER_OPERATIONS = (operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod)
_BRANCH = (
    "a program may not branch on features, as the rows of a batch differ; use np.where(condition, "
    "a, b)"
)
_ROWS = (
    "the number of rows may shape arrays, as in np.zeros(len(feature)), and nothing else: it "
    "changes with the batch"
)


class StandIn:
    """An array or NumPy number that is computed from features or by NumPy.

    Attributes:
        integers: whether it surely holds integers, so that it may index.
        whole: whether it is a feature as given: rows first, never a single number.
    """

    __slots__ = ("integers", "whole")

    def __init__(self, *, integers: bool = False, whole: bool = False) -> None:
        self.integers, self.whole = integers, whole

    @staticmethod
    def feature() -> StandIn:
        """Return the stand-in for a feature."""
        return _FEATURE

    @property
    def shape(self) -> Shape:
        """Return what stands for its shape."""
        return Shape(whole=self.whole)


class Shape(StandIn):
    """The shape of an array: a tuple whose length is not known."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Any:
        """Return a size, or the shape that a slice is."""
        if isinstance(index, slice):
            return Shape()
        if type(index) is not int:
            raise RefusedError("a shape is indexed by a written-out integer")
        return Size(16, rows=False) if self.whole and index > 0 else Size(32)


class Size(StandIn):
    """A Python integer that says how large an array is.

    Attributes:
        bits: it is below 2**bits.
        rows: whether it may depend on the number of rows.
    """

    __slots__ = ("bits", "rows")

    def __init__(self, bits: int, *, rows: bool = True) -> None:
        super().__init__(integers=True)
        if bits > _MAX_BITS:
            raise RefusedError("a size is multiplied too often")
        self.bits, self.rows = bits, rows


ARRAY = StandIn()
INTEGERS = StandIn(integers=True)
_FEATURE = StandIn(whole=True)


def is_number(value: Any) -> bool:
    """Return whether a value is a plain number."""
    return type(value) in _NUMBERS


def bounded(value: Any) -> Any:
    """Return a number, or refuse an integer that grows or a complex result."""
    if type(value) is int and abs(value) > words.MAX_INTEGER:
        raise RefusedError("an integer grows beyond 2**53; use floats, such as 1.0 instead of 1")
    if type(value) is complex:
        raise RefusedError("a root or power of a negative number is complex; guard it")
    return value


def as_operand(value: Any) -> Any:
    """Return what NumPy may compute with: a number, an array, or containers of these.

    Raises:
        RefusedError: it is something else, or a number of rows.
    """
    if isinstance(value, StandIn):
        if isinstance(value, Shape) or (isinstance(value, Size) and value.rows):
            raise RefusedError(_ROWS)
    elif not is_number(value):
        for item in leaves(value):
            if not is_number(item):
                told = {str: "text", type(None): "None"}.get(type(item), type(item).__name__)
                if not isinstance(item, StandIn):
                    raise RefusedError(f"{told} is no number or array to compute with")
                as_operand(item)
    return value


def leaves(value: Any) -> list[Any]:
    """Return what tuples, lists and dicts hold in the end.

    Raises:
        RefusedError: they hold too much, or are nested too deeply.
    """
    layer, depth, total, found = [value], 0, 0, []
    while layer:
        inner: list[Any] = []
        for item in layer:
            if type(item) in _CONTAINERS:
                inner += item
            elif type(item) is dict:
                inner += item.values()
            else:
                found.append(item)
            total += 1
            if total + len(inner) > words.MAX_RANGE:
                raise RefusedError(f"a container holds more than {words.MAX_RANGE} values")
        layer, depth = inner, depth + 1
        if depth > _DEPTH and layer:
            raise RefusedError("containers are nested too deeply")
    return found


def truth_of(value: Any) -> bool:
    """Return whether a condition holds.

    Raises:
        RefusedError: that depends on features or on the number of rows.
    """
    if isinstance(value, StandIn):
        raise RefusedError(_BRANCH)
    return bool(value)


def key_of(value: Any) -> Any:
    """Return a key of a dict: text or a number, so that hashing is cheap and always the same."""
    if type(value) is not str and not is_number(value):
        raise RefusedError("the keys of a dict are names of terms, or numbers")
    return value


def combine(function: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """Return the result of a binary operation."""
    if is_number(left) and is_number(right):
        if function is operator.lshift and right > _MAX_BITS:
            raise RefusedError("an integer is shifted too far")
        return bounded(function(left, right))
    sizes = [item for item in (left, right) if isinstance(item, Size)]
    if sizes and all(isinstance(item, Size) or type(item) is int for item in (left, right)):
        return _sized(function, left, right, any(size.rows for size in sizes))
    if isinstance(left, StandIn) or isinstance(right, StandIn):
        return _elementwise(function, left, right)
    return _contained(function, left, right)


def load_item(base: Any, index: Any) -> Any:
    """Return ``base[index]``."""
    if isinstance(base, Shape):
        return base[index]
    if isinstance(base, StandIn):
        _check_index(index, loads=True)
        return INTEGERS if base.integers else ARRAY
    if type(base) is dict:
        return base[key_of(index)]
    if type(base) not in (*_CONTAINERS, range):
        raise RefusedError(f"{type(base).__name__} has no items")
    _check_position(index)
    return base[index]


def store_item(base: Any, index: Any, value: Any) -> None:
    """Carry out ``base[index] = value``."""
    if isinstance(base, Shape | Size):
        raise RefusedError("a shape cannot be changed")
    if isinstance(base, StandIn):
        _check_index(index, loads=False)
        as_operand(value)
    elif type(base) is dict:
        base[key_of(index)] = value
    else:
        _check_position(index)
        if isinstance(index, slice):
            raise RefusedError("slices of lists are not assigned; use an array, or a new list")
        base[index] = value


def check_shape(value: Any) -> None:
    """Refuse what an array must not be sized by, or a size that nobody needs.

    One dimension may be the number of rows; the others are written out.
    """
    parts = value if type(value) in _CONTAINERS else (value,)
    free, product = 0, 1
    for part in parts:
        if isinstance(part, Shape) or (isinstance(part, Size) and part.rows):
            free += 1
        elif type(part) is int:
            product *= max(abs(part), 1)
        elif not isinstance(part, Size):
            raise RefusedError("an array is sized by written-out integers and len(feature) only")
    if free > 1 or product > words.MAX_RANGE:
        raise RefusedError(
            f"an array has one dimension for the rows, and at most {words.MAX_RANGE} elements "
            "beside it"
        )


def _sized(function: Callable[[Any, Any], Any], left: Any, right: Any, rows: bool) -> StandIn:
    if function is operator.truediv and not rows:
        return ARRAY
    if function not in _INTEGER_OPERATIONS:
        raise RefusedError(_ROWS if rows else "of sizes use + - * // and % only")
    bits = [item.bits if isinstance(item, Size) else item.bit_length() for item in (left, right)]
    return Size(sum(bits) if function is operator.mul else max(bits) + 1, rows=rows)


def _elementwise(function: Callable[[Any, Any], Any], left: Any, right: Any) -> StandIn:
    as_operand(left), as_operand(right)
    for one, other in ((left, right), (right, left)):
        repeats = function is operator.mul and isinstance(one, StandIn) and not one.whole
        if repeats and type(other) in _CONTAINERS:
            raise RefusedError("a tuple times an integer repeats it; write np.array((...)) * x")
    whole = all(type(item) is int or getattr(item, "integers", False) for item in (left, right))
    return INTEGERS if whole and function in _INTEGER_OPERATIONS else ARRAY


def _contained(function: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    if function is operator.mul:
        count, items = (left, right) if is_number(left) else (right, left)
        if type(items) in _CONTAINERS and type(count) in (int, bool):
            _check_length(len(items) * count)
            return function(left, right)
    if function is operator.add and type(left) in _CONTAINERS and type(left) is type(right):
        _check_length(len(left) + len(right))
        return left + right
    names = " and ".join(type(item).__name__.replace("str", "text") for item in (left, right))
    raise RefusedError(f"{names} cannot be combined so")


def _check_length(length: int) -> None:
    if length > words.MAX_RANGE:
        raise RefusedError(f"a tuple or list has at most {words.MAX_RANGE} items; use an array")


def _check_position(index: Any) -> None:
    bounds = (index.start, index.stop, index.step) if isinstance(index, slice) else (index,)
    if any(type(bound) not in (int, bool, type(None)) for bound in bounds):
        raise RefusedError("a tuple or list is indexed by integers that do not depend on features")


def _check_index(index: Any, *, loads: bool, depth: int = 0) -> None:
    """Check an index into an array; what is loaded must not depend in size on the features."""
    if isinstance(index, slice):
        for bound in (index.start, index.stop, index.step):
            _check_index(bound, loads=loads, depth=_DEPTH)
    elif type(index) in _CONTAINERS and depth < _DEPTH:
        for item in index:
            _check_index(item, loads=loads, depth=depth + 1)
    elif type(index) in (int, bool):
        if abs(index) > words.MAX_INDEX:
            raise RefusedError(f"an index is beyond {words.MAX_INDEX}")
    elif isinstance(index, Size | Shape):
        raise RefusedError(_ROWS)
    elif isinstance(index, StandIn):
        if loads and not index.integers:
            raise RefusedError(
                "rows are not picked by a condition, as their number would change; use "
                "np.where(condition, a, b)"
            )
    elif index is not None and index is not Ellipsis:
        raise RefusedError("an array is indexed by integers, slices and integer arrays only")
