"""The judge that knows the state: for tests and as the bound that pictures are measured against.

Where a task card says where gripper, object and goal are observed, one formula serves every task:
Φ = 0.4·(1 − tanh(5·|hand − object|)) + 0.6·(1 − tanh(10·|object − goal|)), distances in metres.
"""

from __future__ import annotations

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.batch import all_true
from densegym.reward_models.model import Event, Potential
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Float, Places, Starts, TaskCard, Values

_REACH, _MOVE = 0.4, 0.6  # shares of reaching and of moving the object
_ALONG_Y = ("DenseGym/ButtonPress-v0",)  # tasks whose rule reads one coordinate


class OraclePotential(Potential):
    """Progress read from the places in an observation; no picture is taken.

    Raises:
        RewardError: a task whose card does not say where they are.
    """

    name = "progress/oracle"
    traits = Traits(ends_at_success=True)

    def __init__(self, *, task: TaskCard) -> None:
        if "places" not in task.gives:
            raise RewardError(
                "progress/oracle reads where an observation tells gripper, object and goal, as "
                f"Meta-World's does; the card of {task.id} has no places. "
                f"`densegym rewards --task {task.id}` lists what fits."
            )
        places = task.places or Places()
        self._gripper, self._object, self._goal = (
            slice(*columns) for columns in (places.gripper, places.object, places.goal)
        )
        self._axes = slice(1, 2) if task.id in _ALONG_Y else slice(None)

    def value(self, event: Event) -> Values:
        """Value the states entered."""
        obs = event.obs if isinstance(event, Starts) else event.next_obs
        return Values(self._value(obs), all_true(len(event.slot)))

    def _value(self, obs: Float) -> Float:
        moved = obs[:, self._object]
        reach = np.linalg.norm(obs[:, self._gripper] - moved, axis=1)
        move = np.linalg.norm((moved - obs[:, self._goal])[:, self._axes], axis=1)
        phi: Float = _REACH * (1.0 - np.tanh(5.0 * reach)) + _MOVE * (1.0 - np.tanh(10.0 * move))
        return phi
