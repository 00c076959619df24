"""No import fails bare: what is imported is of the base, or was asked for by name of its extra."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import densegym
from densegym.requirements import NAME, by_extra, needed

ROOT = Path(densegym.__file__).parent
PROGRAMS = ("assets/rewards", "assets/factors")  # run in a sandbox, with NumPy alone
BASE = {need.module for need in needed() if not need.extra}
EXTRAS = {extra: {need.module for need in needs} for extra, needs in by_extra().items()}
# Gymnasium's own worlds on MuJoCo answer with a pip line that breaks Meta-World.
HIDDEN = {"gymnasium.envs.mujoco": "mujoco"}


@dataclass
class Lazy:
    """One import inside a function."""

    name: str
    line: int
    place: ast.AST


@dataclass
class Module:
    """What a module imports, and which extras it asks for."""

    path: Path
    top: list[str] = field(default_factory=list)
    lazy: list[Lazy] = field(default_factory=list)
    asked: list[tuple[str, int, ast.AST | None]] = field(default_factory=list)
    users: dict[str, set[ast.AST | None]] = field(default_factory=dict)


class Reader(ast.NodeVisitor):
    """Reads one module; imports for the type checker alone count nowhere."""

    def __init__(self, path: Path) -> None:
        self.found, self._inside = Module(path), list[ast.AST]()
        self.visit(ast.parse(path.read_text(encoding="utf-8")))

    @property
    def _place(self) -> ast.AST | None:
        return self._inside[-1] if self._inside else None

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" not in ast.dump(node.test):
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        outer = not self._inside
        if outer or isinstance(self._inside[-1], ast.ClassDef):
            self._inside.append(node)
            self.generic_visit(node)
            self._inside.pop()
        else:
            self.generic_visit(node)  # a nested function belongs to the one around it

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._inside.append(node)
        self.generic_visit(node)
        self._inside.pop()

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self._add(f"{node.module}.{alias.name}", node.lineno)

    def _add(self, name: str, line: int) -> None:
        place = self._place
        if place is None or isinstance(place, ast.ClassDef):
            self.found.top.append(name)
        else:
            self.found.lazy.append(Lazy(name, line, place))

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id == "require":
            extra = next((k.value for k in node.keywords if k.arg == "extra"), None)
            if isinstance(extra, ast.Constant):
                self.found.asked.append((extra.value, node.lineno, self._place))
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        self.found.users.setdefault(node.id, set()).add(self._place)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.found.users.setdefault(node.attr, set()).add(self._place)
        self.generic_visit(node)


@cache
def modules() -> dict[str, Module]:
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        short = path.relative_to(ROOT)
        if not str(short).startswith(PROGRAMS):
            parts = (NAME, *short.with_suffix("").parts)
            found[".".join(parts).removesuffix(".__init__")] = Reader(path).found
    return found


def third_party(name: str) -> str | None:
    for prefix, module in HIDDEN.items():
        if name.startswith(prefix):
            return module
    root = name.partition(".")[0]
    return None if root in sys.stdlib_module_names or root in (NAME, *BASE) else root


def imported(name: str) -> Iterator[str]:
    """Yield the modules of ours that an import runs: a module and the packages around it."""
    while name.startswith(f"{NAME}."):
        if name in modules():
            yield name
        name = name.rpartition(".")[0]


@cache
def wants() -> dict[str, set[str]]:
    """Return, for every module, the optional packages that importing it needs unasked."""
    found: dict[str, set[str]] = {}
    for name, module in modules().items():
        granted = {m for extra, _, place in module.asked if place is None for m in EXTRAS[extra]}
        outside = {third_party(n) for n in module.top} - {None}
        found[name] = {o for o in outside if o is not None} - granted
    changed = True
    while changed:
        changed = False
        for name, module in modules().items():
            more = {w for n in module.top for below in imported(n) for w in found[below]}
            if not more <= found[name]:
                found[name] |= more
                changed = True
    return found


def granted(module: Module, lazy: Lazy) -> set[str]:
    """Return the packages that the function around an import has asked for before it."""
    own = {e for e, line, at in module.asked if at in (None, lazy.place) and line <= lazy.line}
    extras = own | _of_class(module, lazy.place) | _of_callers(module, lazy.place, frozenset())
    return {m for extra in extras for m in EXTRAS[extra]}


def _of_class(module: Module, place: ast.AST | None) -> set[str]:
    """Return what the constructor of a method's class asks for."""
    tree = ast.parse(module.path.read_text(encoding="utf-8"))
    for owner in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        lines = {node.lineno for node in owner.body if isinstance(node, ast.FunctionDef)}
        if getattr(place, "lineno", 0) in lines:
            start = next((n for n in owner.body if getattr(n, "name", "") == "__init__"), None)
            return {
                extra
                for extra, line, _ in module.asked
                if start is not None and start.lineno <= line <= (start.end_lineno or 0)
            }
    return set()


def _of_callers(module: Module, place: ast.AST | None, seen: frozenset[str]) -> set[str]:
    """Return what all who use a private function of a module have asked for."""
    name = getattr(place, "name", "")
    if not name.startswith("_") or name.startswith("__") or name in seen:
        return set()
    users = [user for user in module.users.get(name, set()) if user is not place]
    each = [
        {extra for extra, _, at in module.asked if at is user}
        | _of_class(module, user)
        | _of_callers(module, user, seen | {name})
        for user in users
    ]
    return set.intersection(*each) if each else set()


def test_every_third_party_module_is_required_by_the_base_or_an_extra() -> None:
    known = BASE.union(*EXTRAS.values())
    strangers = {
        f"{module.path.relative_to(ROOT)}: {name}"
        for module in modules().values()
        for name in [*module.top, *(lazy.name for lazy in module.lazy)]
        if (root := third_party(name)) is not None and root not in known
    }
    assert strangers == set()


def test_what_is_asked_for_is_an_extra_that_brings_it() -> None:
    wrong = set()
    for module in modules().values():
        for node in ast.walk(ast.parse(module.path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name(id="require"),
                    args=[ast.Constant(value=str(name))],
                    keywords=[ast.keyword(arg="extra", value=ast.Constant(value=str(extra)))],
                ):
                    if (third_party(name) or name) not in EXTRAS.get(extra, set()):
                        wrong.add(f"{module.path.relative_to(ROOT)}:{node.lineno} {name} [{extra}]")
    assert wrong == set()


def test_every_optional_import_is_reached_through_a_guard() -> None:
    bare = []
    for name, module in modules().items():
        for lazy in module.lazy:
            direct = {third_party(lazy.name)} - {None}
            needs = direct.union(*(wants()[below] for below in imported(lazy.name)))
            lacking = needs - wants()[name] - granted(module, lazy)
            if lacking:
                bare.append(f"{module.path.relative_to(ROOT)}:{lazy.line} {lazy.name}: {lacking}")
    assert not bare, "\n".join(bare)


def test_the_base_and_the_command_line_import_nothing_optional() -> None:
    entries = ("densegym", "densegym.cli.main", "densegym.agents.doctor")
    assert {name: wants()[name] for name in entries} == {name: set() for name in entries}
