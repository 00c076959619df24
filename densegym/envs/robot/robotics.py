"""What the worlds on Gymnasium-Robotics share: how the upstream env is made, reset and stepped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from densegym.envs.protocols import OWN
from densegym.envs.robot.base import SparseWorld
from densegym.envs.robot.rendering import choose_backend
from densegym.errors import require
from densegym.reward_models.batch import map_leaves
from densegym.reward_models.types import Float


class RoboticsWorld(SparseWorld):
    """A sparse world around a Gymnasium-Robotics env, without the wrappers ``gym.make`` adds.

    Observations are copied, because upstream shares them.

    Args:
        task: upstream id.
        terminate_on_success: end the episode at the first success; None: as the class has it.
        protocol: see ``densegym.envs.protocols``.
        render_mode: ``"rgb_array"`` or None.
        reward: ignored; the wrapper around the world pays it.

    Raises:
        MissingExtraError: Gymnasium-Robotics is not installed.
    """

    upstream_kwargs: Mapping[str, Any] = {}

    def __init__(
        self,
        task: str,
        *,
        terminate_on_success: bool | None = None,
        protocol: str = OWN,
        render_mode: str | None = None,
        reward: object = None,
    ) -> None:
        gym.register_envs(require("gymnasium_robotics", extra="robot"))
        if render_mode is not None:
            choose_backend()
        held = gym.make(task, render_mode=render_mode, **self.upstream_kwargs).unwrapped
        super().__init__(
            held,
            terminate_on_success=terminate_on_success,
            render_mode=render_mode,
            protocol=protocol,
        )

    def _reset_held(
        self, seed: int | None, options: dict[str, Any] | None
    ) -> tuple[Any, dict[str, Any]]:
        obs, _ = self.held.reset(seed=seed)
        return map_leaves(_copied, obs), self._floats(obs)

    def _step_held(self, action: Any) -> tuple[Any, bool, bool, dict[str, Any]]:
        obs, _, terminated, _, told = self.held.step(action)
        success = bool(told.get("is_success", told.get("success", False)))
        return map_leaves(_copied, obs), success, bool(terminated), self._floats(obs)

    def _floats(self, obs: Any) -> dict[str, Any]:
        """Return what ``info`` says of an observation; nothing unless overridden."""
        return {}


def _copied(leaf: Any) -> Float:
    return np.array(leaf, dtype=np.float64)
