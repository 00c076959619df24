"""Imports MiniHack under every setuptools version.

MiniHack 1.0.2 imports ``pkg_resources``, which newer setuptools no longer ship and older ones
warn about; it only uses ``resource_filename``.
"""

from __future__ import annotations

import importlib
import sys
from importlib.resources import files
from types import ModuleType

from densegym.errors import require


def import_minihack() -> ModuleType:
    """Import MiniHack, with a stand-in for ``pkg_resources`` while its modules load.

    Raises:
        MissingExtraError: MiniHack or NLE is not installed.
    """
    if "minihack" in sys.modules:
        return sys.modules["minihack"]
    require("nle", extra="nethack")
    found = sys.modules.get("pkg_resources")
    sys.modules["pkg_resources"] = _stand_in()
    try:
        module = require("minihack", extra="nethack")
        importlib.import_module("minihack.envs")
        return module
    finally:
        if found is None:
            del sys.modules["pkg_resources"]
        else:
            sys.modules["pkg_resources"] = found


def _stand_in() -> ModuleType:
    module = ModuleType("pkg_resources")
    module.resource_filename = lambda package, name: str(files(package) / name)  # type: ignore[attr-defined]  # a module grows attributes
    return module
