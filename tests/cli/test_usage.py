"""Wrong use of every verb: one sentence on stderr, nothing on stdout, exit code 2."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest

from densegym.cli import main as command_line
from tests.cli.test_verbs import VERBS, options, typed


@pytest.fixture
def refuses(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that types words, which must be refused, and returns the sentence."""

    def told(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["densegym", *words])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        seen = capsys.readouterr()
        assert ended.value.code == 2, seen
        assert seen.out == ""
        assert re.fullmatch(r"error: [^\n]+\n", seen.err), seen.err
        return seen.err.removeprefix("error: ").rstrip("\n")

    return told


@pytest.mark.parametrize("name", VERBS)
def test_every_number_is_checked_before_anything_else(name: str, refuses: Any) -> None:
    for item in options(VERBS[name]):
        if typed(item) is None:
            continue
        option = item.opts[0]
        for wrong in ("abc", "-1", "nan"):
            said = refuses(*name.split(), f"{option}={wrong}")
            assert re.fullmatch(
                rf"{option} takes a (whole )?number (of at least \d+|from [\d.]+ to [\d.]+); "
                rf'given "{wrong}"',
                said,
            ), said


@pytest.mark.parametrize("name", VERBS)
def test_what_is_missing_is_named_with_an_example(name: str, refuses: Any) -> None:
    required = [item for item in VERBS[name].params if item.required]
    if required:
        said = refuses(*name.split())
        first = required[0]
        shown = first.opts[0] if first.opts[0].startswith("--") else first.name.upper()
        assert said.startswith(f"densegym {name} needs {shown}; type for example: densegym ")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("trian", "No such command 'trian'. Did you mean 'train'? Type: densegym --help"),
        ("shop evla", "Did you mean 'eval'? Type: densegym shop --help"),
        ("train A --rewrad x", 'takes no --rewrad. Did you mean "--reward"? Type: densegym train'),
        ("train A B", "(B). Type: densegym train --help"),
        ("train A --seed 4294967296", 'from 0 to 4294967295; given "4294967296"'),
        ("captions stress F --failure 1", 'from 0 to 0.9; given "1"'),
        ("shop serve --port 70000", 'from 1 to 65535; given "70000"'),
        ("bench demo --seeds 0-99999999", "at most 10,000 in a range"),
        ("bench demo --seeds 4294967296", "seeds up to 4294967295"),
    ],
)
def test_what_was_typed_wrongly_is_told(words: str, says: str, refuses: Any) -> None:
    assert says in refuses(*words.split())
