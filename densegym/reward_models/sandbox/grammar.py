"""Checks expressions and function bodies of a reward program against the vocabulary.

The walk goes from the outside in, and every node tells its children in what role they stand: a
name that is called, a string that is a key, a type that is a dtype. A word in any other role is
refused, so no function, builtin or module can be stored, passed on or looked into.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from densegym.errors import closest
from densegym.reward_models.sandbox import vocabulary as words
from densegym.reward_models.sandbox.cleaning import RefusedError


class Role(enum.Enum):
    """What a node is used for, where its parent makes a difference."""

    CALLED = enum.auto()
    INDEX = enum.auto()
    DTYPE = enum.auto()
    PATH = enum.auto()


@dataclass(slots=True)
class Scope:
    """The names a piece of code may use.

    Attributes:
        constants: module constants; the value where it is a plain integer.
        functions: parameters of the functions defined before.
        taken: names of the top level, which no parameter or local may have.
        values: parameters and locals.
    """

    constants: dict[str, int | None] = field(default_factory=dict)
    functions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()

    def check_binding(self, name: str, node: ast.AST) -> None:
        """Refuse a name that must not be given to a value or function."""
        if name in words.RESERVED:
            raise RefusedError(f'"{name}" has a fixed meaning; choose another name', node)
        if name.startswith("_") or not name.isascii():
            raise RefusedError(
                f'the name "{name}" is not allowed; use letters a to z, digits and _, '
                "starting with a letter",
                node,
            )

    def check_local(self, name: str, node: ast.AST) -> None:
        """Refuse a parameter or local with a name of the top level."""
        self.check_binding(name, node)
        if name in self.taken:
            raise RefusedError(
                f'"{name}" is already defined at the top level; choose another name', node
            )


def integer(node: ast.expr, constants: Mapping[str, int | None] | None = None) -> int | None:
    """Return the value of an integer literal or integer constant, or None for anything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = integer(node.operand, constants)
        return None if value is None else -value
    if isinstance(node, ast.Name):
        return (constants or {}).get(node.id)
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    return None


