"""The 50 Meta-World v3 tasks, repaired for Gymnasium and Stable-Baselines3."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from gymnasium import spaces

from densegym.envs.protocols import OWN
from densegym.envs.robot.base import SparseWorld
from densegym.envs.robot.rendering import choose_backend
from densegym.envs.robot.upstream.state import PLACED
from densegym.errors import DenseGymError, require, unknown
from densegym.reward_models.types import Float, Frames, Pictures

mujoco: Any = require("mujoco", extra="robot")
_MujocoEnv: Any = require("gymnasium.envs.mujoco", extra="robot").MujocoEnv
_UPSIDE_DOWN = ("corner", "corner2", "corner3", "corner4")
_WIDTH = 1e-3  # metres, half the width of the space of a goal that never moves
CAMERAS = ("topview", "corner", "corner2", "corner3", "corner4", "behindGripper", "gripperPOV")


class MetaWorldEnv(SparseWorld):
    """A Sawyer task with random goals that pays 1.0 on every step at which its rule holds.

    Repairs: ``reset(seed=)`` decides the whole episode (upstream ignores it); the observation lies
    inside its space; ``is_success`` is latched; success terminates. Upstream settles the hand
    twice per reset, so that objects stand still the second time; placing a pristine scene first
    and settling once gives the same state, bit for bit, in half the time.

    Args:
        task: upstream name, e.g. ``"button-press-v3"``.
        expert_version: version of the hand-written reward in ``info["expert_reward"]``.
        terminate_on_success: end the episode at the first success; by default it does.
        protocol: see ``densegym.envs.protocols``.
        goals: draw every episode's placement from so many frozen ones, as Meta-World's MT and ML
            benchmarks do with 50; None draws a new one each time. ``info["goal_index"]`` tells
            which, and ``reset(options={"goal": 3})`` asks for one.
        goals_seed: decides which placements are frozen.
        render_mode: ``"rgb_array"`` or None.
        camera: one of ``CAMERAS``; pictures of those that hang upside down are turned.
        width: of pictures, pixels.
        height: of pictures, pixels.
        reward: ignored; the wrapper around the world pays it.
        **upstream: other constructor arguments of the upstream task; most take none.

    Raises:
        MissingExtraError: Meta-World is not installed.
        UnknownNameError: no such task or camera.
        DenseGymError: no goals, or the upstream task takes no such option.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 80}  # noqa: RUF012  Gymnasium's own shape
    _goal = 0.0

    def __init__(
        self,
        task: str = "button-press-v3",
        *,
        expert_version: Literal["v1", "v2"] = "v2",
        terminate_on_success: bool | None = None,
        protocol: str = OWN,
        goals: int | None = None,
        goals_seed: int = 0,
        render_mode: str | None = None,
        camera: str = "corner3",
        width: int = 480,
        height: int = 480,
        reward: object = None,
        **upstream: Any,
    ) -> None:
        require("metaworld", extra="robot")
        if render_mode is not None:
            choose_backend()
        if camera not in CAMERAS:
            raise unknown("camera", camera, CAMERAS)
        if expert_version not in ("v1", "v2"):
            raise unknown("expert_version", expert_version, ("v1", "v2"))
        self.sawyer: Any = _make_sawyer(
            task,
            render_mode=render_mode,
            camera_name=camera,
            width=width,
            height=height,
            reward_function_version=expert_version,
            **upstream,
        )
        self.task, self._turned = task, camera in _UPSIDE_DOWN
        self._pristine = {name: getattr(self.sawyer.model, name).copy() for name in PLACED}
        super().__init__(
            self.sawyer,
            terminate_on_success=terminate_on_success,
            render_mode=render_mode,
            protocol=protocol,
            camera=camera,
        )
        self.reset_options = ("state",) if goals is None else ("state", "goal")
        self._goals = None if goals is None else self._frozen_goals(goals, goals_seed)

    def render(self) -> Any:
        """Return an (H, W, 3) uint8 picture, upright whatever the camera."""
        picture = super().render()
        if picture is None or not self._turned:
            return picture
        return np.ascontiguousarray(picture[::-1, ::-1])

    def draw(self, request: Pictures, *, hidden: Sequence[str] = ()) -> Frames:
        """Return pictures for a judge, upright whatever the camera."""
        pictures = super().draw(request, hidden=hidden)
        for view, camera in enumerate(request.cameras or self._own_cameras()):
            if camera in _UPSIDE_DOWN:
                pictures[view] = pictures[view, ::-1, ::-1].copy()
        return pictures

    def _kind(self) -> str:
        return self.task

    def _reset_held(
        self, seed: int | None, options: dict[str, Any] | None
    ) -> tuple[Float, dict[str, Any]]:
        sawyer = self.sawyer
        self._clear()
        goal = self._choose(seed, options or {})
        sawyer.curr_path_length = 0
        self._place(seed, goal)
        _MujocoEnv.reset(sawyer)
        # Some tasks move joints last, and would show the object where it was before.
        mujoco.mj_kinematics(sawyer.model, sawyer.data)
        obs = sawyer._get_obs()
        # The two halves of an observation are this frame and the one before it.
        sawyer._prev_obs = obs[:18].copy()
        obs[18:36] = sawyer._prev_obs
        space = sawyer.sawyer_observation_space
        obs = np.clip(obs, space.low, space.high)
        zeros = {"expert_reward": 0.0, "obj_to_target": 0.0, "near_object": 0.0}
        return obs, zeros if self._goals is None else {**zeros, "goal_index": self._goal}

    def _clear(self) -> None:
        """Put the scene where the model's file has it."""
        for name, values in self._pristine.items():
            getattr(self.sawyer.model, name)[:] = values

    def _choose(self, seed: int | None, options: Mapping[str, Any]) -> Float | None:
        """Return one of the frozen placements, or None where every episode draws its own."""
        if self._goals is None:
            return None
        if "goal" not in options:
            self._goal = float(self.np_random.integers(len(self._goals)))
        else:
            asked = options["goal"]
            if isinstance(asked, bool) or asked not in range(len(self._goals)):
                raise DenseGymError(
                    f'reset(options={{"goal": ...}}) takes 0 to {len(self._goals) - 1}; '
                    f"given {asked!r:.80}"
                )
            self._goal = float(asked)
        return self._goals[int(self._goal)]

    def _frozen_goals(self, count: int, seed: int) -> list[Float]:
        """Draw placements as resets do, which redraw those that a task cannot use."""
        if count < 1:
            raise DenseGymError(f"goals is at least 1, or None for new ones; given {count}")
        drawn = []
        for number in range(count):
            self._clear()
            self._place(seed if number == 0 else None, None)
            drawn.append(np.array(self.sawyer._last_rand_vec))
        self._clear()
        return drawn

    def _place(self, seed: int | None, goal: Float | None) -> None:
        """Draw the episode's goal and put the scene there, without settling the hand.

        The hand must settle among objects that already stand where this episode wants them.
        """
        sawyer = self.sawyer
        settle = type(sawyer)._reset_hand

        def stay(steps: int = 50) -> None:
            mujoco.mj_kinematics(sawyer.model, sawyer.data)
            settle(sawyer, 0)

        sawyer._freeze_rand_vec = goal is not None
        if goal is not None:
            sawyer._last_rand_vec = goal.copy()
        sawyer._reset_hand = stay
        try:
            _MujocoEnv.reset(sawyer, seed=seed)
        finally:
            del sawyer._reset_hand
        sawyer._freeze_rand_vec = True  # the reset that follows keeps this draw

    def _step_held(self, action: Any) -> tuple[Float, bool, bool, dict[str, Any]]:
        obs, expert, _, _, told = self.sawyer.step(action)
        info = {
            "expert_reward": float(expert),
            "obj_to_target": float(told["obj_to_target"]),
            "near_object": float(told["near_object"]),
        }
        if self._goals is not None:
            info["goal_index"] = self._goal
        return obs, bool(told["success"]), False, info


