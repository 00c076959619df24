"""The four Adroit hand tasks, paid by success alone."""

from __future__ import annotations

from densegym.envs.robot.robotics import RoboticsWorld


class AdroitEnv(RoboticsWorld):
    """A Shadow hand that pays 1.0 on every step at which the task's rule holds.

    Upstream's dense rewards are not offered as experts: in version 1.4.2 door, hammer and
    relocate pay for distance between palm and object instead of charging for it.

    Args:
        task: upstream id, e.g. ``"AdroitHandDoorSparse-v1"``.
        terminate_on_success: end the episode at the first success; by default it does.
        protocol: see ``densegym.envs.protocols``.
        render_mode: ``"rgb_array"`` or None.
        reward: ignored; the wrapper around the world pays it.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 100}  # noqa: RUF012