class Checker:
    """Walks a piece of code and raises ``RefusedError`` at the first word that is not allowed.

    Args:
        scope: the names it may use.
        nodes: the syntax nodes it may be made of.
    """

    def __init__(self, scope: Scope, nodes: Collection[type[ast.AST]] = words.NODES) -> None:
        self._scope, self._nodes = scope, nodes
        self._roles: dict[ast.AST, Role] = {}

    def check(self, root: ast.AST) -> None:
        """Check a node and all below it, in the order of the text."""
        stack = [root]
        while stack:
            node = stack.pop()
            if type(node) not in self._nodes:
                kind = type(node).__name__
                raise RefusedError(words.ADVICE.get(type(node), f"{kind} is not allowed"), node)
            check = self._CHECKS.get(type(node))
            if check is not None:
                check(self, node)
            stack += [*ast.iter_child_nodes(node)][::-1]

    def _name(self, node: ast.Name) -> None:
        scope, role, name = self._scope, self._roles.get(node), node.id
        if isinstance(node.ctx, ast.Store):
            scope.check_local(name, node)
        elif role is Role.CALLED:
            callables = words.BUILTINS | scope.functions.keys()
            if name not in callables:
                known = closest(name, callables)
                raise RefusedError(f"{name}() is no function defined before.{known}", node)
        elif role in (None, Role.INDEX) and name not in scope.values | scope.constants.keys():
            if name in words.RESERVED or name in scope.functions:
                raise RefusedError(f'"{name}" cannot be used as a value', node)
            known = closest(name, scope.values | scope.constants.keys())
            raise RefusedError(f'"{name}" is not defined.{known}', node)

    def _attribute(self, node: ast.Attribute) -> None:
        role = self._roles.get(node)
        if role is Role.PATH:
            return
        if isinstance(node.ctx, ast.Store):
            raise RefusedError("attributes cannot be assigned; assign to a name", node)
        path = _path(node)
        if path is None:
            if node.attr not in (words.METHODS if role is Role.CALLED else words.PROPERTIES):
                raise _foreign(f".{node.attr}", {*words.METHODS, *words.PROPERTIES}, node)
            return
        module, name = path.split(".", 1)
        allowed = _members(module, role)
        if name not in allowed:
            known = {*allowed, *_members(module, Role.CALLED)}
            raise _foreign(path, {f"{module}.{item}" for item in known}, node)
        inner: ast.expr = node.value
        while isinstance(inner, ast.Attribute):
            self._roles[inner] = Role.PATH
            inner = inner.value
        self._roles[inner] = Role.PATH

    def _call(self, node: ast.Call) -> None:
        function = node.func
        if not isinstance(function, ast.Name | ast.Attribute):
            raise RefusedError("only functions and methods can be called, by their names", node)
        self._roles[function] = Role.CALLED
        if isinstance(function, ast.Name):
            self._check_arguments(node, None, self._keywords(function.id))
            if function.id == "range":
                self._check_range(node)
            return
        path = _path(function)
        if path is None:
            most, keywords = words.METHODS.get(function.attr), words.KEYWORDS
        elif path.startswith("math."):
            most, keywords = words.MATH.get(path.removeprefix("math.")), frozenset()
        else:
            most, keywords = words.NUMPY.get(path.removeprefix("np.")), words.KEYWORDS
        self._check_arguments(node, most, keywords)
        if path is None and function.attr == "astype":
            self._check_astype(node)
        if path is None and function.attr == "get":
            self._roles.update(dict.fromkeys(node.args[:1], Role.INDEX))

    def _keyword(self, node: ast.keyword) -> None:
        if node.arg == "dtype":
            self._check_dtype(node.value)

    def _constant(self, node: ast.Constant) -> None:
        value, index = node.value, self._roles.get(node) is Role.INDEX
        if isinstance(value, str):
            if not index:
                raise RefusedError("text is allowed only as the name of a term", node)
            if not 0 < len(value) <= words.MAX_TERM_CHARACTERS or not value.isprintable():
                raise RefusedError(
                    f"a term's name has 1 to {words.MAX_TERM_CHARACTERS} printable characters", node
                )
        elif value is Ellipsis:
            if not index:
                raise RefusedError("... is allowed only in an index", node)
        elif isinstance(value, bytes | complex):
            raise RefusedError(f"{type(value).__name__} values are not allowed; use floats", node)

    def _dictionary(self, node: ast.Dict) -> None:
        for key in node.keys:
            if key is None:
                raise RefusedError("** is not allowed; list the terms one by one", node)
            self._roles[key] = Role.INDEX

    def _subscript(self, node: ast.Subscript) -> None:
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        self._roles.update(dict.fromkeys(parts, Role.INDEX))

    def _power(self, node: ast.BinOp | ast.AugAssign) -> None:
        if not isinstance(node.op, ast.Pow):
            return
        exponent = node.right if isinstance(node, ast.BinOp) else node.value
        if isinstance(exponent, ast.UnaryOp) and isinstance(exponent.op, ast.USub | ast.UAdd):
            exponent = exponent.operand
        literal = isinstance(exponent, ast.Constant) and type(exponent.value) in (int, float)
        if not literal or abs(exponent.value) > words.MAX_EXPONENT:  # type: ignore[attr-defined]
            raise RefusedError(
                f"** takes a literal exponent up to {words.MAX_EXPONENT}; use np.power or np.exp",
                node,
            )

    def _loop(self, node: ast.For) -> None:
        if not all(
            isinstance(part, ast.Name | ast.Tuple | ast.List | ast.Store)
            for part in ast.walk(node.target)
        ):
            raise RefusedError("a for loop assigns to names only", node)
        source = node.iter
        bounded = isinstance(source, ast.Tuple | ast.List | ast.Dict)
        if isinstance(source, ast.Call) and isinstance(source.func, ast.Name):
            bounded = source.func.id in words.LOOPS
        elif isinstance(source, ast.Call) and isinstance(source.func, ast.Attribute):
            bounded = source.func.attr in words.DICT_VIEWS
        if not bounded:
            raise RefusedError(
                "for runs over a written-out tuple, list or dict, range, zip, enumerate or "
                "dict items; use array operations for the rest",
                node,
            )

    def _keywords(self, function: str) -> Collection[str] | None:
        """Return the keywords a builtin or helper takes; None for any name."""
        if function == "dict":
            return None
        return self._scope.functions.get(function, words.KEYWORDS)

    def _check_arguments(
        self, node: ast.Call, most: int | None, keywords: Collection[str] | None
    ) -> None:
        if most is not None and len(node.args) > most:
            raise RefusedError(
                f"{ast.unparse(node.func)} takes {most} arguments by position at most; "
                "name the others",
                node,
            )
        for item in node.keywords:
            if item.arg is None:
                raise RefusedError("** is not allowed; name the arguments one by one", node)
            if keywords is None:
                self._scope.check_binding(item.arg, node)
            elif item.arg not in keywords:
                where = f" as an argument of {ast.unparse(node.func)}"
                raise _foreign(item.arg, keywords, node, where)

    def _check_range(self, node: ast.Call) -> None:
        bounds = [integer(bound, self._scope.constants) for bound in node.args]
        if any(bound is None or abs(bound) > words.MAX_RANGE for bound in bounds):
            raise RefusedError(
                f"range takes literal integers up to {words.MAX_RANGE}; use array operations "
                "over the batch",
                node,
            )

    def _check_astype(self, node: ast.Call) -> None:
        if len(node.args) != 1 or node.keywords:
            raise RefusedError(".astype takes one type: .astype(float)", node)
        self._check_dtype(node.args[0])

    def _check_dtype(self, node: ast.expr) -> None:
        builtin = isinstance(node, ast.Name) and node.id in words.DTYPE_BUILTINS
        if not builtin and not (isinstance(node, ast.Attribute) and _path(node)):
            raise RefusedError("a dtype is float, int, bool, np.float64 or np.float32", node)
        self._roles[node] = Role.DTYPE

    _CHECKS: ClassVar[Mapping[type[ast.AST], Callable[[Checker, Any], None]]] = {
        ast.Name: _name,
        ast.Attribute: _attribute,
        ast.Call: _call,
        ast.keyword: _keyword,
        ast.Constant: _constant,
        ast.Dict: _dictionary,
        ast.Subscript: _subscript,
        ast.BinOp: _power,
        ast.AugAssign: _power,
        ast.For: _loop,
    }


