"""What ships: links for people, one name per module, no torch on import, pinned versions."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PINS = ROOT / "densegym" / "assets" / "constraints.txt"
LINKS = ("envs", "reward_models", "agents", "assets")


def python(code: str, **kwargs) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, **kwargs
    )
    return done.stdout.strip()


@pytest.mark.parametrize("name", LINKS)
def test_links_for_people_resolve(name: str) -> None:
    link = ROOT / name
    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    assert link.resolve() == (ROOT / "densegym" / name).resolve()


def test_no_module_is_importable_twice(tmp_path: Path) -> None:
    code = f"import importlib.util as u; print([n for n in {LINKS!r} if u.find_spec(n)])"
    assert python(code, cwd=tmp_path) == "[]"


def test_importing_is_quick_and_loads_nothing_heavy(tmp_path: Path) -> None:
    heavy = ("torch", "stable_baselines3", "transformers", "ray", "openai", "metaworld", "nle")
    code = (
        "import time; t = time.perf_counter(); import densegym, sys; "
        f"print(time.perf_counter() - t, [m for m in {heavy!r} if m in sys.modules])"
    )
    seconds, loaded = python(code, cwd=tmp_path).split(" ", 1)
    assert loaded == "[]"
    assert float(seconds) < 1.5


def test_the_wheel_holds_code_and_assets_and_nothing_else(tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--wheel-dir",
            str(tmp_path),
            str(ROOT),
        ],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    packed = {name for name in names if name.startswith("densegym/")}
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "densegym"], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    assert {name for name in tracked if name} <= packed
    strangers = [n for n in names if not n.startswith("densegym/") and ".dist-info/" not in n]
    assert strangers == []


def test_constraints_pin_what_the_project_depends_on() -> None:
    pins = dict(
        line.split("==") for line in PINS.read_text(encoding="utf-8").splitlines() if "==" in line
    )
    pins = {name.lower().replace("_", "-"): version for name, version in pins.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [
        *project["dependencies"],
        *(d for name in extras if name != "all" for d in extras[name]),
    ]
    for requirement in wanted:
        name = re.split(r"[\[<>=]", requirement)[0].strip().lower()
        assert name in pins, name
    assert pins["torch"] == "2.13.0"


def test_versions_agree() -> None:
    import densegym

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert densegym.__version__ == project["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {densegym.__version__}" in changelog
