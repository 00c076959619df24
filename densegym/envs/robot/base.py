"""What every robot world shares: it holds an upstream env and pays only the outcome."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np

from densegym.envs.protocols import OWN, find_protocol
from densegym.envs.robot.rendering import draw_plainly
from densegym.reward_models.types import Frames, Pictures


class SparseWorld(gym.Env[Any, Any]):
    """A world that holds an upstream env, latches success and pays 1.0 where the rule holds.

    It holds instead of inheriting, because Stable-Baselines3's checker takes every env with a
    method ``compute_reward`` for a goal-conditioned one. Subclasses implement ``_reset_held`` and
    ``_step_held``; time limits are Gymnasium's, outside.

    Args:
        held: the upstream env.
        terminate_on_success: whether the first success ends the episode; None: as the class
            and the protocol have it.
        render_mode: ``"rgb_array"`` or None.
        protocol: whether episodes may end early, and whether ``is_success`` is latched or that of
            the last step; its limit is for whoever counts steps, outside.

    Raises:
        UnknownNameError: no such protocol.
        DenseGymError: a protocol that goes on at success, and ``terminate_on_success=True``.
    """

    ends_at_success = True

    def __init__(
        self,
        held: Any,
        *,
        terminate_on_success: bool | None,
        render_mode: str | None,
        protocol: str = OWN,
    ) -> None:
        mujoco.set_mju_user_warning(_warn)
        rule = find_protocol(protocol)
        self.held = held
        self.terminate_on_success = rule.ends_at_success(terminate_on_success, self.ends_at_success)
        self._ends, self._latches = rule.ends, not rule.last_step
        self.render_mode = render_mode
        self.observation_space = held.observation_space
        self.action_space = held.action_space
        self._succeeded = 0.0
        if render_mode is not None:
            draw_plainly(getattr(held, "point_env", held).model)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode; equal seeds give equal episodes."""
        super().reset(seed=seed)
        self._succeeded = 0.0
        obs, info = self._reset_held(seed, options)
        return obs, {"success_now": 0.0, "is_success": 0.0, **info}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step the held env and pay its outcome."""
        obs, success, terminated, info = self._step_held(action)
        now = float(success)
        self._succeeded = max(self._succeeded, now) if self._latches else now
        info = {"success_now": now, "is_success": self._succeeded, **info}
        ended = terminated or (self.terminate_on_success and now > 0.0)
        return obs, self._outcome(now), bool(ended and self._ends), False, info

    def render(self) -> Any:
        """Return an (H, W, 3) uint8 picture, or None without ``render_mode="rgb_array"``."""
        if self.render_mode is None:
            return None
        held = getattr(self.held, "point_env", self.held)
        viewer = getattr(getattr(held, "mujoco_renderer", None), "viewer", None)
        if viewer is not None:
            # Gymnasium takes its context for current, which pictures for judges may have changed.
            viewer.make_context_current()
        return np.ascontiguousarray(self.held.render(), dtype=np.uint8)

    def draw(self, request: Pictures, *, hidden: Sequence[str] = ()) -> Frames:
        """Return (V, size, size, 3) uint8 pictures for a judge, whatever the render mode.

        Args:
            request: cameras, size and style; without cameras the world's own one.
            hidden: bodies left out of plain pictures.

        Raises:
            UnknownNameError: no such camera or body.
            DenseGymError: nothing to render with; says what to install.
        """
        from densegym.envs.robot.pictures import draw

        held = getattr(self.held, "point_env", self.held)
        cameras = request.cameras or self._own_cameras()
        return draw(held.model, held.data, request, cameras=cameras, hidden=hidden)

    def _own_cameras(self) -> tuple[str, ...]:
        """Return the camera of ``render``; the model's first unless overridden."""
        return (getattr(self.held, "point_env", self.held).model.camera(0).name,)

    def close(self) -> None:
        """Close the held env."""
        self.held.close()

    def _outcome(self, success_now: float) -> float:
        """Return the world's own reward; 1.0 where the rule holds unless overridden."""
        return success_now

    def _reset_held(
        self, seed: int | None, options: dict[str, Any] | None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the held env; return the observation and the subclass's own info floats."""
        raise NotImplementedError

    def _step_held(self, action: Any) -> tuple[Any, bool, bool, dict[str, Any]]:
        """Step the held env; return observation, success now, termination and info floats."""
        raise NotImplementedError


def _warn(message: str) -> None:
    """Warn where MuJoCo would write a file into the working directory."""
    warnings.warn(f"MuJoCo: {message}", RuntimeWarning, stacklevel=2)
