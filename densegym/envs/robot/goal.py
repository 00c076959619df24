"""Goal-conditioned worlds of Gymnasium-Robotics: Fetch and PointMaze, ready for hindsight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from densegym.envs.robot.robotics import RoboticsWorld
from densegym.errors import DenseGymError

MAZE_RADIUS = 0.45  # metres between achieved and desired goal that count as success


class _GoalWorld(RoboticsWorld):
    """Says how far the goal is, and may be given one."""

    reset_options: tuple[str, ...] = ("state", "goal")

    def _place_goal(self, obs: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
        """Move the goal to where options want it.

        Raises:
            DenseGymError: it is no point.
        """
        if "goal" not in options:
            return obs
        goal, shape = np.asarray(options["goal"], dtype=np.float64), self.held.goal.shape
        if goal.shape != shape or not np.isfinite(goal).all():
            raise DenseGymError(
                f'reset(options={{"goal": ...}}) takes {shape[0]} finite metres; '
                f"given {options['goal']!r:.80}"
            )
        self.held.goal = goal.copy()
        return {**obs, "desired_goal": goal}

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
        **options: see ``RoboticsWorld``; of upstream's options also ``distance_threshold`` (m),
            ``obj_range``, ``target_range``, ``target_offset`` and ``target_in_the_air``.

    ``reset(options=...)`` takes ``goal``, (3,) metres, and ``state``.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 25}  # noqa: RUF012
    adjustable = (
        "distance_threshold",
        "obj_range",
        "target_range",
        "target_offset",
        "target_in_the_air",
    )

    ends_at_success = False

    def _begin(self, seed: int | None, options: Mapping[str, Any]) -> Any:
        return self._place_goal(super()._begin(seed, options), options)

    def compute_reward(
        self, achieved_goal: npt.NDArray[Any], desired_goal: npt.NDArray[Any], info: Any
    ) -> npt.NDArray[np.float64]:
        """Return the sparse reward of goals (..., 3): 0.0 within the threshold, else -1.0."""
        threshold: float = self.held.distance_threshold
        return -(_distance(achieved_goal, desired_goal) > threshold).astype(np.float64)

    def compute_expert_reward(
        self, achieved_goal: npt.NDArray[Any], desired_goal: npt.NDArray[Any], info: Any
    ) -> npt.NDArray[np.float64]:
        """Return the expert's reward of goals (..., 3): the negative distance in metres."""
        return -_distance(achieved_goal, desired_goal)

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
        **options: see ``RoboticsWorld``; of upstream's options ``maze_map`` is the most useful.

    ``reset(options=...)`` takes ``goal``, (2,) metres, or ``goal_cell``, and ``reset_cell``, each a
    (row, column) of the map around whose middle upstream draws a place; and ``state``.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012
    reset_options = ("state", "goal", "goal_cell", "reset_cell")
    ours = {  # noqa: RUF012
        **RoboticsWorld.ours,
        "continuing_task": "Type terminate_on_success=False for a task that goes on",
        "reset_target": "A goal stays where it is; give the next by reset(options={'goal': ...})",
    }

    # Upstream would end the episode itself; a continuing task that keeps its goal leaves that
    # decision to us.
    upstream_kwargs = {"continuing_task": True, "reset_target": False}  # noqa: RUF012

    def _begin(self, seed: int | None, options: Mapping[str, Any]) -> Any:
        if "goal" in options and "goal_cell" in options:
            raise DenseGymError('"goal" and "goal_cell" are the same thing. Give one of them')
        cells = {name: options[name] for name in ("goal_cell", "reset_cell") if name in options}
        for name, cell in cells.items():
            self._check_cell(name, cell)
        if not cells:
            return self._place_goal(super()._begin(seed, options), options)
        obs, _ = self.held.reset(
            seed=seed, options={name: np.asarray(cell) for name, cell in cells.items()}
        )
        return self._place_goal(obs, options)

    def _place_goal(self, obs: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
        obs = super()._place_goal(obs, options)
        self.held.update_target_site_pos()
        return obs

    def _check_cell(self, name: str, cell: Any) -> None:
        rows, columns = self.held.maze.map_length, self.held.maze.map_width
        place = np.asarray(cell)
        inside = place.shape == (2,) and place.dtype.kind == "i"
        inside = inside and bool((place >= 0).all() and (place < (rows, columns)).all())
        if not inside or self.held.maze.maze_map[int(place[0])][int(place[1])] == 1:
            raise DenseGymError(
                f"{name} is a free (row, column) of the map of {rows} x {columns} cells; "
                f"given {cell!r:.80}"
            )

    def compute_reward(
        self, achieved_goal: npt.NDArray[Any], desired_goal: npt.NDArray[Any], info: Any
    ) -> npt.NDArray[np.float64]:
        """Return the sparse reward of goals (..., 2): 1.0 within 45 cm, else 0.0."""
        return (_distance(achieved_goal, desired_goal) <= MAZE_RADIUS).astype(np.float64)


def _distance(achieved: npt.NDArray[Any], desired: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.asarray(np.linalg.norm(np.asarray(achieved) - desired, axis=-1), dtype=np.float64)
