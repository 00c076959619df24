"""The whole state of a MuJoCo world as plain values and arrays, from which it goes on exactly.

More than positions and velocities is needed: upstream reads derived quantities before a step, the
solver starts from its last solution, scenes are placed in the model, and tasks remember things.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from copy import copy
from functools import cache
from typing import Any

import numpy as np

from densegym.envs.copying import random_state, restore_random
from densegym.errors import DenseGymError, require

mujoco: Any = require("mujoco", extra="robot")
# What upstream's tasks move in a model as they place a scene.
PLACED = ("body_pos", "body_quat", "site_pos", "site_quat", "geom_pos", "geom_quat", "jnt_range")
_PLAIN = (bool, int, float, str, np.generic, np.ndarray, type(None))
_WHOLE = int(mujoco.mjtState.mjSTATE_INTEGRATION)


def physics(model: Any, data: Any) -> dict[str, Any]:
    """Return what MuJoCo knows: the state it integrates, derived quantities, and placements."""
    whole = np.empty(mujoco.mj_stateSize(model, _WHOLE))
    mujoco.mj_getState(model, data, whole, _WHOLE)
    return {
        "whole": whole,
        "derived": {name: getattr(data, name).copy() for name in _derived()},
        "placed": {name: getattr(model, name).copy() for name in PLACED},
    }


def restore_physics(model: Any, data: Any, state: Mapping[str, Any]) -> None:
    """Put a model and its data where ``physics`` found them.

    Raises:
        DenseGymError: the state is of another scene.
    """
    shapes = {f"placed/{name}": getattr(model, name).shape for name in PLACED}
    shapes |= {f"derived/{name}": getattr(data, name).shape for name in _derived()}
    shapes["whole"] = (mujoco.mj_stateSize(model, _WHOLE),)
    for path, shape in shapes.items():
        group, _, name = path.partition("/")
        found = np.shape(state[group][name] if name else state[group])
        if found != shape:
            raise DenseGymError(
                f"the state is of another scene: its {name or group} is {found}, not {shape}"
            )
    for name, values in state["placed"].items():
        getattr(model, name)[:] = values
    mujoco.mj_setState(model, data, np.array(state["whole"]), _WHOLE)
    for name, values in state["derived"].items():
        getattr(data, name)[:] = values


def memory(owner: Any) -> dict[str, Any]:
    """Return what an upstream env keeps in plain attributes, and its generator."""
    own = {name: value for name, value in vars(owner).items() if isinstance(value, _PLAIN)}
    found = {name: _window(owner.data, value) for name, value in own.items()}
    return {
        "own": {name: copy(value) for name, value in own.items() if found[name] is None},
        "windows": {name: window for name, window in found.items() if window is not None},
        "generator": random_state(owner),
    }


def restore_memory(owner: Any, state: Mapping[str, Any]) -> None:
    """Put an upstream env's plain attributes and generator where ``memory`` found them."""
    vars(owner).update({name: copy(value) for name, value in state["own"].items()})
    for name, (field, start, shape) in state["windows"].items():
        whole = getattr(owner.data, field).reshape(-1)
        setattr(owner, name, whole[start : start + math.prod(shape)].reshape(shape))
    restore_random(owner, state["generator"])


def _window(data: Any, value: Any) -> tuple[str, int, tuple[int, ...]] | None:
    """Return field, start and shape of an array that shows MuJoCo's data instead of a copy.

    Meta-World keeps such arrays as "initial" positions, which move with what they show.
    """
    if not isinstance(value, np.ndarray) or value.base is None or not value.size:
        return None
    for name in _derived():
        whole = getattr(data, name)
        start = (value.ctypes.data - whole.ctypes.data) // whole.itemsize
        if whole.size and value.dtype == whole.dtype and 0 <= start < whole.size:
            return name, start, value.shape
    return None


def rule_memory(rule: Any) -> dict[str, Any]:
    """Return the fields of a success rule."""
    return {
        name: [copy(item) for item in value] if isinstance(value, deque) else copy(value)
        for name, value in vars(rule).items()
    }


def restore_rule(rule: Any, state: Mapping[str, Any]) -> None:
    """Put a success rule where ``rule_memory`` found it."""
    for name, value in state.items():
        before = getattr(rule, name)
        kept = deque(value, maxlen=before.maxlen) if isinstance(before, deque) else copy(value)
        setattr(rule, name, kept)


@cache
def _derived() -> tuple[str, ...]:
    """Return the fields of MuJoCo's data that hold numbers, but for those of constraints.

    Constraints are found anew in every step; their number is not the scene's.
    """
    model = mujoco.MjModel.from_xml_string("<mujoco/>")
    data = mujoco.MjData(model)
    names = [name for name in dir(data) if not name.startswith(("_", "efc_"))]
    fields = {name: getattr(data, name) for name in names}
    return tuple(
        name
        for name, value in fields.items()
        if isinstance(value, np.ndarray) and value.dtype == np.float64
    )
