"""Reads the texts that released models were trained on from a user's copy of their repository.

Nothing is imported or run: Python files are parsed, and the texts found by the names that the
repositories give them. What is read is asked with as it stands, its pictures in its order.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from densegym.errors import RewardError

REPOSITORIES = {
    "vlac": "InternRobotics/VLAC",
    "grm": "FlagOpen/Robo-Dopamine",
    "robometer": "robometer/robometer",
    "rynnvalue": "alibaba-damo-academy/RynnValue",
    "roboreward": "robometer/robometer",
}
"""Where each text can be had, at GitHub; RoboReward's is the one its evaluation there uses."""
_PLACE = re.compile(r"<image>|\{\{|\}\}|\{\w*\}")
_GRM = (
    "reference start",
    "reference end",
    *(f"{moment} {view}" for moment in ("before", "after") for view in ("front", "left", "right")),
)


def vlac(folder: Path) -> dict[str, str]:
    """Return VLAC's texts.

    A done prompt without a place for its picture has it in front, as the trainer put it.

    Raises:
        RewardError: the folder is no copy of the repository.
    """
    model = _Python.find(folder, "model_utils.py", "vlac")
    texts = _Python.find(folder, "data_processing_vlm.py", "vlac")

    def text(key: str) -> str:
        return model.item(key) or texts.needed(texts.item(key), key)

    def told(key: str, *pictures: str) -> str:
        return _placed(text(key), pictures, texts.path)

    done, system = text("task_done"), model.assigned("system_prompt")
    shown = done if "<image>" in done else "<image>" + done
    return {
        "system": texts.needed(system or texts.assigned("system_prompt"), "system_prompt"),
        "critic": told("v3", "before", "after"),
        "critic after a reference": "[[reference]]" + told("v3_think", "start", "before", "after"),
        "think": text("think"),
        "done": _placed(shown, ("image",), texts.path),
        "done with a goal": told("context_task_done", "goal", "image"),
    }


def grm(folder: Path) -> dict[str, str]:
    """Return GRM's text with its eight pictures.

    Raises:
        RewardError: the folder is no copy of the repository.
    """
    file = _Python.find(folder, "inference.py", "grm", holds="SYSTEM_PROMPT")
    text = file.needed(file.assigned("SYSTEM_PROMPT"), "SYSTEM_PROMPT")
    return {"compare": _placed(text, _GRM, file.path)}


def robometer(folder: Path) -> dict[str, str]:
    """Return Robometer's text, which stands before the pictures.

    Raises:
        RewardError: the folder is no copy of the repository.
    """
    file = _Python.find(folder, "rbm_heads.py", "robometer")
    within = file.function("_process_progress_batch")
    return {"head": file.needed(_assigned(within, "prompt", places=("task",)), "prompt")}


def rynnvalue(folder: Path) -> dict[str, str]:
    """Return RynnValue's texts, before and after the pictures.

    The checkpoint's folder has them too.

    Raises:
        RewardError: the folder is no copy of the repository.
    """
    file = _Python.find(folder, "conversations.py", "rynnvalue")

    def first(function: str, place: str, index: int = 0) -> str:
        made = [_formatted(node, (place,)) for node in _strings(file.function(function))]
        held = [one for one in made if f"[[{place}]]" in one]
        return file.needed(held[index] if len(held) > index else None, function)

    relative = file.needed(
        file.assigned("RELATIVE_DISTANCE_QUESTION"), "RELATIVE_DISTANCE_QUESTION"
    )
    remaining = file.needed(file.assigned("PROGRESS_QUESTION"), "PROGRESS_QUESTION")
    asked = [_formatted(node, ("question",)) for node in _strings(file.function("build_progress"))]
    question = next((one for one in asked if "[[question]]" in one), "[[question]]")
    every = [_formatted(node, ()) for node in _strings(file.function("_build_analysis_prompt"))]
    lines = [one for one in every if one.strip()]
    answers = [_formatted(node, ("answer",)) for node in _strings(file.function("_analysis_block"))]
    held = [one.replace("[[answer]]", "").rstrip(" ") for one in answers if "[[answer]]" in one]
    opening = next((one for one in answers if "[[answer]]" not in one and " " in one), "")
    if len(lines) < 3 or len(held) < 2:
        raise file.strange("_build_analysis_prompt")
    match = "\n".join(lines) + opening + held[-2]
    return {
        "head": first("_instruction_block", "task")
        + question.replace("[[question]]", relative)
        + question.replace("[[question]]", remaining),
        "robot": first("_meta_block", "robot"),
        "camera": first("_meta_block", "camera", 1),
        "match": match,
        "success": f"{match} Yes\n{held[-1]}",
    }


def roboreward(folder: Path) -> dict[str, str]:
    """Return the text that asks RoboReward for a grade, which stands behind the pictures.

    Raises:
        RewardError: the folder is no copy of the repository.
    """
    file = _Python.find(folder, "roboreward.py", "roboreward", holds="_build_prompt")
    within = file.function("_build_prompt")
    text = file.needed(_assigned(within, "prompt", places=("task",)), "prompt")
    placed = _placed(text, (), file.path)
    return {"score": "[[frames]]" + (placed if "[[task]]" in placed else f"{placed}[[task]]")}


