"""Every verb has an example that parses, one-sentence errors, and a row in docs/cli.md."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from typer.testing import CliRunner

from densegym.cli.main import app
from densegym.cli.tasks import take_worlds

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
WITHOUT_RESULTS = {
    "constraints": "prints text",
    "task draft": "prints TOML",
    "market film": "writes files",
    "shop build": "writes a store",
    "shop play": "is played",
    "shop serve": "serves",
    "author run": "writes a folder",
    "author export": "writes a file",
    "captions harvest": "writes a file",
    "captions label": "writes a file",
    "captions merge": "writes a file",
    "demos collect": "writes data sets",
    "demos import": "writes data sets",
}
ALWAYS_JSON = {"eval", "author check", "market parity", "shop parity", "captions judge"}
COMMAND = typer.main.get_command(app)


def verbs(command: Any = COMMAND, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield every verb with its words."""
    if hasattr(command, "commands"):
        for name, inner in sorted(command.commands.items()):
            yield from verbs(inner, (*path, name))
    else:
        yield " ".join(path), command


VERBS = dict(verbs())


def examples(command: Any) -> list[list[str]]:
    text = re.sub(r"\\\n\s+", " ", command.callback.__doc__ or "")
    lines = re.findall(r"^\s+(densegym .*)$", text, flags=re.MULTILINE)
    return [shlex.split(line.split(" > ")[0], comments=True)[1:] for line in lines]


def options(command: Any) -> list[Any]:
    return [item for item in command.params if item.param_type_name == "option"]


def typed(item: Any) -> str | None:
    """Return a value of the wrong type for an option, or None where every text is right."""
    kind = item.type_descriptor.annotation
    return "no-number" if {int, float} & {kind, *get_args(kind)} else None


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_an_example_that_parses(name: str) -> None:
    command = VERBS[name]
    found = examples(command)
    assert found, f"densegym {name} has no example in its help"
    for words in found:
        shown = next(verb for verb in VERBS if words[: len(verb.split())] == verb.split())
        rest = [word for word in words if word not in ("--import", "--card", "--quiet")]
        if rest == words:
            VERBS[shown].make_context(shown, words[len(shown.split()) :])


@pytest.mark.parametrize("name", VERBS)
def test_options_of_a_wrong_type_are_refused_with_exit_code_2(name: str) -> None:
    command = VERBS[name]
    for item in options(command):
        wrong = typed(item)
        if wrong is None:
            continue
        needed = [
            "x" for one in command.params if one.param_type_name == "argument" and one.required
        ]
        told = CliRunner().invoke(app, [*name.split(), *needed, item.opts[0], wrong])
        assert told.exit_code == 2, (item.opts, told.output)
        assert "Traceback" not in told.output


@pytest.mark.parametrize("name", VERBS)
def test_an_unknown_option_is_exit_code_2(name: str) -> None:
    assert CliRunner().invoke(app, [*name.split(), "--no-such-option"]).exit_code == 2


def tells_json(name: str) -> str:
    if name in ALWAYS_JSON:
        return "always"
    if any("--json" in item.opts for item in options(VERBS[name])):
        return "`--json`"
    return f"no: {WITHOUT_RESULTS[name]}"


def table() -> str:
    rows = ["| verb | does | JSON | typed values checked |", "| --- | --- | --- | --- |"]
    for name, command in VERBS.items():
        first = (command.callback.__doc__ or "").strip().splitlines()[0].replace("|", "\\|")
        checked = [f"`{item.opts[0]}`" for item in options(command) if typed(item)]
        row = (f"`densegym {name}`", first, tells_json(name), ", ".join(checked) or "-")
        rows.append("| " + " | ".join(row) + " |")
    return "\n".join(rows)


def test_the_page_of_verbs_is_the_real_one() -> None:
    _, _, shown = PAGE.read_text(encoding="utf-8").partition("## Every verb\n\n")
    assert shown.strip() == table(), f"write this behind the heading:\n{table()}"


def test_worlds_are_told_apart_from_what_a_verb_takes(tmp_path: Path) -> None:
    assert take_worlds(["train", "A-v0", "--", "--import", "x"]) == [
        *("train", "A-v0", "--", "--import", "x")
    ]


def test_the_version_is_told() -> None:
    told = CliRunner().invoke(app, ["--version"])
    assert told.exit_code == 0
    assert re.fullmatch(r"densegym \d+\.\d+\.\d+\n", told.output)
