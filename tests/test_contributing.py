"""Every path, command and name that CONTRIBUTING.md speaks of exists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import typer.main

from densegym.agents.studies import registry as studies
from densegym.envs import tasks
from densegym.reward_models import registry as rewards

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CODE = re.findall(r"`([^`\n]+)`", TEXT)
PATHS = sorted({p for code in CODE for p in re.findall(r"(?<!\S)[\w.<>/-]+/[\w.<>/-]+", code)})
PLACES = [path for path in PATHS if not path.startswith((".venv/", "path/to/", "results/"))]
FILES = sorted({code for code in CODE if re.fullmatch(r"[A-Z]\w+\.md", code)})
LINKS = sorted(set(re.findall(r"\]\(([^)]+)\)", TEXT)))
COMMANDS = sorted({code for code in CODE if code.startswith("densegym ")})
NAMES = sorted({n for code in CODE for n in re.findall(r"^densegym(?:\.\w+)+", code)})
GROUPS = {studies.ENTRY_POINT_GROUP, tasks.ENTRY_POINT_GROUP, rewards.ENTRY_POINT_GROUP}
RECIPES = re.findall(r"^## Add an? (\w+)[^\n]*\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", [*PLACES, *FILES])
def test_paths_that_are_named_exist(path: str) -> None:
    assert list(ROOT.glob(re.sub(r"<\w+>", "*", path))), path


@pytest.mark.parametrize("link", LINKS)
def test_links_lead_somewhere(link: str) -> None:
    path, _, anchor = link.partition("#")
    text = (ROOT / path).read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.+)", text, re.MULTILINE)
    assert not anchor or anchor in {title.lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("command", COMMANDS)
def test_verbs_that_are_named_exist(command: str) -> None:
    from densegym.cli.main import app

    found = typer.main.get_command(app)
    for word in command.split()[1:]:
        if word.startswith("--"):
            assert any(word in parameter.opts for parameter in found.params), command
        elif hasattr(found, "commands"):
            assert word in found.commands, command
            found = found.commands[word]


def test_targets_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {code.split()[1] for code in CODE if code.startswith("make ")}
    assert {"check", "test"} <= targets
    assert all(f"\n{target}:" in makefile for target in targets)


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_named_exist(name: str) -> None:
    if name in GROUPS:
        return
    parts = name.split(".")
    found = importlib.import_module(parts[0])
    for number, part in enumerate(parts[1:], start=2):
        if not hasattr(found, part):
            importlib.import_module(".".join(parts[:number]))
        found = getattr(found, part)


def test_recipes_are_short_and_name_a_file_and_a_test() -> None:
    assert [what for what, _ in RECIPES] == ["environment", "reward", "judge", "suite", "study"]
    for what, text in RECIPES:
        steps = text.partition("\nOutside")[0].strip()
        assert len(steps.splitlines()) <= 10, what
        assert "File: `densegym/" in steps, what
        assert "Test: `tests/" in steps, what
    assert len(TEXT.splitlines()) < 120
