"""Two designed functions, ``dense`` and ``sparse``, composed into a reward of which signs count."""

from __future__ import annotations

import ast

from densegym.reward_models.authored.programs.printing import literal
from densegym.reward_models.authored.programs.sign import DENSE_SCALE, SPARSE_SCALE, TERMS
from densegym.reward_models.authored.writing.dialogue import FaultyAnswerError

_COMPOSED = "\n\n\ndef compute_reward("
_ENTRIES = ("compute_reward", "potential", "factors")


def compose(source: str) -> str:
    """Return a reward program that pays 0.1 · sgn(dense) + 1.0 · sgn(sparse).

    Memory is handed on where the source declares ``MEMORY``: ``dense`` gets what the step before
    left, ``sparse`` what ``dense`` left.

    Args:
        source: defines ``dense(feature, ...)`` and ``sparse(feature, ...)``, each returning a
            value (N,), or with a parameter ``memory`` also ``(value, new_memory)``.

    Raises:
        FaultyAnswerError: it does not parse, or does not have this form.
    """
    tree = _parsed(source)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    missing = [name for name in TERMS if name not in functions]
    if missing:
        raise FaultyAnswerError(f"the code must define {' and '.join(missing)}")
    foreign = [name for name in _ENTRIES if name in functions]
    if foreign:
        raise FaultyAnswerError(
            f"the code must not define {', '.join(foreign)}: dense and sparse are put together "
            "for you"
        )
    remembers = _declares_memory(tree)
    parameters: dict[str, None] = {}
    lines = []
    for name in TERMS:
        taken, returns_memory = _form(functions[name], remembers=remembers)
        parameters |= dict.fromkeys(item for item in taken if item != "memory")
        target = f"{name}_value, memory" if returns_memory else f"{name}_value"
        lines.append(f"    {target} = {name}({', '.join(taken)})")
    taken_all = [*parameters, "memory"] if remembers else list(parameters)
    # Adding 0.0 turns truth values into numbers, whose sign NumPy knows.
    lines += [
        f"    dense_sign = {literal(DENSE_SCALE)} * np.sign(dense_value + 0.0)",
        f"    sparse_sign = {literal(SPARSE_SCALE)} * np.sign(sparse_value + 0.0)",
        "    return dense_sign + sparse_sign, {",
        '        "dense": dense_sign,',
        '        "sparse": sparse_sign,',
        f"    }}{', memory' if remembers else ''}",
    ]
    body = "\n".join(lines)
    return f"{source.strip()}{_COMPOSED}{', '.join(taken_all)}):\n{body}\n"


def designed(program: str) -> str:
    """Return what was designed of a composed program."""
    return program.partition(_COMPOSED)[0]


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise FaultyAnswerError(f"line {error.lineno}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise FaultyAnswerError("the code does not parse; write plain Python") from error


def _declares_memory(tree: ast.Module) -> bool:
    return any(
        isinstance(target, ast.Name) and target.id == "MEMORY"
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
    )


def _form(function: ast.FunctionDef, *, remembers: bool) -> tuple[list[str], bool]:
    """Return the parameters without defaults, and whether the function returns memory."""
    arguments = function.args
    given = [item.arg for item in (*arguments.posonlyargs, *arguments.args)]
    taken = given[: len(given) - len(arguments.defaults)]
    if "memory" in taken and not remembers:
        raise FaultyAnswerError(
            f"{function.name} takes memory, but the code does not set MEMORY = M, the number of "
            "values to remember"
        )
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    pairs = [isinstance(value, ast.Tuple) for value in returned]
    if any(pairs) and not all(pairs):
        raise FaultyAnswerError(f"every return of {function.name} must have the same form")
    if any(pairs) and "memory" not in taken:
        raise FaultyAnswerError(
            f"{function.name} must return one value; (value, new_memory) only with a parameter "
            "memory"
        )
    return taken, bool(pairs) and all(pairs)
