"""The four Adroit hand tasks, paid by success alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from densegym.envs.robot.robotics import RoboticsWorld
from densegym.errors import DenseGymError


class AdroitEnv(RoboticsWorld):
    """A Shadow hand that pays 1.0 on every step at which the task's rule holds.

    Upstream's dense rewards are not offered as experts: in version 1.4.2 door, hammer and
    relocate pay for distance between palm and object instead of charging for it.

    Args:
        task: upstream id, e.g. ``"AdroitHandDoorSparse-v1"``.
        terminate_on_success: end the episode at the first success; by default it does.
        protocol: see ``densegym.envs.protocols``.
        **options: see ``RoboticsWorld``.

    ``reset(options=...)`` takes upstream's ``initial_state_dict``, and ``state``.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 100}  # noqa: RUF012
    reset_options = ("state", "initial_state_dict")

    def _begin(self, seed: int | None, options: Mapping[str, Any]) -> Any:
        if "initial_state_dict" not in options:
            return super()._begin(seed, options)
        try:
            return self.held.reset(seed=seed, options=dict(options))[0]
        except (AssertionError, KeyError) as error:
            raise DenseGymError(
                f"initial_state_dict of {self.task} has the entries and shapes of "
                f"held.get_env_state(): {', '.join(self.held.get_env_state())}"
            ) from error
