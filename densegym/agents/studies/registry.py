"""Studies by name: shipped ones, programmatic ones, and those of installed plug-ins."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from importlib.metadata import entry_points

from densegym import assets
from densegym.agents.studies.catalogue import STUDIES
from densegym.agents.studies.study import Study
from densegym.errors import DenseGymError, unknown
from densegym.plugins import load_plugins

ENTRY_POINT_GROUP = "densegym.studies"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_STUDIES: dict[str, Study] = {study.name: study for study in STUDIES}
_loaded: set[str] = set()


def register_study(study: Study) -> None:
    """Register a study; ``densegym bench <name>`` finds it in this process.

    Raises:
        DenseGymError: the name is malformed or taken by a study or a suite.
    """
    if not _NAME.fullmatch(study.name):
        raise DenseGymError(f'a study is named by a-z, 0-9 and "-"; given "{study.name}"')
    if study.name in _STUDIES:
        owner = _STUDIES[study.name].owner
        raise DenseGymError(
            f'study "{study.name}" is already registered by {owner}; '
            f"{study.owner} must choose another name"
        )
    if study.name in assets.names("suites", ".toml"):
        raise DenseGymError(f'"{study.name}" is a suite; {study.owner} must choose another name')
    _STUDIES[study.name] = study


def unregister_study(name: str) -> None:
    """Forget a registered study; used by tests and notebooks that redefine one."""
    if name not in _STUDIES:
        raise unknown("study", name, _STUDIES, see="densegym bench --list")
    del _STUDIES[name]


def list_studies() -> list[Study]:
    """Return every known study, plug-ins included, in the order of registration."""
    _load_plugins()
    return list(_STUDIES.values())


def find_study(name: str, *, others: Iterable[str] = ()) -> Study:
    """Return a study; plug-ins are loaded only where no other study has the name.

    Args:
        name: of the study.
        others: names that a user might have meant besides.

    Raises:
        UnknownNameError: no such study; names the closest.
    """
    if name not in _STUDIES:
        _load_plugins()
    if name not in _STUDIES:
        raise unknown("suite or study", name, [*_STUDIES, *others], see="densegym bench --list")
    return _STUDIES[name]


def _load_plugins() -> None:
    """Register what installed packages offer, once; a plug-in that fails is a warning."""
    if "plugins" in _loaded:
        return
    _loaded.add("plugins")
    load_plugins(entry_points(group=ENTRY_POINT_GROUP), "study", _add_offered)


def _add_offered(name: str, owner: str, study: object) -> None:
    if not isinstance(study, Study):
        raise DenseGymError(f"{study!r} is no densegym.agents.studies.study.Study")
    register_study(dataclasses.replace(study, name=name, owner=owner))
