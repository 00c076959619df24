"""Follows a reward program on stand-ins for its features, without running any of it.

What a program may branch on, loop over and size arrays by is known before it sees a feature:
numbers written in it, loop variables, its own tuples, lists and dicts. These are followed as they
are; whatever comes from a feature is a stand-in that may be computed with and nothing else. So an
accepted program does the same operations on every batch, their number is bounded here, and a
check on many rows says what fewer rows cost.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from densegym.reward_models.sandbox import vocabulary as words
from densegym.reward_models.sandbox.calls import Calls
from densegym.reward_models.sandbox.cleaning import RefusedError
from densegym.reward_models.sandbox.standins import (
    ARRAY,
    INTEGERS,
    Shape,
    Size,
    StandIn,
    as_operand,
    bounded,
    combine,
    is_number,
    key_of,
    leaves,
    load_item,
    store_item,
    truth_of,
)

_OPERATORS: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.MatMult: operator.matmul,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_SIGNS: Mapping[type[ast.AST], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
}
_ORDERED = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def rehearse(tree: ast.Module, entry: ast.FunctionDef) -> int:
    """Follow an accepted tree's entry function to its end.

    Returns:
        The syntax nodes that one call evaluates, at most ``vocabulary.MAX_WORK``.

    Raises:
        RefusedError: it branches on features, loops over rows, sizes arrays or containers by
            what is not known, uses the number of rows as a value, does too much, or fails
            whatever the features are.
    """
    try:
        return _Rehearsal(tree).run(entry)
    except RecursionError as error:
        raise RefusedError("functions call each other too deeply; write fewer of them") from error


class _Returned(NamedTuple):
    value: Any


class _Jump:
    """``break`` or ``continue`` on its way to its loop."""


_BREAK, _CONTINUE = _Jump(), _Jump()


class _Rehearsal:
    def __init__(self, tree: ast.Module) -> None:
        self._work = self._depth = 0
        self._functions = {
            item.name: item for item in tree.body if isinstance(item, ast.FunctionDef)
        }
        self._globals: dict[str, Any] = {}
        self._locals = self._globals
        self._calls = Calls(self._spend, self._add)
        for item in tree.body:
            if isinstance(item, ast.Assign):
                self._guarded(item, self._statement, item)

    def run(self, entry: ast.FunctionDef) -> int:
        self._locals = {item.arg: StandIn.feature() for item in entry.args.args}
        ended = self._body(entry.body)
        if isinstance(ended, _Returned):
            leaves(ended.value)  # whoever reads the result goes through all of it
        return self._work

    def _spend(self, amount: int, node: ast.AST | None = None) -> None:
        self._work += amount
        if self._work > words.MAX_WORK:
            raise RefusedError(
                f"one call would evaluate more than {words.MAX_WORK} syntax nodes; use array "
                "operations, and fewer and shorter loops",
                node,
            )

    def _guarded(self, node: ast.AST, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call, and give a refusal the line of a node; what Python raises is one too."""
        try:
            return function(*arguments)
        except RefusedError as error:
            if not error.line:
                error.line = getattr(node, "lineno", 0)
            raise
        except RecursionError:
            raise
        except Exception as error:  # static values fail here just as they would in every call
            message = f"{type(error).__name__}: {error}".rstrip(": ")
            raise RefusedError(message, node) from error

    # statements

    def _body(self, statements: Sequence[ast.stmt]) -> _Returned | _Jump | None:
        for statement in statements:
            ended = self._guarded(statement, self._statement, statement)
            if ended is not None:
                return ended  # type: ignore[no-any-return]
        return None

    def _statement(self, node: ast.stmt) -> _Returned | _Jump | None:
        self._spend(1, node)
        if isinstance(node, ast.Assign):
            value = self._value(node.value)
            for target in node.targets:
                self._assign(target, value)
        elif isinstance(node, ast.AugAssign):
            self._augment(node)
        elif isinstance(node, ast.If):
            return self._body(node.body if self._truth(node.test) else node.orelse)
        elif isinstance(node, ast.For):
            return self._loop(node)
        elif isinstance(node, ast.Return):
            return _Returned(None if node.value is None else self._value(node.value))
        elif isinstance(node, ast.Break):
            return _BREAK
        elif isinstance(node, ast.Continue):
            return _CONTINUE
        return None

    def _loop(self, node: ast.For) -> _Returned | _Jump | None:
        for item in self._iterable(self._value(node.iter)):
            self._spend(1, node)
            self._assign(node.target, item)
            ended = self._body(node.body)
            if ended is _BREAK:
                return None
            if isinstance(ended, _Returned):
                return ended
        return self._body(node.orelse)

    def _iterable(self, value: Any) -> Iterator[Any]:
        return iter(self._calls.iterable(value))

    def _assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self._locals[target.id] = value
        elif isinstance(target, ast.Subscript):
            store_item(self._value(target.value), self._index(target.slice), value)
        elif isinstance(target, ast.Tuple | ast.List):
            for one, item in zip(target.elts, self._unpacked(value, len(target.elts)), strict=True):
                self._assign(one, item)

    def _unpacked(self, value: Any, count: int) -> Sequence[Any]:
        if isinstance(value, Shape):
            return [value[i] for i in range(count)]
        if isinstance(value, StandIn):
            return [ARRAY] * count
        items = list(self._iterable(value))
        if len(items) != count:
            raise ValueError(f"{len(items)} values for {count} names")
        return items

    def _augment(self, node: ast.AugAssign) -> None:
        value, target = self._value(node.value), node.target
        if isinstance(target, ast.Name):
            before = self._name(target)
            after = self._operate(node.op, before, value)
            if type(before) is list and type(after) is list:  # lists change in place
                before[:] = after
                after = before
            self._locals[target.id] = after
        elif isinstance(target, ast.Subscript):
            base, index = self._value(target.value), self._index(target.slice)
            if isinstance(base, StandIn):
                store_item(base, index, self._operate(node.op, ARRAY, value))
            else:
                store_item(base, index, self._operate(node.op, load_item(base, index), value))

    # expressions

    def _value(self, node: ast.expr) -> Any:
        self._spend(1, node)
        return self._VALUES[type(node)](self, node)

    def _truth(self, node: ast.expr) -> bool:
        return self._guarded(node, truth_of, self._value(node))  # type: ignore[no-any-return]

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        for names in (self._locals, self._globals):
            if node.id in names:
                return names[node.id]
        raise RefusedError(f'"{node.id}" has no value here', node)

    def _attribute(self, node: ast.Attribute) -> Any:
        if isinstance(node.value, ast.Name) and node.value.id in words.NAMESPACES:
            return words.CONSTANT_VALUES[node.attr]
        value = self._value(node.value)
        if not isinstance(value, StandIn) or isinstance(value, Size | Shape):
            raise RefusedError(f".{node.attr} belongs to arrays only", node)
        if node.attr == "shape":
            return value.shape
        if node.attr == "T":
            return INTEGERS if value.integers else ARRAY
        return Size(8, rows=False) if node.attr == "ndim" else Size(32)

    def _binary(self, node: ast.BinOp) -> Any:
        left, right = self._value(node.left), self._value(node.right)
        return self._guarded(node, self._operate, node.op, left, right)

    def _operate(self, kind: ast.operator, left: Any, right: Any) -> Any:
        value = combine(_OPERATORS[type(kind)], left, right)
        if isinstance(value, tuple | list):
            self._spend(len(value))
        return value

    def _add(self, left: Any, right: Any) -> Any:
        return combine(operator.add, left, right)

    def _unary(self, node: ast.UnaryOp) -> Any:
        if isinstance(node.op, ast.Not):
            return not self._truth(node.operand)
        value = self._guarded(node, as_operand, self._value(node.operand))
        if isinstance(value, Size):
            return value
        if isinstance(value, StandIn):
            return INTEGERS if value.integers else ARRAY
        if not is_number(value):
            raise RefusedError("a sign stands before numbers and arrays only", node)
        return bounded(self._guarded(node, _SIGNS[type(node.op)], value))

    def _logic(self, node: ast.BoolOp) -> Any:
        until = isinstance(node.op, ast.Or)
        for part in node.values[:-1]:
            value = self._value(part)
            if self._guarded(part, truth_of, value) is until:
                return value
        return self._value(node.values[-1])

    def _choice(self, node: ast.IfExp) -> Any:
        return self._value(node.body if self._truth(node.test) else node.orelse)

    def _compare(self, node: ast.Compare) -> Any:
        left, result, last = self._value(node.left), True, len(node.ops) - 1
        for i, (kind, part) in enumerate(zip(node.ops, node.comparators, strict=True)):
            right = self._value(part)
            result = self._guarded(node, self._compared, kind, left, right)
            if i < last and not self._guarded(node, truth_of, result):
                break
            left = right
        return result

    def _compared(self, kind: ast.cmpop, left: Any, right: Any) -> Any:
        if isinstance(kind, ast.In | ast.NotIn):
            items = list(self._iterable(right))
            if not all(is_number(item) for item in [left, *items]):
                raise RefusedError("in looks for a number among written-out numbers only")
            return (left in items) is isinstance(kind, ast.In)
        if isinstance(left, Size) or isinstance(right, Size):
            raise RefusedError("sizes are not compared; write the number itself")
        stands = isinstance(left, StandIn) or isinstance(right, StandIn)
        if stands and isinstance(kind, _ORDERED):
            as_operand(left), as_operand(right)
            return ARRAY
        if stands:
            raise RefusedError("is compares no arrays; use == and np.where")
        plain = (bool, int, float, str, type(None))
        if type(left) not in plain or type(right) not in plain:
            raise RefusedError("only numbers and arrays are compared")
        return _OPERATORS[type(kind)](left, right)

    def _sequence(self, node: ast.Tuple | ast.List) -> Any:
        items = [self._value(item) for item in node.elts]
        return tuple(items) if isinstance(node, ast.Tuple) else items

    def _dictionary(self, node: ast.Dict) -> dict[Any, Any]:
        return {
            key_of(self._value(key)): self._value(value)
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        }

    def _subscript(self, node: ast.Subscript) -> Any:
        base = self._value(node.value)
        return self._guarded(node, load_item, base, self._index(node.slice))

    def _index(self, node: ast.expr) -> Any:
        return self._value(node)

    def _slice(self, node: ast.Slice) -> slice:
        bounds = (node.lower, node.upper, node.step)
        return slice(*(None if bound is None else self._value(bound) for bound in bounds))

    def _call(self, node: ast.Call) -> Any:
        function = node.func
        if isinstance(function, ast.Name) and function.id in self._functions:
            return self._helper(node, self._functions[function.id])
        base, path = None, ""
        if isinstance(function, ast.Name):
            path = function.id
        elif isinstance(function, ast.Attribute):
            path = _dotted(function)
            if not path:
                base, path = self._value(function.value), f".{function.attr}"
        typed = path == ".astype"
        arguments = [] if typed else [self._value(item) for item in node.args]
        dtype = node.args[0] if typed else None
        named = {}
        for item in node.keywords:
            if item.arg == "dtype" and path != "dict":
                dtype = item.value
            else:
                named[item.arg or ""] = self._value(item.value)
        whole = dtype is not None and "int" in ast.unparse(dtype)
        plain = dtype is not None and not whole
        value = self._guarded(node, self._calls.call, path, base, arguments, named)
        if isinstance(value, StandIn) and not isinstance(value, Size | Shape):
            return INTEGERS if whole else ARRAY if plain else value
        return value

    def _helper(self, node: ast.Call, function: ast.FunctionDef) -> Any:
        names = [item.arg for item in function.args.args]
        given = [self._value(item) for item in node.args]
        if len(given) > len(names):
            raise RefusedError(f"{function.name} takes {len(names)} arguments", node)
        bound = dict(zip(names, given, strict=False))
        for item in node.keywords:
            if item.arg in bound:
                raise RefusedError(f'{function.name} is given "{item.arg}" twice', node)
            bound[item.arg or ""] = self._value(item.value)
        defaults = function.args.defaults
        for name, default in zip(names[len(names) - len(defaults) :], defaults, strict=True):
            if name not in bound:
                bound[name] = self._value(default)
        missing = [name for name in names if name not in bound]
        if missing:
            raise RefusedError(f'{function.name} is not given "{missing[0]}"', node)
        before, self._locals = self._locals, bound
        try:
            ended = self._body(function.body)
        finally:
            self._locals = before
        return ended.value if isinstance(ended, _Returned) else None

    _VALUES: ClassVar[Mapping[type[ast.AST], Callable[[_Rehearsal, Any], Any]]] = {
        ast.Constant: _constant,
        ast.Name: _name,
        ast.Attribute: _attribute,
        ast.BinOp: _binary,
        ast.UnaryOp: _unary,
        ast.BoolOp: _logic,
        ast.IfExp: _choice,
        ast.Compare: _compare,
        ast.Tuple: _sequence,
        ast.List: _sequence,
        ast.Dict: _dictionary,
        ast.Subscript: _subscript,
        ast.Slice: _slice,
        ast.Call: _call,
    }


def _dotted(node: ast.Attribute) -> str:
    names, inner = [node.attr], node.value
    while isinstance(inner, ast.Attribute):
        names.append(inner.attr)
        inner = inner.value
    if not isinstance(inner, ast.Name) or inner.id not in words.NAMESPACES:
        return ""
    return ".".join([inner.id, *reversed(names)])