def _make_sawyer(task: str, **kwargs: Any) -> Any:
    known: Any = require("metaworld.env_dict", extra="robot").ALL_V3_ENVIRONMENTS

    if task not in known:
        raise unknown("Meta-World task", task, known)
    from densegym.envs.robot.upstream.lean import lean  # imports Meta-World

    creator = known[task]
    _repair_welds()
    try:
        sawyer: Any = lean(creator)(**kwargs)
    except TypeError as error:
        raise DenseGymError(f"{task} does not take these options: {error}") from error
    sawyer.seeded_rand_vec = True
    sawyer._freeze_rand_vec = False
    sawyer._set_task_called = True
    sawyer._partially_observable = False
    # The space was built while the goal's bounds were zero.
    vars(sawyer).pop("sawyer_observation_space", None)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*maximum and minimum values are equal")
        bounds = sawyer.sawyer_observation_space
    # Goals that never move have no width, which checkers and learners dislike.
    fixed = bounds.low == bounds.high
    sawyer.observation_space = spaces.Box(
        np.where(fixed, bounds.low - _WIDTH, bounds.low),
        np.where(fixed, bounds.high + _WIDTH, bounds.high),
        dtype=np.float64,
    )
    sawyer.max_path_length = sys.maxsize  # the clock is TimeLimit's
    return sawyer


def _repair_welds() -> None:
    """Let Meta-World run on MuJoCo versions whose weld rows are wider than the 11 it writes."""
    if mujoco.mjNEQDATA == 11:
        return
    base: Any = require("metaworld.sawyer_xyz_env", extra="robot").SawyerMocapBase

    def reset_mocap_welds(self: Any) -> None:
        data = self.model.eq_data
        for row in np.flatnonzero(self.model.eq_type == mujoco.mjtEq.mjEQ_WELD):
            data[row, :11] = 0.0
            data[row, 6], data[row, 10] = -1.0, 5.0

    base.reset_mocap_welds = reset_mocap_welds
