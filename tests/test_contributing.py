"""Every file, command and name that CONTRIBUTING.md speaks of exists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import typer.main

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PATHS = sorted(set(re.findall(r"`((?:densegym|tests|docs)/[^`\s]+)`", TEXT)))
LINKS = sorted(set(re.findall(r"\]\(([^)#]+)", TEXT)))


@pytest.mark.parametrize("path", PATHS)
def test_files_that_are_named_exist(path: str) -> None:
    stem = path.partition("<")[0].rstrip("/") if "<" in path else path
    assert (ROOT / stem).exists()
    if path.endswith(("/cards.py", "/catalogue.py")) and "<family>" in path:
        assert list((ROOT / stem).glob(f"*/{Path(path).name}"))


@pytest.mark.parametrize("link", LINKS)
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_commands_that_are_named_exist() -> None:
    from densegym.cli.main import app

    verbs = set(typer.main.get_command(app).commands)
    assert set(re.findall(r"`densegym (\w+)", TEXT)) <= verbs
    targets = set(re.findall(r"`make (\w+)`", TEXT))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(f"\n{target}:" in makefile for target in targets)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(densegym(?:\.\w+)+)", TEXT))))
def test_names_that_are_named_exist(name: str) -> None:
    module, attribute = name, ""
    if name in ("densegym.worlds", "densegym.studies", "densegym.reward_models"):
        return  # entry-point groups
    while module:
        try:
            found = importlib.import_module(module)
            break
        except ImportError:
            module, _, last = module.rpartition(".")
            attribute = f"{last}.{attribute}".rstrip(".")
    for part in filter(None, attribute.split(".")):
        found = getattr(found, part)