def _members(module: str, role: Role | None) -> Collection[str]:
    """Return what of ``np`` or ``math`` may stand in a role."""
    if role is Role.CALLED:
        return words.NUMPY if module == "np" else words.MATH
    if role is Role.DTYPE:
        return words.DTYPES if module == "np" else ()
    return words.NUMPY_CONSTANTS if module == "np" else words.MATH_CONSTANTS


def _path(node: ast.Attribute) -> str | None:
    """Return a dotted path such as ``np.linalg.norm``, or None for an attribute of a value."""
    names, inner = [node.attr], node.value
    while isinstance(inner, ast.Attribute):
        names.append(inner.attr)
        inner = inner.value
    if not isinstance(inner, ast.Name) or inner.id not in words.NAMESPACES:
        return None
    return ".".join([inner.id, *reversed(names)])


def _foreign(word: str, allowed: Collection[str], node: ast.AST, where: str = "") -> RefusedError:
    if word.removeprefix(".") in {item.removeprefix(".") for item in allowed}:
        return RefusedError(f"{word} is a function to be called, or a value not to be", node)
    parts = word.split(".")
    instead = words.INSTEAD.get(".".join(parts[:2]))
    hint = f"; use {instead}" if instead else f".{closest(word, allowed)}"
    return RefusedError(f"{word} is not allowed{where}{hint}", node)
