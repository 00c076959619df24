"""Meta-World's tasks with the same numbers, to the last bit, for a fraction of the time.

A task's own code stays: its functions are given other helpers. What every task shares (contacts,
observations, a step) is written anew with looked-up ids and arrays that are filled in place.
"""

from __future__ import annotations

from functools import cache, cached_property
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np

from densegym.errors import require

mujoco: Any = require("mujoco", extra="robot")
_Sawyer: Any = require("metaworld.sawyer_xyz_env", extra="robot").SawyerXYZEnv
_utils: Any = require("metaworld.utils.reward_utils", extra="robot")
_Rotation: Any = require("scipy.spatial.transform", extra="robot").Rotation
_QUATERNION = np.array([1.0, 0.0, 1.0, 0.0])  # of the hand, which never turns
_ORTHOGONAL = 1e-12  # least error from which SciPy mends a matrix


class LeanSawyer:
    """What all tasks share; a mixin in front of an upstream task."""

    data: Any
    model: Any

    def touching_object(self, object_geom_id: int) -> bool:
        """Return whether both pads press on a geom."""
        pads, contact = self._pads, self.data.contact
        pairs, force = contact.geom, self.data.efc_force
        rows = np.flatnonzero((pairs == object_geom_id).any(axis=1)).tolist()
        total = [0.0, 0.0]
        for row in rows:
            pair = pairs[row].tolist()
            for side, pad in enumerate(pads):
                if pad in pair:
                    total[side] += force[contact.efc_address[row]]
        return total[0] > 0 and total[1] > 0

    def get_endeff_pos(self) -> Any:
        """Return the hand's position, a view."""
        return self.data.xpos[self._bodies[0]]

    @property
    def tcp_center(self) -> Any:
        """Return the middle of the fingers."""
        right, left = self._fingers
        return (self.data.site_xpos[right] + self.data.site_xpos[left]) / 2.0

    def set_xyz_action(self, action: Any) -> None:
        """Move the hand's target by an action, within its bounds."""
        this: Any = self
        moved = self.data.mocap_pos + (_clipped(action, -1, 1) * this.action_scale)[None]
        moved[0] = _clipped(moved[0], this.mocap_low, this.mocap_high)
        self.data.mocap_pos[:] = moved
        self.data.mocap_quat[:] = _QUATERNION

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the task as upstream does."""
        this: Any = self
        if this.curr_path_length >= this.max_path_length or this._did_see_sim_exception:
            told: tuple[Any, Any, bool, bool, dict[str, Any]] = super().step(action)  # type: ignore[misc]
            return told
        self.set_xyz_action(action[:3])
        this.do_simulation([action[-1], -action[-1]], this.frame_skip)
        this.curr_path_length += 1
        for site, position in this._target_site_config:
            this._set_pos_site(site, position)
        mujoco.mj_forward(self.model, self.data)
        space = this.sawyer_observation_space
        obs = this._last_stable_obs = _clipped(self._get_obs(), space.low, space.high)
        reward, info = this.evaluate_state(obs, action)
        cut = this.curr_path_length == this.max_path_length
        return obs.copy(), reward, False, cut, info

    def _get_obs(self) -> Any:
        this: Any = self
        goal = this._get_pos_goal()
        now = self._get_curr_obs_combined_no_goal()
        before, this._prev_obs = this._prev_obs, now
        last = np.zeros_like(goal) if this._partially_observable else goal
        return np.concatenate((now, before, last))

    def _get_curr_obs_combined_no_goal(self) -> Any:
        this: Any = self
        places, (_, right, left) = self.data.xpos, self._bodies
        obs = np.zeros(4 + this._obs_obj_max_len)
        obs[:3] = self.get_endeff_pos()
        apart = places[right] - places[left]
        obs[3] = min(max(np.sqrt(apart.dot(apart)) / 0.1, 0.0), 1.0)
        positions, turns = this._get_pos_objects(), this._get_quat_objects()
        if len(positions) == 3 and len(turns) == 4:
            obs[4:7], obs[7:11] = positions, turns
            return obs
        each = zip(positions.reshape(-1, 3), turns.reshape(-1, 4), strict=False)
        rows = np.concatenate([part for pair in each for part in pair])
        obs[4 : 4 + len(rows)] = rows
        return obs

    @cached_property
    def _bodies(self) -> tuple[int, int, int]:
        hand, right, left = (self.model.body(n).id for n in ("hand", "rightclaw", "leftclaw"))
        return hand, right, left

    @cached_property
    def _fingers(self) -> tuple[int, int]:
        right, left = (self.model.site(f"{side}EndEffector").id for side in ("right", "left"))
        return right, left

    @cached_property
    def _pads(self) -> tuple[int, int]:
        left, right = (self.model.geom(f"{side}pad_geom").id for side in ("left", "right"))
        return left, right


@cache
def lean(task: type) -> type:
    """Return an upstream task's class with the same numbers in less time.

    Args:
        task: a subclass of Meta-World's ``SawyerXYZEnv``.
    """
    own: dict[str, Any] = {}
    for base in task.__mro__[: task.__mro__.index(_Sawyer) + 1]:
        for name, member in vars(base).items():
            if name not in own and name not in vars(LeanSawyer):
                own |= _rebound(name, member)
    return type(task.__name__, (LeanSawyer, task), {**own, "__module__": task.__module__})


def _rebound(name: str, member: Any) -> dict[str, Any]:
    """Return a member that calls the lean helpers, or nothing where it calls none of them."""
    function = member.__func__ if isinstance(member, staticmethod) else member
    if not isinstance(function, FunctionType) or not _HELPERS.keys() & set(
        function.__code__.co_names
    ):
        return {}
    seen = {**function.__globals__, **_HELPERS}
    copy = FunctionType(function.__code__, seen, name, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return {name: staticmethod(copy) if isinstance(member, staticmethod) else copy}


def _clipped(values: Any, low: Any, high: Any) -> Any:
    return np.minimum(np.maximum(values, low), high)


class _Turn:
    """Stands for SciPy's Rotation where only the quaternion of one matrix is asked."""

    def __init__(self, matrix: Any) -> None:
        self._matrix = matrix

    from_matrix = classmethod(lambda cls, matrix: cls(matrix))

    def as_quat(self) -> Any:
        """Return (4,) float64, the real part last, by Markley's method as SciPy has it."""
        (a, b, c), (d, e, f), (g, h, i) = self._matrix.tolist()
        if not _is_rotation(a, b, c, d, e, f, g, h, i):
            return _Rotation.from_matrix(self._matrix).as_quat()
        trace = a + e + i
        most = max(a, e, i, trace)
        if most == a:
            quaternion = (1 - trace + 2 * a, d + b, g + c, h - f)
        elif most == e:
            quaternion = (d + b, 1 - trace + 2 * e, h + f, c - g)
        elif most == i:
            quaternion = (g + c, h + f, 1 - trace + 2 * i, d - b)
        else:
            quaternion = (h - f, c - g, d - b, 1 + trace)
        x, y, z, w = quaternion
        norm = float(np.sqrt(x * x + y * y + z * z + w * w))
        return np.array([x / norm, y / norm, z / norm, w / norm])


