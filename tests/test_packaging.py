"""What ships: links for people, one name per module, no torch on import, pinned versions."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from densegym import assets

ROOT = Path(__file__).parents[1]
LINKS = ("envs", "reward_models", "agents", "assets")


def python(code: str, **kwargs) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, **kwargs
    )
    return done.stdout.strip()


# A source distribution is tested where it was unpacked, without history or links.
checkout = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout")


@checkout
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


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    code = f"from setuptools import build_meta; build_meta.build_sdist({str(folder)!r})"
    python(code, cwd=ROOT)
    (found,) = folder.glob("*.tar.gz")
    return found


def tracked() -> set[str]:
    """Return the files of the checkout, those about to be committed too, without the links."""
    listed = ("git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard")
    out = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    return {name for name in out.splitlines() if (ROOT / name).is_file()} - set(LINKS)


@checkout
def test_the_source_distribution_is_the_checkout(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    made = {name for name in names if name.startswith("densegym.egg-info/")}
    assert names - made - {"PKG-INFO", "setup.cfg"} == tracked()


@checkout
def test_the_wheel_holds_code_and_assets_and_nothing_else(sdist: Path, tmp_path: Path) -> None:
    # From the source distribution, because a build folder in the checkout may hold old files.
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    subprocess.run([*pip, "--wheel-dir", tmp_path, sdist], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    assert names == {name for name in tracked() if name.startswith("densegym/")}


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
RANGES = [
    *map(Requirement, PROJECT["dependencies"]),
    *(Requirement(text) for extra in EXTRAS if extra != "all" for text in EXTRAS[extra]),
]
SIMULATORS = {"mujoco", "metaworld", "gymnasium-robotics", "nle", "minihack", "dm-control"}


def pins() -> dict[str, str]:
    lines = assets.text("constraints.txt").splitlines()
    named = dict(line.split("==") for line in lines if "==" in line)
    return {canonicalize_name(name): version for name, version in named.items()}


@pytest.mark.parametrize("wanted", RANGES, ids=str)
def test_every_range_has_two_ends_and_holds_what_was_tested(wanted: Requirement) -> None:
    assert sorted(part.operator for part in wanted.specifier) == ["<", ">="]
    assert wanted.specifier.contains(pins()[wanted.name])


def test_the_base_brings_no_simulator() -> None:
    assert SIMULATORS.isdisjoint(Requirement(text).name for text in PROJECT["dependencies"])


def test_torch_is_the_release_that_every_machine_can_have() -> None:
    assert pins()["torch"] == "2.13.0"


def test_the_command_prints_the_constraints() -> None:
    printed = python("from densegym.cli.worlds import constraints; constraints()")
    assert printed == assets.text("constraints.txt").strip()


def test_versions_agree() -> None:
    import densegym

    assert densegym.__version__ == PROJECT["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {densegym.__version__}" in changelog
