"""Parses a reward program and takes away what has no effect on its values."""

from __future__ import annotations

import ast
import threading
import warnings
from typing import TypeVar

from densegym.reward_models.sandbox.vocabulary import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    MAX_NUMBER,
)

_HARMLESS_IMPORTS = {("numpy", "np"), ("math", None), ("typing", None)}
_HARMLESS_SOURCES = {"typing", "__future__"}
_WARNINGS = threading.Lock()  # `catch_warnings` changes a list that all threads share

_Statement = TypeVar("_Statement", bound=ast.stmt)


class RefusedError(Exception):
    """Why a program is refused, and the line that is to blame (0 if none is)."""

    def __init__(self, message: str, node: ast.AST | None = None) -> None:
        super().__init__(message)
        self.line: int = getattr(node, "lineno", 0)


def parse(source: str) -> ast.Module:
    """Return the tree of a program.

    Raises:
        SyntaxError: the text is no Python.
        RefusedError: it is too long, too large or nested too deeply.
    """
    try:
        if len(source.encode()) > MAX_BYTES:
            raise RefusedError(f"the program is longer than {MAX_BYTES} bytes; shorten it")
        with _WARNINGS, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (RecursionError, MemoryError) as error:
        raise RefusedError("an expression is nested too deeply; split it up") from error
    except ValueError as error:
        raise SyntaxError(f"the text is no Python: {error}") from error
    _measure(tree)
    return tree


def compile_cleaned(code: str) -> ast.Module:
    """Compile cleaned code and return its tree, to find what only the compiler refuses.

    Raises:
        SyntaxError: for example ``break`` outside a loop, or a name given twice; ``lineno`` counts
            the lines of ``code``.
    """
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compile(code, "<reward>", "exec")
        return ast.parse(code)


def clean(tree: ast.Module) -> ast.Module:
    """Drop harmless imports, docstrings and annotations from a tree, in place."""
    tree.body = [statement for statement in tree.body if not _harmless(statement)]
    cleaned: ast.Module = _Cleaner().visit(tree)
    return cleaned


def count(tree: ast.AST) -> int:
    """Return the number of nodes of a tree."""
    return sum(1 for _ in ast.walk(tree))


def _measure(tree: ast.Module) -> None:
    """Refuse a tree that would exhaust recursive visitors, and numbers too long to print."""
    layer: list[ast.AST] = [tree]
    total = depth = 0
    while layer:
        total, depth = total + len(layer), depth + 1
        if total > MAX_NODES:
            raise RefusedError(f"the program has more than {MAX_NODES} syntax nodes; shorten it")
        if depth > MAX_DEPTH:
            raise RefusedError("an expression is nested too deeply; split it up", layer[0])
        for node in layer:
            if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
                _measure_number(node, node.value)
        layer = [child for node in layer for child in ast.iter_child_nodes(node)]


def _measure_number(node: ast.Constant, value: float) -> None:
    if abs(value) > MAX_NUMBER:
        raise RefusedError(f"a number is beyond {MAX_NUMBER:g}; use a smaller one, or np.inf", node)


def _harmless(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Import):
        return all((item.name, item.asname) in _HARMLESS_IMPORTS for item in statement.names)
    return (
        isinstance(statement, ast.ImportFrom)
        and statement.module in _HARMLESS_SOURCES
        and statement.level == 0
        and all(item.asname is None for item in statement.names)
    )


class _Cleaner(ast.NodeTransformer):
    """Strips annotations and bare strings; a body left empty holds ``pass``."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        return self._filled(node)

    def visit_For(self, node: ast.For) -> ast.For:
        return self._filled(node)

    def visit_If(self, node: ast.If) -> ast.If:
        return self._filled(node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.Assign | None:
        if node.value is None:
            return None
        assign = ast.Assign(targets=[node.target], value=node.value)
        return ast.copy_location(assign, node)

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text else node

    def _filled(self, node: _Statement) -> _Statement:
        self.generic_visit(node)
        if not getattr(node, "body", None):
            node.body = [ast.copy_location(ast.Pass(), node)]  # type: ignore[attr-defined]
        return node
