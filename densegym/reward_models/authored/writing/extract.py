"""From a reply's text to a reward program and what is declared of its terms; never raises."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Collection, Iterator
from typing import NamedTuple

from densegym.reward_models.authored.programs.declarations import Component, parse_components
from densegym.reward_models.llm.structured import json_object

REWARDS = ("compute_reward", "potential")
_ENTRIES = (*REWARDS, "factors", "dense", "sparse")
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
    data = json_object(text) or {}
    components = parse_components(data.get("components"))
    stated = data.get("code")
    written = [*_sources(stated)] if isinstance(stated, str) else []
    around = [*_sources(text)]
    found = _largest(written, REWARDS) or _largest(around, REWARDS)
    if found is not None:
        return Extract(found, components)
    return Extract(None, components, _reason(text, [*written, *around]))


def code(text: str) -> str | None:
    """Return the program of any kind in a text, or None.

    The largest fenced block that parses and defines an entry function, else the largest that
    defines any function, else the whole text if it does.
    """
    sources = [*_sources(text)]
    return _largest(sources, _ENTRIES) or _largest(sources, None)


def _sources(text: str) -> Iterator[str]:
    """Yield the fenced blocks of a text, then the text itself."""
    for match in _FENCE.finditer(text):
        yield textwrap.dedent(match.group(2)).strip()
    yield text.strip()


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
