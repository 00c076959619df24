"""Lets the processes that this one starts know every id, however they are started.

Gymnasium reads no entry points since version 1.0, and a spawned process imports nothing but its
parent's main module: in a notebook, or where DenseGym is imported inside a function, workers would
know no ``DenseGym/`` id.
"""

from __future__ import annotations

from multiprocessing import current_process
from typing import Any


def teach_children(register: Any, key: str = "densegym") -> None:
    """Have processes that ``multiprocessing`` starts from here import DenseGym before they work.

    Args:
        register: what is sent: a function of a DenseGym module, by name, which imports the module;
            or an object whose unpickling does what is needed.
        key: what it replaces if it was taught before.
    """
    # Every child is sent its parent's configuration, and unpickles it before its target runs.
    configuration: dict[str, Any] = vars(current_process())["_config"]
    configuration[key] = register
