"""Imports MiniHack under every setuptools version, and keeps the game out of its process's signals.

MiniHack 1.0.2 imports ``pkg_resources``, which newer setuptools no longer ship and older ones
warn about; it only uses ``resource_filename``.
"""

from __future__ import annotations

import importlib
import signal
import sys
import threading
from importlib.resources import files
from types import ModuleType

from densegym.errors import require

_NAME = "pkg_resources"
_DEAFENED = (signal.SIGHUP, signal.SIGXCPU) if sys.platform != "win32" else ()


def import_minihack() -> ModuleType:
    """Import MiniHack and register its ids, with a stand-in for ``pkg_resources`` meanwhile.

    A ``pkg_resources`` that is already imported is used as it is: it has given its warning.
    ``sys.modules`` is left as it was found.

    Raises:
        MissingExtraError: MiniHack or NLE is not installed.
    """
    if "minihack.envs" in sys.modules:
        return sys.modules["minihack"]
    require("nle", extra="nethack")
    if sys.modules.get(_NAME) is not None:
        return _import()
    blocked = _NAME in sys.modules  # None there makes Python refuse the import
    sys.modules[_NAME] = _stand_in()
    try:
        return _import()
    finally:
        del sys.modules[_NAME]
        if blocked:
            sys.modules[_NAME] = None  # type: ignore[assignment]  # Python's own mark


def hear_signals() -> None:
    """Undo what a finished game does to its process: it leaves SIGHUP and SIGXCPU ignored.

    Children would inherit that, and a closed terminal or a processor limit could not end them.
    Python may set signals in its main thread only.
    """
    if threading.current_thread() is threading.main_thread():
        for name in _DEAFENED:
            handler = signal.getsignal(name)
            if handler is not None:  # None: not set from Python, so not ours to set
                signal.signal(name, handler)


def _import() -> ModuleType:
    module = require("minihack", extra="nethack")
    importlib.import_module("minihack.envs")
    return module


def _stand_in() -> ModuleType:
    module = ModuleType(_NAME)
    module.resource_filename = lambda package, name: str(files(package) / name)  # type: ignore[attr-defined]  # a module grows attributes
    return module
