"""The wheel in fresh environments: what a user types, and one step of one world of each family.

Each cell downloads what it installs. `make test-install` runs them all, one after another.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PINS = ROOT / "densegym" / "assets" / "constraints.txt"
STEP = Path(__file__).with_name("one_step.py")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
OTHERS = [minor for minor in ("3.11", "3.12", "3.13") if minor != OWN]
USUAL = ("robot", "agents", "vision")
REST = ("nethack", "shop", "multi", "llm", "ray", "tracking", "hub")
TORCHLESS = ("robot", "nethack", "shop", "multi", "demos")
(ALL,) = (tuple(sorted(Requirement(r).extras)) for r in PROJECT["optional-dependencies"]["all"])
# What each family of worlds comes with, and training.
FAMILIES = {
    **dict.fromkeys(("metaworld", "fetch", "maze", "adroit", "locomotion"), "robot"),
    **dict.fromkeys(("nethack", "minihack"), "nethack"),
    **dict.fromkeys(("probes", "market"), ""),
    "shop": "shop",
    "train": "agents",
}
BESIDES = {"dm-control": ("locomotion",)}  # families that an extra's packages are enough for
MINUTES = 20  # of one cell, downloads included
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Cell:
    """One way to install: extras one after another, with which versions, under which Python."""

    python: str
    orders: tuple[tuple[str, ...], ...]
    versions: str = "free"

    def __str__(self) -> str:
        named = {(): "base", USUAL: "usual", ALL: "all", TORCHLESS: "torchless", REST: "rest"}
        then = "-then-".join(named.get(extras, "+".join(extras)) for extras in self.orders)
        return f"{self.python}-{then}-{self.versions}"


CELLS = [
    *(Cell(OWN, ((),), versions) for versions in ("free", "pinned", "lowest")),
    *(Cell(OWN, ((), USUAL), versions) for versions in ("free", "pinned", "lowest")),
    Cell(OWN, ((), REST), "lowest"),
    *(Cell(OWN, (ALL,), versions) for versions in ("free", "pinned")),
    *(Cell(OWN, ((), (extra,))) for extra in ("dm-control", "video", "lerobot")),
    *(
        Cell(minor, orders, versions)
        for minor in OTHERS
        for orders in (((),), ((), TORCHLESS), ((), USUAL))
        for versions in ("free", "pinned")
    ),
]


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        timeout=60 * MINUTES,
    )
    told = [line for line in (done.stdout + done.stderr).splitlines() if "WARNING" not in line]
    assert done.returncode == 0, "\n".join(told[-60:])
    return done


def interpreter(minor: str) -> Path | None:
    """Return a Python of that version which can make environments, or None."""
    if minor == OWN:
        return Path(sys.executable)
    found = [shutil.which(f"python{minor}")]
    found += map(str, Path.home().glob(f".pyenv/versions/{minor}.*/bin/python{minor}"))
    for path in filter(None, found):
        tried = subprocess.run([path, "-c", "import ensurepip"], capture_output=True, check=False)
        if tried.returncode == 0:
            return Path(path)
    return None


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    code = f"from setuptools import build_meta; build_meta.build_sdist({str(folder)!r})"
    run(sys.executable, "-c", code, cwd=ROOT)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    run(*pip, "--wheel-dir", folder, *folder.glob("*.tar.gz"), cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Path]:
    """Yield an empty folder; what was installed there is removed at once, because it is large."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def lowest(wanted: Collection[str]) -> str:
    """Return the lower ends of the ranges of the base and some extras, as constraints."""
    extras = PROJECT["optional-dependencies"]
    listed = [*PROJECT["dependencies"], *(r for e in wanted for r in extras[e])]
    lines = []
    for requirement in map(Requirement, listed):
        (least,) = (s.version for s in requirement.specifier if s.operator == ">=")
        lines.append(f"{requirement.name}=={least}.*")  # its last repair, or there is no wheel
    return "\n".join(lines)


def comes_with_cuda(python: Path, folder: Path) -> bool:
    """Return whether torch would bring gigabytes of another build along."""
    (torch,) = (r for r in PROJECT["optional-dependencies"]["agents"] if r.startswith("torch"))
    dry = ("-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-")
    found = json.loads(run(python, *dry, torch, cwd=folder).stdout)["install"]
    return any("nvidia" in row["metadata"]["name"].lower() for row in found)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_fresh_environment_works(cell: Cell, wheel: Path, empty: Path) -> None:
    found = interpreter(cell.python)
    if found is None:
        pytest.skip(f"no Python {cell.python} here")
    run(found, "-m", "venv", "venv", cwd=empty)
    python, densegym = empty / "venv/bin/python", empty / "venv/bin/densegym"
    wanted = {extra for extras in cell.orders for extra in extras}
    if cell.python != OWN and "agents" in wanted and comes_with_cuda(python, empty):
        pytest.skip(f"torch for Python {cell.python} comes with gigabytes of CUDA here")
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    pins: tuple[object, ...] = ()
    if cell.versions == "lowest":
        (empty / "lowest.txt").write_text(lowest(wanted), encoding="utf-8")
        pins = ("-c", "lowest.txt")
    for position, extras in enumerate(cell.orders):
        told = f"[{','.join(extras)}]" if extras else ""
        # A second install is what the errors of the first say to type.
        what = f"densegym{told}" if position else f"densegym{told} @ {wheel.as_uri()}"
        if cell.versions == "pinned":
            if position:
                printed = run(densegym, "constraints", cwd=empty).stdout
                (empty / "constraints.txt").write_text(printed, encoding="utf-8")
            pins = ("-c", "constraints.txt" if position else PINS)
        run(*pip, what, *pins, cwd=empty)
    work = empty / "work"
    work.mkdir()
    run(python, "-m", "pip", "check", cwd=work)
    run(densegym, "doctor", cwd=work)
    run(densegym, "envs", "--json", cwd=work)
    told = json.loads(run(python, STEP, *sorted(wanted), cwd=work).stdout.splitlines()[-1])
    besides = {family for extra in wanted for family in BESIDES.get(extra, ())}
    assert told == {
        name: "worked" if name in besides or FAMILIES[name] in ("", *wanted) else FAMILIES[name]
        for name in told
    }
