"""What the worlds on Gymnasium-Robotics share: how the upstream env is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym

from densegym.envs.robot.base import SparseWorld
from densegym.envs.robot.rendering import choose_backend
from densegym.errors import require


class RoboticsWorld(SparseWorld):
    """A sparse world around a Gymnasium-Robotics env, without the wrappers ``gym.make`` adds.

    Args:
        task: upstream id.
        terminate_on_success: end the episode at the first success.
        render_mode: ``"rgb_array"`` or None.
        reward: ignored; the skin around the world pays it.

    Raises:
        MissingExtraError: Gymnasium-Robotics is not installed.
    """

    upstream_kwargs: Mapping[str, Any] = {}

    def __init__(
        self,
        task: str,
        *,
        terminate_on_success: bool = True,
        render_mode: str | None = None,
        reward: object = None,
    ) -> None:
        gym.register_envs(require("gymnasium_robotics", extra="robot"))
        if render_mode is not None:
            choose_backend()
        held = gym.make(task, render_mode=render_mode, **self.upstream_kwargs).unwrapped
        super().__init__(held, terminate_on_success=terminate_on_success, render_mode=render_mode)
