"""The floor plan: no circles, no crowded folder, and README's tree is the real one."""

from __future__ import annotations

import graphlib
import re
from pathlib import Path

import grimp
import pytest

import densegym

ROOT = Path(densegym.__file__).parent
MOST = 16  # modules side by side that a reader still takes in
DATA = ("assets",)  # programs and replies, one file each


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = grimp.build_graph("densegym", cache_dir=None)
    sorter = graphlib.TopologicalSorter(
        {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    )
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"import circle: {' -> '.join(error.args[1])}")


def packages(depth: int) -> set[str]:
    """Return the packages below ``densegym``, as slashed paths of at most ``depth`` parts."""
    found = {path.parent.relative_to(ROOT) for path in ROOT.rglob("__init__.py")}
    return {str(path) for path in found if 1 <= len(path.parts) <= depth and path.parts[0] != "."}


@pytest.mark.parametrize("package", sorted(packages(9)))
def test_no_folder_shows_more_modules_than_a_reader_takes_in(package: str) -> None:
    if package.startswith(DATA):
        pytest.skip("data, one file each")
    modules = [path.name for path in (ROOT / package).glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= MOST, f"{package} shows {len(modules)}: {sorted(modules)}"


@pytest.mark.parametrize("package", sorted(packages(9)))
def test_every_package_says_its_one_job(package: str) -> None:
    text = (ROOT / package / "__init__.py").read_text(encoding="utf-8")
    assert package.startswith(DATA) or re.match(r'"""[A-Z][^\n]*\.', text), package


def test_the_tree_in_readme_is_the_real_one() -> None:
    readme = ROOT.parent / "README.md"
    if not readme.is_file():
        pytest.skip("installed without its README")
    section = readme.read_text(encoding="utf-8").rpartition("## Layout")[2]
    listed = re.findall(r"^densegym/(\S+)", section, flags=re.MULTILINE)
    assert sorted(listed) == sorted(p for p in packages(2) if not p.startswith("assets/"))
