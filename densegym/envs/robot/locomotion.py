"""Locomotion skills on Gymnasium's MuJoCo robots, paid by programmatic success rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from densegym.envs.protocols import OWN
from densegym.envs.robot.base import SparseWorld
from densegym.envs.robot.rendering import choose_backend
from densegym.envs.robot.skills import Flip, Forward, LieDown, Posture, Skill, WaveLeg
from densegym.envs.robot.upstream.making import make_held
from densegym.errors import unknown
from densegym.reward_models.types import Bool, Float

_ANY_POSTURE = {"terminate_when_unhealthy": False}
_FEET = {
    "Hopper-v5": ("foot_geom",),
    "Walker2d-v5": ("foot_geom", "foot_left_geom"),
    "HalfCheetah-v5": ("bfoot", "ffoot"),
    "Ant-v5": ("left_ankle_geom", "right_ankle_geom", "third_ankle_geom", "fourth_ankle_geom"),
}
SKILLS: dict[str, tuple[str, Callable[[], Skill], dict[str, Any]]] = {
    "HopperForward": ("Hopper-v5", lambda: Forward(2.0, 0.7), {}),
    "HopperFrontflip": ("Hopper-v5", lambda: Flip(+1), _ANY_POSTURE),
    "HopperBackflip": ("Hopper-v5", lambda: Flip(-1), _ANY_POSTURE),
    "AntForward": ("Ant-v5", lambda: Forward(2.0, 0.2), {}),
    "AntLieDown": ("Ant-v5", LieDown, _ANY_POSTURE),
    "AntWaveLeg": ("Ant-v5", WaveLeg, _ANY_POSTURE),
    "HalfCheetahForward": ("HalfCheetah-v5", lambda: Forward(10.0, -np.inf), {}),
    "Walker2dForward": ("Walker2d-v5", lambda: Forward(2.0, 0.7), {}),
}


class LocomotionEnv(SparseWorld):
    """A MuJoCo robot that pays 1.0 once, at the step where it has shown a skill.

    The observation is Gymnasium's; ``info`` adds ``x_position``, ``x_velocity`` and, per foot,
    ``foot_height`` (m, lowest point of the foot's capsule) and ``foot_contact`` (0 or 1). For the
    forward skills the expert is Gymnasium's own reward.

    Args:
        skill: one of ``SKILLS``.
        terminate_on_success: end the episode when the skill was shown; by default it does.
        protocol: see ``densegym.envs.protocols``.
        render_mode: ``"rgb_array"`` or None.
        width: of pictures, pixels.
        height: of pictures, pixels.
        camera: of the model, e.g. ``"track"``; None is upstream's own view.
        reward: ignored; the wrapper around the world pays it.
        **upstream: other options of Gymnasium's robot, e.g. ``terminate_when_unhealthy=False`` or
            ``reset_noise_scale=0.0``; they replace the skill's own.

    Raises:
        UnknownNameError: no such skill or camera.
        DenseGymError: Gymnasium's robot takes no such option.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012

    def __init__(
        self,
        skill: str,
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
        if skill not in SKILLS:
            raise unknown("skill", skill, SKILLS)
        robot, rule, kwargs = SKILLS[skill]
        if render_mode is not None:
            choose_backend()
        shown = {"render_mode": render_mode, "width": width, "height": height}
        super().__init__(
            make_held(robot, {**kwargs, **upstream, **shown}),
            terminate_on_success=terminate_on_success,
            render_mode=render_mode,
            protocol=protocol,
            camera=camera,
        )
        held = self.held
        self.metadata = {**self.metadata, "render_fps": held.metadata["render_fps"]}
        self._name = skill
        self._model, self._data = held.model, held.data
        self._feet = [self._model.geom(name).id for name in _FEET[robot]]
        self._floor = self._model.geom("floor").id
        self._flat = robot != "Ant-v5"  # planar robots have slide and hinge joints at the root
        self._dense = skill.endswith("Forward")
        self._skill = rule()
        self._paid = False

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays from which ``set_state`` goes on, bit for bit."""
        return {**super().get_state(), "paid": self._paid}

    def set_state(self, state: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Go on from ``get_state`` of any world with the same skill."""
        shown = super().set_state(state)
        self._paid = state["paid"]
        return shown

    def _kind(self) -> str:
        return self._name

    def _rule(self) -> Skill:
        return self._skill

    def _reset_held(
        self, seed: int | None, options: dict[str, Any] | None
    ) -> tuple[Float, dict[str, Any]]:
        obs, _ = self.held.reset(seed=seed)
        posture = self.posture()
        self._skill.reset(posture)
        self._paid = False
        return obs, self._floats(posture, 0.0, 0.0)

    def _step_held(self, action: Any) -> tuple[Float, bool, bool, dict[str, Any]]:
        obs, dense, terminated, _, told = self.held.step(action)
        posture = self.posture()
        shown = self._skill.update(posture)
        info = self._floats(posture, float(told["x_velocity"]), float(dense))
        return obs, shown, bool(terminated), info

    def _outcome(self, success_now: float) -> float:
        """Return 1.0 the first time the skill is shown; staying far ahead is no second feat."""
        first = success_now > 0.0 and not self._paid
        self._paid = self._paid or first
        return float(first)

    def posture(self) -> Posture:
        """Return what the success rules look at, read from the simulator."""
        data = self._data
        torso = data.body("torso")
        heights = self._foot_heights()
        legs = data.qvel[6:].reshape(-1, 2) if not self._flat else np.zeros((len(heights), 2))
        faster = np.abs(legs).argmax(axis=1)
        grounded = self._grounded_geoms()
        return Posture(
            x=float(data.qpos[0]),
            height=float(torso.xpos[2]),
            pitch=float(data.qpos[2]) if self._flat else 0.0,
            speed=float(np.linalg.norm(data.qvel[:2] if self._flat else data.qvel[:3])),
            up=float(torso.xmat[8]),
            airborne=not grounded.any(),
            foot_height=heights,
            foot_contact=grounded[self._feet],
            leg_velocity=legs[np.arange(len(legs)), faster],
        )

    def _foot_heights(self) -> Float:
        """Return the lowest point of every foot's capsule above the floor, (feet,) m."""
        model, data = self._model, self._data
        radius, half_length = model.geom_size[self._feet, 0], model.geom_size[self._feet, 1]
        slope = np.abs(data.geom_xmat[self._feet, 8])
        heights: Float = data.geom_xpos[self._feet, 2] - slope * half_length - radius
        return heights

    def _grounded_geoms(self) -> Bool:
        """Return which geoms touch the floor, (geoms,) bool."""
        pairs = self._data.contact.geom[: self._data.ncon]
        grounded = np.zeros(self._model.ngeom, dtype=np.bool_)
        grounded[pairs[(pairs == self._floor).any(axis=1)].ravel()] = True
        grounded[self._floor] = False
        return grounded

    def _floats(self, posture: Posture, velocity: float, dense: float) -> dict[str, Any]:
        info: dict[str, Any] = {
            "x_position": posture.x,
            "x_velocity": velocity,
            "foot_height": posture.foot_height,
            "foot_contact": posture.foot_contact.astype(np.float64),
        }
        return {**info, "expert_reward": dense} if self._dense else info
