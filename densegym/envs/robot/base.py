"""What every robot world shares: it holds an upstream env and pays only the outcome."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding

from densegym.envs.copying import Copied, check_state, random_state, restore_random
from densegym.envs.options import check_options
from densegym.envs.protocols import OWN, find_protocol
from densegym.envs.robot.rendering import draw_plainly
from densegym.envs.robot.upstream.state import (
    memory,
    physics,
    restore_memory,
    restore_physics,
    restore_rule,
    rule_memory,
)
from densegym.errors import require, unknown
from densegym.reward_models.types import Frames, Pictures

mujoco: Any = require("mujoco", extra="robot")


class SparseWorld(Copied, gym.Env[Any, Any]):
    """A world that holds an upstream env, latches success and pays 1.0 where the rule holds.

    It holds instead of inheriting, because Stable-Baselines3's checker takes every env with a
    method ``compute_reward`` for a goal-conditioned one. Subclasses implement ``_reset_held`` and
    ``_step_held``; time limits are Gymnasium's, outside.

    Copies (``copy.deepcopy``, ``pickle``) and ``get_state`` go on exactly as the world would have.

    Args:
        held: the upstream env.
        terminate_on_success: whether the first success ends the episode; None: as the class
            and the protocol have it.
        render_mode: ``"rgb_array"`` or None.
        protocol: whether episodes may end early, and whether ``is_success`` is latched or that of
            the last step; its limit is for whoever counts steps, outside.
        camera: of the model, through which ``render`` looks; None is upstream's own view.

    Raises:
        UnknownNameError: no such protocol, or the model has no such camera.
        DenseGymError: a protocol that goes on at success, and ``terminate_on_success=True``.
    """

    ends_at_success = True
    reset_options: tuple[str, ...] = ("state",)
    """What ``reset(options=...)`` takes."""

    def __init__(
        self,
        held: Any,
        *,
        terminate_on_success: bool | None,
        render_mode: str | None,
        protocol: str = OWN,
        camera: str | None = None,
    ) -> None:
        mujoco.set_mju_user_warning(_warn)
        rule = find_protocol(protocol)
        self.held = held
        self._inner = getattr(held, "point_env", held)  # upstream's maze holds its ball
        self._view: Any = None
        if camera is not None:
            cameras = [self._inner.model.camera(i).name for i in range(self._inner.model.ncam)]
            if camera not in cameras:
                raise unknown("camera", camera, cameras)
            self._inner.mujoco_renderer.camera_id = self._inner.model.camera(camera).id
        self.terminate_on_success = rule.ends_at_success(terminate_on_success, self.ends_at_success)
        self._ends, self._latches = rule.ends, not rule.last_step
        self.render_mode = render_mode
        self.observation_space = held.observation_space
        self.action_space = held.action_space
        self._succeeded = 0.0
        self._shown: tuple[Any, dict[str, Any]] = (None, {})
        if render_mode is not None:
            draw_plainly(self._inner.model)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode; equal seeds give equal episodes.

        Args:
            seed: decides this episode and those that follow without a seed.
            options: ``{"state": state}`` goes on from what ``get_state`` returned; subclasses
                take more, named in ``reset_options``.

        Raises:
            UnknownNameError: an option that this world does not take.
            DenseGymError: an option has an impossible value.
        """
        check_options(self, options, self.reset_options)
        if options and "state" in options:
            shown = self.set_state(options["state"])
            if seed is not None:
                for owner in self._owners():
                    owner._np_random, owner._np_random_seed = seeding.np_random(seed)
            return shown
        super().reset(seed=seed)
        self._succeeded = 0.0
        obs, info = self._reset_held(seed, options)
        info = {"success_now": 0.0, "is_success": 0.0, **info}
        self._shown = (obs, info)
        return obs, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step the held env and pay its outcome."""
        obs, success, terminated, info = self._step_held(action)
        now = float(success)
        self._succeeded = max(self._succeeded, now) if self._latches else now
        info = {"success_now": now, "is_success": self._succeeded, **info}
        ended = terminated or (self.terminate_on_success and now > 0.0)
        self._shown = (obs, info)
        return obs, self._outcome(now), bool(ended and self._ends), False, info

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays from which ``set_state`` goes on, bit for bit.

        What an outer wrapper counts, such as ``TimeLimit``, is not in it.
        """
        state: dict[str, Any] = {
            "world": self._kind(),
            "physics": physics(self._inner.model, self._inner.data),
            "memories": [memory(owner) for owner in self._owners()[1:]],
            "outer": random_state(self),
            "succeeded": self._succeeded,
            "shown": deepcopy(self._shown),
        }
        rule = self._rule()
        return state if rule is None else {**state, "rule": rule_memory(rule)}

    def set_state(self, state: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Go on from ``get_state`` of any world with the same task.

        Returns:
            Observation and info as they were then.

        Raises:
            DenseGymError: it is no state, or one of another task or scene.
        """
        check_state(self, state, self._kind())
        restore_physics(self._inner.model, self._inner.data, state["physics"])
        for owner, kept in zip(self._owners()[1:], state["memories"], strict=True):
            restore_memory(owner, kept)
        restore_random(self, state["outer"])
        self._succeeded = state["succeeded"]
        rule = self._rule()
        if rule is not None:
            restore_rule(rule, state["rule"])
        obs, info = deepcopy(state["shown"])
        self._shown = (obs, info)
        return deepcopy(obs), dict(info)

    def _owners(self) -> list[Any]:
        """Return all envs with a generator of their own, this one first."""
        return [self, *dict.fromkeys((self.held, self._inner))]

    def _kind(self) -> str:
        """Return what a state must be of, to fit."""
        return type(self.held).__name__

    def _rule(self) -> Any:
        """Return what remembers the episode besides the held env, or None."""
        return None

    def render(self) -> Any:
        """Return an (H, W, 3) uint8 picture, or None without ``render_mode="rgb_array"``."""
        if self.render_mode is None:
            return None
        viewer = getattr(getattr(self._inner, "mujoco_renderer", None), "viewer", None)
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

        cameras = request.cameras or self._own_cameras()
        model, data = self._inner.model, self._inner.data
        return draw(model, data, request, cameras=cameras, hidden=hidden)

    def _own_cameras(self) -> tuple[Any, ...]:
        """Return what ``render`` looks through: a camera of the model, or upstream's free view."""
        from densegym.envs.robot.pictures import free_view

        model, renderer = self._inner.model, self._inner.mujoco_renderer
        if renderer.camera_id >= 0:
            return (model.camera(renderer.camera_id).name,)
        if self._view is None:  # of the first state that is drawn, as upstream's
            self._view = free_view(model, self._inner.data, renderer.default_cam_config)
        return (self._view,)

    def close(self) -> None:
        """Close the held env."""
        viewer: Any = getattr(getattr(self._inner, "mujoco_renderer", None), "viewer", None)
        if hasattr(viewer, "con"):
            # Shapes are freed in whatever context is current, and would be gone from judges' too.
            viewer.make_context_current()
            viewer.con.free()
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
