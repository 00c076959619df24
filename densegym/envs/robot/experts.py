"""Meta-World's scripted experts by environment id."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from densegym.envs.tasks import find_world, worlds
from densegym.errors import require, unknown

Expert = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float32]]


def expert_policy(env_id: str) -> Expert:
    """Return the scripted expert of a Meta-World task.

    Args:
        env_id: e.g. ``"DenseGym/ButtonPress-v0"``.

    Returns:
        A function from one observation (39,) float64 to one action (4,) float32 in [-1, 1].

    Raises:
        UnknownNameError: the id has no scripted expert; names the closest that has.
        MissingExtraError: Meta-World is not installed.
    """
    world = find_world(env_id)
    if world is None or world.card.family != "metaworld":
        able = [item.card.id for item in worlds() if item.card.family == "metaworld"]
        raise unknown("task with a scripted expert", env_id, able, see="densegym envs metaworld")
    policies: Any = require("metaworld.policies", extra="robot")
    policy = policies.ENV_POLICY_MAP[world.kwargs["task"]]()

    def act(obs: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        with warnings.catch_warnings():
            # Upstream warns that it relies on clipping, which is done here.
            warnings.filterwarnings("ignore", message="Constant.s. may be too high")
            action: npt.NDArray[np.float32] = policy.get_action(obs).astype(np.float32)
        return np.clip(action, -1.0, 1.0)

    return act
