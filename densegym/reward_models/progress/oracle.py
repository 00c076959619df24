"""The judge that knows the state: for tests and as the bound that pictures are measured against.

Meta-World observes the hand, up to two objects and the goal, so one formula serves every task:
Φ = 0.4·(1 − tanh(5·|hand − object|)) + 0.6·(1 − tanh(10·|object − goal|)), distances in metres.
"""

from __future__ import annotations

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.batch import all_true
from densegym.reward_models.model import Event, Potential
from densegym.reward_models.progress.places import GOAL, HAND, OBJECT
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Float, Starts, TaskCard, Values

_REACH, _MOVE = 0.4, 0.6  # shares of reaching and of moving the object
_ALONG_Y = ("DenseGym/ButtonPress-v0",)  # tasks whose rule reads one coordinate


class OraclePotential(Potential):
    """Progress read from the state of a Meta-World task; no picture is taken.

    Raises:
        RewardError: a task whose observation is not Meta-World's.
    """

    name = "progress/oracle"
    traits = Traits(ends_at_success=True)

    def __init__(self, *, task: TaskCard) -> None:
        if "places" not in task.gives:
            raise RewardError(
                "progress/oracle reads where Meta-World's observation tells gripper, object and "
                f"goal; {task.id} has no such columns. `densegym rewards --task {task.id}` lists "
                "what fits."
            )
        self._axes = slice(1, 2) if task.id in _ALONG_Y else slice(None)

    def value(self, event: Event) -> Values:
        """Value the states entered."""
        obs = event.obs if isinstance(event, Starts) else event.next_obs
        return Values(self._value(obs), all_true(len(event.slot)))

    def _value(self, obs: Float) -> Float:
        reach = np.linalg.norm(obs[:, HAND] - obs[:, OBJECT], axis=1)
        move = np.linalg.norm((obs[:, OBJECT] - obs[:, GOAL])[:, self._axes], axis=1)
        phi: Float = _REACH * (1.0 - np.tanh(5.0 * reach)) + _MOVE * (1.0 - np.tanh(10.0 * move))
        return phi