def _is_rotation(
    a: float, b: float, c: float, d: float, e: float, f: float, g: float, h: float, i: float
) -> bool:
    within = _ORTHOGONAL / 2
    return (
        abs(a * d + b * e + c * f) < within
        and abs(a * g + b * h + c * i) < within
        and abs(d * g + e * h + f * i) < within
        and abs(a * a + b * b + c * c - 1.0) < within
        and abs(d * d + e * e + f * f - 1.0) < within
        and abs(g * g + h * h + i * i - 1.0) < within
        and a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g) > 0.0
    )


def _tolerance(
    x: Any,
    bounds: tuple[float, float] = (0.0, 0.0),
    margin: Any = 0.0,
    sigmoid: str = "gaussian",
    value_at_margin: float = 0.1,
) -> Any:
    """Return upstream's tolerance, a single number with a long tail without any array."""
    lower, upper = bounds
    if sigmoid != "long_tail" or not isinstance(x, float) or lower > upper or not margin > 0:
        return _utils.tolerance(x, bounds, margin, sigmoid, value_at_margin)
    if lower <= x <= upper:
        return 1.0
    away = (lower - x if x < lower else x - upper) / margin
    scaled = away * np.sqrt(1 / value_at_margin - 1)
    return float(1 / (scaled**2 + 1))


_SHARED = {name: value for name, value in vars(_utils).items() if not name.startswith("__")}
_HELPERS = {
    "reward_utils": SimpleNamespace(**{**_SHARED, "tolerance": _tolerance}),
    "Rotation": _Turn,
}
