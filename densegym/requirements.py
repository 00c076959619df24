"""What DenseGym needs, read off its own metadata: packages, tested ranges, and who brings them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from densegym.errors import DenseGymError, MissingExtraError

NAME = "densegym"
_COLLECTIONS = ("all", "dev")  # of other extras; of tools that nobody imports
# Distributions whose module is named otherwise than they are.
_MODULES = {"opencv-python-headless": "cv2", "pillow": "PIL", "mlflow-skinny": "mlflow"}


@dataclass(frozen=True, slots=True)
class Needed:
    """One package that DenseGym imports.

    Attributes:
        package: its distribution, in normal form.
        extra: the extra that brings it; empty for the base.
        tested: the versions that it was tried with.
    """

    package: str
    extra: str
    tested: SpecifierSet

    @property
    def module(self) -> str:
        """Return what is imported of it."""
        return _MODULES.get(self.package, self.package.replace("-", "_"))

    @property
    def installed(self) -> str | None:
        """Return the installed version, or None."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None

    @property
    def fits(self) -> bool:
        """Return whether a tested version is installed."""
        found = self.installed
        return found is not None and self.tested.contains(found, prereleases=True)

    @property
    def line(self) -> str:
        """Return what to type for a tested version."""
        return f"pip install '{self.package}{self.tested}'"


@cache
def needed() -> tuple[Needed, ...]:
    """Return every package that the base or an extra brings, in the order of ``pyproject.toml``.

    Raises:
        DenseGymError: the package lies here without having been installed.
    """
    try:
        listed = requires(NAME) or []
        extras = [e for e in metadata(NAME).get_all("Provides-Extra") or [] if _told(e)]
    except PackageNotFoundError as error:
        raise DenseGymError(
            "densegym is imported from a folder and not installed. Type: pip install -e ."
        ) from error
    return tuple(_read(listed, extras))


def _read(listed: list[str], extras: list[str]) -> Iterator[Needed]:
    for requirement in map(Requirement, listed):
        package = canonicalize_name(requirement.name)
        if requirement.marker is None:
            yield Needed(package, "", requirement.specifier)
            continue
        for extra in extras:
            if package != NAME and requirement.marker.evaluate({"extra": extra}):
                yield Needed(package, extra, requirement.specifier)


def _told(extra: str) -> bool:
    return extra not in _COLLECTIONS


def by_extra() -> dict[str, list[Needed]]:
    """Return what every extra brings; the first package of each is its mark."""
    found: dict[str, list[Needed]] = {}
    for need in needed():
        if need.extra:
            found.setdefault(need.extra, []).append(need)
    return found


def extra_line(extra: str) -> str:
    """Return what to type for an extra."""
    return f"pip install '{NAME}[{extra}]'"


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """Return what to tell a user of a module that is not there; None if no extra brings it."""
    root = (error.name or "").partition(".")[0]
    for need in needed():
        if need.extra and need.module == root:
            return MissingExtraError(f"{root} is not installed. Type: {extra_line(need.extra)}")
    return None
