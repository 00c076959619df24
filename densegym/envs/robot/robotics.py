"""What the worlds on Gymnasium-Robotics share: how the upstream env is made, reset and stepped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from densegym.envs.protocols import OWN
from densegym.envs.robot.base import SparseWorld
from densegym.envs.robot.rendering import choose_backend
from densegym.envs.robot.upstream.making import make_held
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
        width: of pictures, pixels.
        height: of pictures, pixels.
        camera: of the model; None is upstream's own view.
        reward: ignored; the wrapper around the world pays it.
        **upstream: other constructor arguments of the upstream env.

    Raises:
        MissingExtraError: Gymnasium-Robotics is not installed.
        UnknownNameError: the model has no such camera.
        DenseGymError: the upstream env takes no such option, or the world decides it.
    """

    upstream_kwargs: Mapping[str, Any] = {}
    ours: Mapping[str, str] = {"reward_type": 'Choose what is paid by reward="env" or "expert"'}
    """Upstream's options that a world decides by itself, each with what to type instead."""
    adjustable: tuple[str, ...] = ()
    """Upstream's options that its tasks do not hand through, but read in every reset and step."""

    def __init__(
        self,
        task: str,
        *,
        terminate_on_success: bool | None = None,
        protocol: str = OWN,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 480,
        camera: str | None = None,
        reward: object = None,
        **upstream: Any,
    ) -> None:
        gym.register_envs(require("gymnasium_robotics", extra="robot"))
        if render_mode is not None:
            choose_backend()
        later = {name: upstream.pop(name) for name in self.adjustable if name in upstream}
        shown = {"render_mode": render_mode, "width": width, "height": height}
        held = make_held(task, {**upstream, **shown}, ours=self.ours, fixed=self.upstream_kwargs)
        vars(held).update(later)
        self.task = task
        super().__init__(
            held,
            terminate_on_success=terminate_on_success,
            render_mode=render_mode,
            protocol=protocol,
            camera=camera,
        )

    def _kind(self) -> str:
        return self.task

    def _reset_held(
        self, seed: int | None, options: dict[str, Any] | None
    ) -> tuple[Any, dict[str, Any]]:
        obs = self._begin(seed, options or {})
        return map_leaves(_copied, obs), self._floats(obs)

    def _begin(self, seed: int | None, options: Mapping[str, Any]) -> Any:
        """Reset the held env as options ask; return its observation."""
        return self.held.reset(seed=seed)[0]

    def _step_held(self, action: Any) -> tuple[Any, bool, bool, dict[str, Any]]:
        obs, _, terminated, _, told = self.held.step(action)
        success = bool(told.get("is_success", told.get("success", False)))
        return map_leaves(_copied, obs), success, bool(terminated), self._floats(obs)

    def _floats(self, obs: Any) -> dict[str, Any]:
        """Return what ``info`` says of an observation; nothing unless overridden."""
        return {}


def _copied(leaf: Any) -> Float:
    return np.array(leaf, dtype=np.float64)