class _Python:
    """One parsed file of a released repository."""

    def __init__(self, path: Path, judge: str) -> None:
        self.path, self._judge = path, judge
        try:
            self._tree = ast.parse(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, SyntaxError) as error:
            raise RewardError(f"{path} cannot be read as Python: {error}") from error

    @classmethod
    def find(cls, folder: Path, name: str, judge: str, *, holds: str = "") -> _Python:
        """Return the file of a name, the one nearest to the top that holds a word.

        Raises:
            RewardError: there is none; says what to type.
        """
        paths = sorted(folder.rglob(name), key=lambda path: (len(path.parts), str(path)))
        for path in paths:
            if not holds or holds in path.read_text(encoding="utf-8", errors="replace"):
                return cls(path, judge)
        raise RewardError(f"{folder} holds no {name}. {_get(judge)}")

    def strange(self, what: str) -> RewardError:
        """Return the error of a file that lacks a text."""
        return RewardError(
            f"{self.path} has no {what} as the released repository has. {_get(self._judge)} If it "
            "has changed, write its text into a file and give prompt_file."
        )

    def needed(self, text: str | None, what: str) -> str:
        """Return a text that must be there.

        Raises:
            RewardError: it is not.
        """
        if text is None:
            raise self.strange(what)
        return text

    def function(self, name: str) -> ast.AST:
        """Return the first function of a name that holds a text.

        Raises:
            RewardError: there is none.
        """
        for node in ast.walk(self._tree):
            if isinstance(node, ast.FunctionDef) and node.name == name and any(_strings(node)):
                return node
        raise self.strange(name)

    def assigned(self, name: str) -> str | None:
        """Return the first text assigned to a name or an attribute of it."""
        return _assigned(self._tree, name)

    def item(self, key: str) -> str | None:
        """Return the text assigned to a key, or written beside it in a dict."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
                if _text(node.targets[0].slice) == key and _text(node.value) is not None:
                    return _text(node.value)
            elif isinstance(node, ast.Dict):
                for name, value in zip(node.keys, node.values, strict=True):
                    if name is not None and _text(name) == key and _text(value) is not None:
                        return _text(value)
        return None


def _assigned(tree: ast.AST, name: str, places: Sequence[str] = ()) -> str | None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = {getattr(one, "id", getattr(one, "attr", None)) for one in targets}
            value = _unformatted(node.value)
            if name in named and _is_text(value):
                return _formatted(value, places)
    return None


def _unformatted(node: ast.expr) -> ast.expr:
    """Return the text that is formatted in place, as in ``"...".format(task=task)``."""
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    if called and node.func.attr == "format":  # type: ignore[attr-defined]
        return node.func.value  # type: ignore[attr-defined,no-any-return]
    return node


def _strings(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield the texts of a function in the order of its lines, without its docstring."""
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in ast.walk(node)
        if part is not node
    }
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and isinstance(node.body[0], ast.Expr)
    }
    keys = {
        id(key)
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if key is not None
    }
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.expr) and _is_text(node) and id(node) not in inside | docs | keys
    ]
    yield from sorted(found, key=lambda node: (node.lineno, node.col_offset))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or _text(node) is not None


def _text(node: ast.AST) -> str | None:
    given = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return str(node.value) if given else None  # type: ignore[attr-defined]


def _formatted(node: ast.expr, places: Sequence[str]) -> str:
    """Return a text; what a formatted one puts in stands as the places, in their order."""
    if not isinstance(node, ast.JoinedStr):
        return _text(node) or ""
    left = list(places)
    told = ""
    for part in node.values:
        if isinstance(part, ast.Constant):
            told += str(part.value)
        else:
            told += f"[[{left.pop(0) if len(left) > 1 else left[0]}]]" if left else ""
    return told


def _placed(text: str, pictures: Sequence[str], path: Path) -> str:
    """Return a text for ``str.format`` with places: its field is the task, its pictures in order.

    Raises:
        RewardError: it holds more or fewer pictures.
    """
    left = list(pictures)

    def place(found: re.Match[str]) -> str:
        if found[0] in ("{{", "}}"):
            return found[0][0]
        if found[0] != "<image>":
            return "[[task]]"
        return f"[[{left.pop(0)}]]" if left else found[0]

    placed = _PLACE.sub(place, text)
    if left or "<image>" in placed:
        raise RewardError(
            f"a text of {path} has {text.count('<image>')} pictures; expected {len(pictures)}. "
            "Write it into a file with its places and give prompt_file."
        )
    return placed


def _get(judge: str) -> str:
    return (
        f"Type: git clone https://github.com/{REPOSITORIES[judge]}, and give its folder: release."
    )


READERS: dict[str, Callable[[Path], dict[str, str]]] = {
    "vlac": vlac,
    "grm": grm,
    "robometer": robometer,
    "rynnvalue": rynnvalue,
    "roboreward": roboreward,
}
