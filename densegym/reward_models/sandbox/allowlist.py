"""The static check of reward programs: an allow-list over their syntax tree.

Deny-lists for Python have been escaped again and again, so everything is refused but the words of
``vocabulary``. The check alone is no boundary: what passes is first tried in a worker process.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
from collections.abc import Collection
from typing import NamedTuple

from densegym.errors import closest
from densegym.reward_models.sandbox import vocabulary as words
from densegym.reward_models.sandbox.cleaning import (
    RefusedError,
    clean,
    compile_cleaned,
    count,
    parse,
)
from densegym.reward_models.sandbox.frames import one_line
from densegym.reward_models.sandbox.grammar import Checker, Scope, integer
from densegym.reward_models.sandbox.inspection import Inspection
from densegym.reward_models.sandbox.rehearsal import rehearse
from densegym.reward_models.sandbox.status import Status

__all__ = ["Inspection", "inspect_source", "inspect_words"]


def inspect_source(source: object, *, known: Collection[str]) -> Inspection:
    """Check a program without running it; takes a few milliseconds.

    Its words are held against the allow-list, and its course is followed on stand-ins: see
    ``rehearsal`` for what it may branch on, loop over and size arrays by.

    Args:
        source: the program's text, with or without its comment header.
        known: the parameter names it may take: features, ``prev_`` twins, ``"terminated"``.
            ``"memory"`` is accepted beyond these where the program declares ``MEMORY``.

    Returns:
        What was found; never raises, whatever the source is.
    """
    return _inspect(source, known, follow=True)


def inspect_words(source: object, *, known: Collection[str]) -> Inspection:
    """Hold a program's words against the allow-list alone.

    What passes may still never end or ask for all memory: it is for a worker process only.
    """
    return _inspect(source, known, follow=False)


def _inspect(source: object, known: Collection[str], *, follow: bool) -> Inspection:
    if not isinstance(source, str):
        kind = type(source).__name__
        return Inspection(status=Status.PARSE_ERROR, feedback=f"a program is text; got {kind}")
    facts = _Facts()
    try:
        tree = clean(parse(source))
        code = ast.unparse(tree)
        digest = hashlib.sha256(code.encode(errors="backslashreplace")).hexdigest()
        facts = _Facts(nodes=count(tree), ast_hash=digest)
        entry = _check_module(tree, frozenset(known))
        lines = _author_lines(code, tree)
        work = rehearse(tree, entry.function) if follow else 0
    except RefusedError as refusal:
        return _failed(Status.STATIC_REJECT, str(refusal), refusal.line, facts)
    except SyntaxError as error:
        return _failed(Status.PARSE_ERROR, error.msg, error.lineno or 0, facts)
    return Inspection(
        status=Status.OK,
        kind=entry.kind,
        parameters=entry.parameters,
        memory=entry.memory,
        work=work,
        code=code,
        lines=lines,
        **facts._asdict(),
    )


class _Facts(NamedTuple):
    nodes: int = 0
    ast_hash: str = ""


class _Entry(NamedTuple):
    kind: str
    parameters: tuple[str, ...]
    memory: int
    function: ast.FunctionDef


def _failed(status: Status, message: str, line: int, facts: _Facts) -> Inspection:
    feedback = f"line {line}: {message}" if line else message
    return Inspection(status=status, feedback=one_line(feedback), **facts._asdict())


def _author_lines(code: str, tree: ast.Module) -> tuple[int, ...]:
    """Compile cleaned code and return the author's line of each of its lines.

    Raises:
        SyntaxError: what only the compiler refuses, with the author's line.
        RefusedError: the code, read again, is not the tree that was checked.
    """
    fault: SyntaxError | None = None
    try:
        again = compile_cleaned(code)
    except SyntaxError as error:
        fault, again = error, ast.parse(code)
    if ast.dump(again) != ast.dump(tree):
        raise RefusedError("what would run is not what was checked; write it more simply")
    lines = [0] * (code.count("\n") + 1)
    for cleaned, original in zip(ast.walk(again), ast.walk(tree), strict=True):
        if isinstance(cleaned, ast.stmt):
            lines[cleaned.lineno - 1] = original.lineno  # type: ignore[attr-defined]
    for i in range(1, len(lines)):
        lines[i] = lines[i] or lines[i - 1]
    if fault is not None:
        fault.lineno = lines[(fault.lineno or 1) - 1]
        raise fault
    return tuple(lines)


def _check_module(tree: ast.Module, known: frozenset[str]) -> _Entry:
    scope = Scope(taken=_top_level_names(tree))
    entries: list[ast.FunctionDef] = []
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            _check_function(statement, scope)
            entries += [statement] if statement.name in words.KINDS else []
        elif isinstance(statement, ast.Assign):
            _check_constant(statement, scope)
        else:
            advice = words.ADVICE.get(type(statement), "only constants and functions are allowed")
            raise RefusedError(f"at the top level: {advice}", statement)
    if len(entries) != 1:
        raise RefusedError(
            f"define exactly one of the functions {', '.join(words.KINDS)}; found {len(entries)}",
            entries[-1] if entries else None,
        )
    return _check_entry(entries[0], scope, known)


def _top_level_names(tree: ast.Module) -> frozenset[str]:
    names: set[str] = set()
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            found = [statement.name]
        elif isinstance(statement, ast.Assign):
            found = [target.id for target in statement.targets if isinstance(target, ast.Name)]
        else:
            continue
        repeated = names.intersection(found)
        if repeated:
            raise RefusedError(f'"{repeated.pop()}" is defined twice; keep one', statement)
        names.update(found)
    return frozenset(names)


def _check_constant(statement: ast.Assign, scope: Scope) -> None:
    target = statement.targets[0]
    if len(statement.targets) > 1 or not isinstance(target, ast.Name):
        raise RefusedError("give one name to every constant", statement)
    scope.check_binding(target.id, statement)
    if not all(type(part) in words.CONSTANT_NODES for part in ast.walk(statement.value)):
        raise RefusedError(
            f"{target.id} must be a number, or a tuple of numbers; make the rest in a function",
            statement,
        )
    Checker(scope, words.CONSTANT_NODES).check(statement.value)
    scope.constants[target.id] = integer(statement.value)


def _check_function(function: ast.FunctionDef, scope: Scope) -> None:
    scope.check_binding(function.name, function)
    arguments = function.args
    if function.decorator_list or getattr(function, "type_params", None):
        raise RefusedError("decorators and type parameters are not allowed", function)
    if arguments.vararg or arguments.kwarg or arguments.posonlyargs or arguments.kwonlyargs:
        raise RefusedError("*, ** and / are not allowed among parameters; list them", function)
    for parameter in arguments.args:
        scope.check_local(parameter.arg, parameter)
    for default in arguments.defaults:
        number = default.operand if isinstance(default, ast.UnaryOp) else default
        if not isinstance(number, ast.Constant):
            raise RefusedError("the default of a parameter must be a number", default)
        Checker(scope).check(default)
    parameters = tuple(parameter.arg for parameter in arguments.args)
    stored = {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    checker = Checker(dataclasses.replace(scope, values=frozenset(stored.union(parameters))))
    for statement in function.body:
        checker.check(statement)
    scope.functions[function.name] = parameters


def _check_entry(entry: ast.FunctionDef, scope: Scope, known: frozenset[str]) -> _Entry:
    memory = _memory(entry, scope)
    accepted = known - {"memory"} | ({"memory"} if memory else set())
    parameters = scope.functions[entry.name]
    for name, parameter in zip(parameters, entry.args.args, strict=True):
        if name not in accepted:
            raise RefusedError(_unknown_parameter(name, accepted), parameter)
    if memory and "memory" not in parameters:
        raise RefusedError("MEMORY is declared, but there is no parameter memory", entry)
    if not set(parameters) - {"memory"}:
        raise RefusedError(f"{entry.name} reads no feature; name at least one", entry)
    return _Entry(entry.name, parameters, memory, entry)


def _memory(entry: ast.FunctionDef, scope: Scope) -> int:
    if "MEMORY" not in scope.constants:
        return 0
    if entry.name != "compute_reward":
        raise RefusedError(f"{entry.name} has no memory; only compute_reward has", entry)
    memory = scope.constants["MEMORY"]
    if memory is None or not 1 <= memory <= words.MAX_MEMORY:
        raise RefusedError(f"MEMORY must be a literal integer from 1 to {words.MAX_MEMORY}")
    return memory


def _unknown_parameter(name: str, accepted: Collection[str]) -> str:
    if name == "memory":
        return "memory needs MEMORY = M at the top level, and compute_reward"
    hint = closest(name, accepted) or f" Known: {', '.join(sorted(accepted))}."
    return f'"{name}" is no feature of this task.{hint}'
