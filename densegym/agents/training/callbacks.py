"""Users' own callbacks by ``module:Class``, as typed after ``--callback``."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from densegym.errors import DenseGymError, Interrupted, closest
from densegym.plugins import import_here

_FORM = "a callback is module:Class, such as my_callbacks:Printer in my_callbacks.py here"
_RESUME = "Mend it, and add --resume to go on from the last checkpoint."


def load_callback(target: str) -> BaseCallback:
    """Import and make one callback; modules of the current folder are found too.

    Args:
        target: ``"module:Class"`` of Stable-Baselines3's ``BaseCallback``, or a function without
            arguments that returns one.

    Raises:
        DenseGymError: it is no callback; says what was found.
    """
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        raise DenseGymError(f'given "{target}"; {_FORM}')
    with _told(target, "could not be loaded", remedy="Mend it, and run again."):
        found = getattr(_module(module_name, target), name, None)
        if found is None:
            known = vars(sys.modules[module_name])
            raise DenseGymError(f"{module_name} has no {name}.{closest(name, known)}")
        made = found() if callable(found) else found
    if not isinstance(made, BaseCallback):
        raise DenseGymError(
            f"{target} is a {type(made).__name__}; expected a subclass of "
            "stable_baselines3.common.callbacks.BaseCallback"
        )
    return UserCallback(target, made)


def load_callbacks(targets: Sequence[str]) -> list[BaseCallback]:
    """Import and make callbacks; see ``load_callback``."""
    return [load_callback(target) for target in targets]


def _module(name: str, target: str) -> Any:
    try:
        return import_here(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise DenseGymError(f"there is no module {error.name} ({target}); {_FORM}") from error


class UserCallback(BaseCallback):
    """Calls a callback of a user; says which it was where it raises.

    Args:
        target: what the user typed.
        callback: what is called.
    """

    def __init__(self, target: str, callback: BaseCallback) -> None:
        super().__init__()
        self.target, self._callback = target, callback

    def _init_callback(self) -> None:
        with _told(self.target):
            self._callback.init_callback(self.model)

    def _on_training_start(self) -> None:
        with _told(self.target):
            self._callback.on_training_start(self.locals, self.globals)

    def _on_rollout_start(self) -> None:
        with _told(self.target):
            self._callback.on_rollout_start()

    def _on_step(self) -> bool:
        with _told(self.target):
            self._callback.update_locals(self.locals)
            return self._callback.on_step()

    def _on_rollout_end(self) -> None:
        with _told(self.target):
            self._callback.update_locals(self.locals)
            self._callback.on_rollout_end()

    def _on_training_end(self) -> None:
        with _told(self.target):
            self._callback.on_training_end()


@contextmanager
def _told(target: str, what: str = "raised an error", remedy: str = _RESUME) -> Iterator[None]:
    try:
        yield
    except (DenseGymError, Interrupted, KeyboardInterrupt):
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}, line {last.lineno}"
        raise DenseGymError(
            f"callback {target} {what}: {type(error).__name__}: {error} ({where}). {remedy}"
        ) from error
