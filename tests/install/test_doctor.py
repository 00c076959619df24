"""What ``densegym doctor`` says of versions that nobody tried, and of halves of an extra."""

from __future__ import annotations

import importlib.metadata
import json
import sys

import pytest

from densegym import requirements
from densegym.agents import doctor
from densegym.cli.main import main
from densegym.errors import MissingExtraError, require
from densegym.requirements import by_extra, needed

MARKS = [packages[0] for packages in by_extra().values()]


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Versions to be taken for installed; None for a package that is not."""
    told: dict[str, str | None] = {}
    real = importlib.metadata.version

    def version(package: str) -> str:
        if package not in told:
            return real(package)
        if (found := told[package]) is None:
            raise importlib.metadata.PackageNotFoundError(package)
        return found

    monkeypatch.setattr(requirements, "version", version)
    monkeypatch.setattr(doctor, "version", version)
    monkeypatch.setattr(doctor, "_rendering", list)
    return told


def wrong() -> dict[str, doctor.Finding]:
    return {found.topic: found for found in doctor.examine() if not found.ok}


def test_this_machine_has_what_was_tested(versions: dict[str, str | None]) -> None:
    assert wrong() == {}


@pytest.mark.parametrize("need", needed(), ids=lambda need: f"{need.extra}-{need.package}")
def test_a_version_outside_its_range_is_flagged(
    need: requirements.Needed, versions: dict[str, str | None]
) -> None:
    versions |= {mark.package: _some(mark) for mark in MARKS}
    topic = f"[{need.extra}] {need.package}" if need.extra else need.package
    for version in ("0.0.1", "9999.0"):
        versions[need.package] = version
        found = wrong()[topic]
        assert found.found == f"{version} is outside the tested {need.tested}"
        assert found.cure == f"pip install '{need.package}{need.tested}'"


def _some(need: requirements.Needed) -> str:
    """Return a tested version, whether or not one is installed."""
    return next(part.version for part in need.tested if part.operator == ">=")


@pytest.mark.parametrize("mark", MARKS, ids=lambda mark: mark.extra)
def test_an_extra_is_installed_where_its_first_package_is(
    mark: requirements.Needed, versions: dict[str, str | None]
) -> None:
    versions |= {need.package: None for need in by_extra()[mark.extra]}
    told = {found.topic: found for found in doctor.examine()}
    assert told[f"[{mark.extra}]"].ok
    assert told[f"[{mark.extra}]"].cure == f"pip install 'densegym[{mark.extra}]'"
    versions[mark.package] = _some(mark)
    lacking = [need.package for need in by_extra()[mark.extra][1:]]
    told = {found.topic: found for found in doctor.examine()}
    assert f"[{mark.extra}]" not in told
    for package in lacking:
        found = told[f"[{mark.extra}] {package}"]
        assert (found.ok, found.found) == (False, "missing")
        assert found.cure == f"pip install 'densegym[{mark.extra}]'"


def test_two_versions_of_mujoco_in_one_folder_are_told_apart(
    versions: dict[str, str | None],
) -> None:
    cure = "pip uninstall -y mujoco mujoco-core mujoco-studio && pip install 'densegym[robot]'"
    versions |= {"mujoco-core": "4.0.0", "mujoco-studio": "4.0.0", "mujoco": "3.3.0"}
    assert {found.cure for found in wrong().values()} == {cure}
    assert set(wrong()) == {"mujoco-core", "mujoco-studio"}
    versions["mujoco"] = "4.0.0"
    assert wrong()["[robot] mujoco"].cure == cure


def test_a_python_that_nobody_tried_is_flagged(
    versions: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for minor in (11, 12, 13):
        monkeypatch.setattr(sys, "version_info", (3, minor, 0))
        assert "Python" not in wrong()
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    assert wrong()["Python"].cure == "python3.13 -m venv .venv"


def test_the_command_ends_with_a_sentence_for_each_and_two(
    versions: dict[str, str | None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    versions |= {"numpy": "9.0", "rich": "1.0"}
    monkeypatch.setattr(sys, "argv", ["densegym", "doctor", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert {row["topic"] for row in json.loads(out) if not row["ok"]} == {"numpy", "rich"}
    first, second = err.strip().splitlines()
    assert first.startswith(
        "error: numpy: 9.0 is outside the tested <2.6,>=1.26. Type: pip install"
    )
    assert second.startswith("rich: 1.0 is outside the tested <16,>=13. Type: pip install")


def test_a_broken_package_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise OSError("libmujoco.so.4.0.0: cannot open shared object file")

    monkeypatch.setattr("densegym.errors.importlib.import_module", broken)
    with pytest.raises(MissingExtraError, match=r"cannot be imported: .*Type: densegym doctor$"):
        require("mujoco", extra="robot")


def test_judges_that_ask_in_our_words_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_rendering", list)
    (found,) = [one for one in doctor.examine() if one.topic == "prompts"]
    assert found.ok
    assert "progress/vlac" in found.found
    assert "paraphrase" in found.found
    assert "progress/gvl" not in found.found
    assert '"release"' in found.cure
