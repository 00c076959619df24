"""Task fitness F: what an episode achieved, read from the world's info and never from a reward.

A search for rewards trains on the authored reward and selects by F; the two must not be mixed up
(Ma et al., Eureka, 2023, definition 2.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from densegym.envs.tasks import find_world, task_card
from densegym.envs.world import World
from densegym.reward_models.types import Info

STEP_SECONDS = {"Hopper": 0.008, "Walker2d": 0.008, "HalfCheetah": 0.05, "Ant": 0.05}


@dataclass(frozen=True, slots=True)
class Fitness:
    """F of one kind of task; larger is better.

    Attributes:
        unit: ``"m/s"`` where F is the mean forward velocity over the whole nominal episode: a
            robot that fell stands still for the steps it lost. ``"1"`` where F is 1.0 if the
            world's success rule was met at any step, else 0.0.
        step_seconds: duration of a step for velocities, s.
    """

    unit: str
    step_seconds: float = 1.0

    def __call__(self, infos: Sequence[Info], horizon: int) -> float:
        """Return F of one episode of T steps.

        Args:
            infos: T + 1 infos, the one of the reset first.
            horizon: steps of an episode that is not cut short.
        """
        if self.unit == "m/s":
            gain = infos[-1]["x_position"] - infos[0]["x_position"]
            return float(gain) / (horizon * self.step_seconds)
        return float(infos[-1]["is_success"])


def fitness(env_id: str) -> Fitness:
    """Return F of a task: forward velocity of locomotion forward skills, success of all others.

    Flips, lying down and waving have no magnitude beyond their latched success rule.

    Raises:
        UnknownNameError: no such id; names the closest.
    """
    task_card(env_id)
    robot = _runner(find_world(env_id))
    return Fitness("1") if robot is None else Fitness("m/s", STEP_SECONDS[robot])


def evaluation_kwargs(env_id: str) -> Mapping[str, Any]:
    """Return the world's constructor arguments under which F means what it says.

    A forward skill that ended its episode at success would cut off the very run F measures.
    """
    task_card(env_id)
    return {} if _runner(find_world(env_id)) is None else {"terminate_on_success": False}


def _runner(world: World | None) -> str | None:
    """Return the robot of a forward skill, or None for any other world."""
    skill = "" if world is None else str(world.kwargs.get("skill", ""))
    robot = skill.removesuffix("Forward")
    return robot if robot in STEP_SECONDS and robot != skill else None
