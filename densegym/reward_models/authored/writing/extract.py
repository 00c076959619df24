"""From a reply's text to a reward program and what is declared of its terms; never raises."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from densegym.reward_models.authored.programs.declarations import Component, parse_components
from densegym.reward_models.llm.structured import json_object

REWARDS = ("compute_reward", "potential")
_ENTRIES = (*REWARDS, "factors", "dense", "sparse")
_THOUGHT = re.compile(r"<(think|thinking|reasoning|thought)>.*?</\1>", re.DOTALL)
_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n`]*\n(.*?)^[ \t]*\1[ \t]*$", re.MULTILINE | re.DOTALL)


class Extract(NamedTuple):
    """What a reply holds.

    Attributes:
        code: the program with all its helpers, or None.
        components: what is declared of its terms, or None.
        reason: why there is no code, for whoever wrote the reply; else "".
    """

    code: str | None
    components: tuple[Component, ...] | None
    reason: str = ""


def read(text: str) -> Extract:
    """Return the reward program of a reply: its JSON's ``code``, a fenced block, or all of it."""
    text = spoken(text)
    data = json_object(text) or {}
    components = parse_components(data.get("components"))
    stated = data.get("code")
    written = [*_sources(stated)] if isinstance(stated, str) else []
    around = [*_sources(text)]
    found = _last(stated, REWARDS) if isinstance(stated, str) else None
    found = found or _largest(written, REWARDS)
    found = found or _last(text, REWARDS) or _largest(around, REWARDS)
    if found is not None:
        return Extract(found, components)
    return Extract(None, components, _reason(text, [*written, *around]))


def code(text: str) -> str | None:
    """Return the program of any kind in a text, or None.

    The last fenced block that parses and defines an entry function with a body, together with the
    helpers that other blocks define for it; else the largest that defines any function, else the
    whole text if it does.
    """
    answer = spoken(text)
    return _last(answer, _ENTRIES) or _largest([*_sources(answer)], None)


def spoken(text: str) -> str:
    """Return a reply without a byte-order mark and without the reasoning before the answer."""
    text = _THOUGHT.sub("", text.removeprefix("\ufeff"))
    _, closed, answer = text.rpartition("</think>")  # some servers leave out where it opens
    return (answer if closed else text).strip()


def _sources(text: str) -> Iterator[str]:
    """Yield the fenced blocks of a text, then the text itself."""
    for match in _FENCE.finditer(text):
        yield textwrap.dedent(match.group(2)).strip()
    yield text.strip()


def _last(text: str, entries: Collection[str]) -> str | None:
    """Return the last program among a text's blocks, with the helpers it takes from the others.

    Without one it is the whole text, if that is a program.
    """
    *blocks, whole = _sources(text)
    programs = [block for block in blocks if _complete(block, entries)]
    if not programs:
        return whole if _complete(whole, entries) else None
    return _with_helpers(
        programs[-1], [block for block in blocks if not _complete(block, _ENTRIES)]
    )


def _complete(source: str, entries: Collection[str]) -> bool:
    """Return whether a source defines an entry whose body does something."""
    tree = _parsed(source)
    return isinstance(tree, ast.Module) and any(
        isinstance(node, ast.FunctionDef)
        and node.name in entries
        and any(isinstance(part, ast.Return) for part in ast.walk(node))
        for node in tree.body
    )


def _with_helpers(program: str, others: Sequence[str]) -> str:
    """Put before a program the blocks that define names it uses and does not define."""
    left = [(item, tree) for item in others if isinstance(tree := _parsed(item), ast.Module)]
    taken = list[int]()
    tree = _parsed(program)
    assert isinstance(tree, ast.Module)
    missing = _used(tree) - _bound(tree)
    while True:
        found = [
            i
            for i, (_, other) in enumerate(left)
            if i not in taken and missing & _bound(other, top=True)
        ]
        if not found:
            break
        taken.append(found[-1])  # the last word on a name counts
        other = left[found[-1]][1]
        missing = (missing | (_used(other) - _bound(other))) - _bound(other, top=True)
    return "\n\n\n".join([*(left[i][0] for i in sorted(taken)), program])


def _used(tree: ast.Module) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _bound(tree: ast.Module, *, top: bool = False) -> set[str]:
    """Return the names that a source binds, or those that it binds at its top level."""
    nodes = tree.body if top else [*ast.walk(tree)]
    names = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    for node in nodes:
        for inner in ast.walk(node) if isinstance(node, ast.Assign) else [node]:
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                names.add(inner.id)
            elif isinstance(inner, ast.arg) and not top:
                names.add(inner.arg)
    return names


def _largest(sources: Collection[str], entries: Collection[str] | None) -> str | None:
    """Return the largest source that defines one of the entries, or any function for None."""
    fitting = []
    for source in sources:
        defined = _functions(source)
        if defined if entries is None else defined & {*entries}:
            fitting.append(source)
    return max(fitting, key=len, default=None)


def _functions(source: str) -> set[str]:
    tree = _parsed(source)
    if not isinstance(tree, ast.Module):
        return set()
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def _parsed(source: str) -> ast.Module | str:
    """Return the syntax tree, or what is wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of invalid escapes, in code that is not ours
            tree = ast.parse(source)
            ast.unparse(tree)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError):
        return "it is nested too deeply, or holds characters that no program has"
    return tree


def _reason(text: str, sources: Collection[str]) -> str:
    if not text.strip():
        return "the reply is empty"
    likely = [item for item in sources if any(f"def {name}" in item for name in REWARDS)]
    if not likely:
        wanted = " or ".join(REWARDS)
        return f"there is no Python function named {wanted} in the reply"
    problem = _parsed(min(likely, key=len))
    if isinstance(problem, str):
        return f"the code does not parse: {problem}"
    return f"no {' or '.join(REWARDS)} stands at the top level of the code"
