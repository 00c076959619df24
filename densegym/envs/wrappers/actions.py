"""Refuses actions that no world should see: of a wrong shape, or not finite.

MuJoCo answers a NaN by resetting itself in mid-episode, and other simulators by nonsense.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces

from densegym.errors import ActionError

_ARRAYS = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


class ActionCheck:
    """Checks the actions of a host before its worlds see them; spaces of text and trees pass.

    Args:
        space: of one sub-environment.
        steps_of: returns how many steps the episode of a lane has taken.
        rows: number of rows, where actions have a leading axis; None to check lane by lane.
    """

    def __init__(
        self, space: spaces.Space[Any], steps_of: Callable[[int], int], rows: int | None = None
    ) -> None:
        self._steps_of = steps_of
        self._checks = isinstance(space, _ARRAYS)
        self._rows = rows or 1
        self._shape = (() if rows is None else (rows,)) + (space.shape or ())

    def __call__(self, actions: Any, lane: int = 0) -> None:
        """Check one call's actions, or those of one lane.

        Raises:
            ActionError: wrong shape, no numbers, or NaN and infinity; names lane and step.
        """
        if not self._checks:
            return
        given = actions if type(actions) is np.ndarray else _array(actions)
        if given.shape != self._shape or given.dtype.kind not in "fiub":
            raise ActionError(
                f"actions of shape {given.shape} and type {given.dtype} were given at step "
                f"{self._steps_of(lane)} of lane {lane}; expected numbers of shape "
                f"{self._shape}"
            )
        if given.dtype.kind == "f":
            flat = given.ravel()
            # One product instead of a reduction of comparisons, which takes twice as long.
            if not math.isfinite(flat.dot(flat)) and not np.isfinite(flat).all():
                rows = given.reshape(self._rows, -1)
                row = int(np.argmin(np.isfinite(rows).all(axis=1)))
                self._refuse(lane + row, rows[row])

    def _refuse(self, lane: int, action: Any) -> None:
        raise ActionError(
            f"the action of lane {lane} at step {self._steps_of(lane)} is "
            f"{action.tolist()}; actions must be finite. The policy that chose it has "
            "probably diverged."
        )


def _array(actions: Any) -> Any:
    try:
        return np.asarray(actions)
    except ValueError:  # rows of different lengths
        return np.asarray([None])
