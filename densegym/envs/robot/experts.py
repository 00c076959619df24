"""Scripted experts of the robot worlds: Meta-World's own, and gaits for forward skills."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from densegym.envs.robot.gaits import Gait, gaits
from densegym.envs.world import Act, World
from densegym.errors import require
from densegym.reward_models.types import Float

_GAIN = 10.0  # of a hand that moves to a point, as the experts'


def metaworld_expert(world: World) -> Callable[[Float], npt.NDArray[np.float32]]:
    """Return upstream's expert: from one observation (39,) to one action (4,) in [-1, 1].

    Raises:
        MissingExtraError: Meta-World is not installed.
    """
    policies: Any = require("metaworld.policies", extra="robot")
    policy = policies.ENV_POLICY_MAP[world.kwargs["task"]]()

    def act(obs: Float) -> npt.NDArray[np.float32]:
        with warnings.catch_warnings():
            # Upstream warns that it relies on clipping, which is done here.
            warnings.filterwarnings("ignore", message="Constant.s. may be too high")
            action: npt.NDArray[np.float32] = policy.get_action(obs).astype(np.float32)
        return np.clip(action, -1.0, 1.0)

    return act


def gait(world: World) -> Gait:
    """Return the shipped gait of a forward skill, its phase at zero."""
    return Gait(gaits()[world.card.id])


def reach(point: Float, space: Any) -> Act:
    """Return a Sawyer hand that moves straight to a point (3,) and stays there."""

    def act(obs: Any) -> Any:
        action = np.zeros(space.shape)
        action[:3] = _GAIN * (point - obs[:3])
        return np.clip(action, space.low, space.high)

    return act
