"""Goal-conditioned worlds of Gymnasium-Robotics: Fetch and PointMaze, ready for hindsight."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from densegym.envs.robot.robotics import RoboticsWorld

FETCH_RADIUS = 0.05  # metres between achieved and desired goal that count as success
MAZE_RADIUS = 0.45


class _GoalWorld(RoboticsWorld):
    """Says how far the goal is."""

    def _floats(self, obs: dict[str, Any]) -> dict[str, Any]:
        return {"distance_to_goal": _distance(obs["achieved_goal"], obs["desired_goal"]).item()}


class FetchEnv(_GoalWorld):
    """A Fetch arm that pays -1 until the goal is met and 0 while it is.

    The episode goes on after success, as hindsight replay expects; ``info["is_success"]`` is
    latched, ``info["success_now"]`` is upstream's flag. The expert is the negative distance.

    Args:
        task: upstream id, e.g. ``"FetchPush-v4"``.
        terminate_on_success: end the episode at the first success; by default it goes on.
        protocol: see ``densegym.envs.protocols``.
        render_mode: ``"rgb_array"`` or None.
        reward: ignored; the wrapper around the world pays it.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 25}  # noqa: RUF012
    ends_at_success = False

    def compute_reward(
        self, achieved_goal: npt.NDArray[Any], desired_goal: npt.NDArray[Any], info: Any
    ) -> npt.NDArray[np.float64]:
        """Return the sparse reward of goals (..., 3): 0.0 within 5 cm, else -1.0."""
        return -(_distance(achieved_goal, desired_goal) > FETCH_RADIUS).astype(np.float64)

    def _outcome(self, success_now: float) -> float:
        return success_now - 1.0

    def _floats(self, obs: dict[str, Any]) -> dict[str, Any]:
        floats = super()._floats(obs)
        return {**floats, "expert_reward": -floats["distance_to_goal"]}


class PointMazeEnv(_GoalWorld):
    """A ball in a maze that pays 1.0 at the goal, where the episode ends.

    Args:
        task: upstream id, e.g. ``"PointMaze_UMaze-v3"``.
        terminate_on_success: end the episode at the first success; by default it does.
        protocol: see ``densegym.envs.protocols``.
        render_mode: ``"rgb_array"`` or None.
        reward: ignored; the wrapper around the world pays it.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012

    # Upstream would end the episode itself; a continuing task that keeps its goal leaves that
    # decision to us.
    upstream_kwargs = {"continuing_task": True, "reset_target": False}  # noqa: RUF012

    def compute_reward(
        self, achieved_goal: npt.NDArray[Any], desired_goal: npt.NDArray[Any], info: Any
    ) -> npt.NDArray[np.float64]:
        """Return the sparse reward of goals (..., 2): 1.0 within 45 cm, else 0.0."""
        return (_distance(achieved_goal, desired_goal) <= MAZE_RADIUS).astype(np.float64)


def _distance(achieved: npt.NDArray[Any], desired: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.asarray(np.linalg.norm(np.asarray(achieved) - desired, axis=-1), dtype=np.float64)
