"""Feature names that say nothing, for the contamination control, and the way back in the code.

A language model may know a benchmark's rewards by heart. Told of ``f03`` with a shape and a unit
instead of ``hand_position`` it has to reason from numbers. The programs that enter the ledger
carry the real names again, so they are checked and trained like any other.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from densegym.reward_models.features import feature_names
from densegym.reward_models.types import TaskCard


def aliases(card: TaskCard) -> dict[str, str]:
    """Return the real name of every alias: ``f00``, ``prev_f00``, ``f01``, ... in table order."""
    names, found = set(feature_names(card)), dict[str, str]()
    for index, feature in enumerate(card.features):
        found[f"f{index:02d}"] = feature.name
        if f"prev_{feature.name}" in names:
            found[f"prev_f{index:02d}"] = f"prev_{feature.name}"
    return found


def inverse(names: Mapping[str, str]) -> dict[str, str]:
    """Return the mapping the other way round."""
    return {new: old for old, new in names.items()}


def rename(code: str, names: Mapping[str, str]) -> str:
    """Return the code with its variables renamed, and without comments.

    A variable that already has one of the new names gets out of the way under a third one.
    Strings, attributes and keywords of methods stay as they are.

    Args:
        code: a program that parses.
        names: new names by old ones.
    """
    tree = ast.parse(code)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    taken = used | {*names.values(), *names}
    moves = dict(names)
    for name in sorted(used & set(names.values()) - set(names)):
        moves[name] = free = _free(name, taken)
        taken.add(free)
    return ast.unparse(_Renamer(moves).visit(tree))


def rename_text(text: str, names: Mapping[str, str]) -> str:
    """Return prose with whole words renamed."""
    if not names:
        return text
    words = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    return re.sub(rf"\b(?:{words})\b", lambda match: names[match.group()], text)


class _Renamer(ast.NodeTransformer):
    def __init__(self, moves: Mapping[str, str]) -> None:
        self._moves = moves

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._moves.get(node.id, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg = self._moves.get(node.arg, node.arg)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name):  # a helper, whose parameters are renamed as well
            for keyword in node.keywords:
                if keyword.arg is not None:
                    keyword.arg = self._moves.get(keyword.arg, keyword.arg)
        return self.generic_visit(node)


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
