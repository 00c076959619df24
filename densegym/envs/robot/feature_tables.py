"""What reward programs may read of each robot world, column by column of its observation."""

from __future__ import annotations

from collections.abc import Sequence

from densegym.reward_models.types import Feature


def _column(
    name: str,
    start: int,
    width: int,
    unit: str,
    frame: str,
    meaning: str,
    *,
    key: str | None = None,
) -> Feature:
    """Return a feature of the observation; width 0 is a scalar in one column."""
    shape = (width,) if width else ()
    columns = (start, start + max(width, 1))
    return Feature(name, shape, unit, frame, meaning, key=key, columns=columns)


def _run(
    rows: Sequence[tuple[str, int, str, str, str]], *, key: str | None = None
) -> list[Feature]:
    """Return features that follow each other in the observation from column 0."""
    features, start = [], 0
    for name, width, unit, frame, meaning in rows:
        features.append(_column(name, start, width, unit, frame, meaning, key=key))
        start += max(width, 1)
    return features


def _told(name: str, width: int, unit: str, meaning: str) -> Feature:
    """Return a feature that the world puts into info."""
    return Feature(name, (width,) if width else (), unit, "world", meaning, "info", key=name)


def _action(width: int, meaning: str) -> Feature:
    return Feature("action", (width,), "1", "-", meaning, "action")


def metaworld(
    object_meaning: str, second_meaning: str | None, quaternion: str = "w, x, y, z"
) -> tuple[Feature, ...]:
    """Return the table of a Meta-World task: the current frame of the 39 numbers.

    Args:
        object_meaning: what the first object slot holds.
        second_meaning: what the second holds, or None.
        quaternion: order of the first object's quaternion, or ``"zeros"`` where upstream fills
            the slot with zeros; it differs from task to task.
    """
    turned = "always zero here" if quaternion == "zeros" else f"orientation ({quaternion})"
    rows = [
        ("hand_position", 3, "m", "world", "position of the gripper's hand"),
        ("gripper_opening", 0, "1", "-", "how far the fingers are apart, 0 closed to 1 open"),
        ("object_position", 3, "m", "world", f"position: {object_meaning}"),
        ("object_quaternion", 4, "1", "world", f"{turned}: {object_meaning}"),
    ]
    if second_meaning is not None:
        # Only tasks with MuJoCo's own order give the second object an orientation.
        told = quaternion == "w, x, y, z"
        second_turned = f"orientation ({quaternion})" if told else "always zero here"
        rows += [
            ("second_object_position", 3, "m", "world", f"position: {second_meaning}"),
            ("second_object_quaternion", 4, "1", "world", f"{second_turned}: {second_meaning}"),
        ]
    goal = _column("goal_position", 36, 3, "m", "world", "where the task's object should be")
    push = _action(4, "hand displacement along x, y, z (1 is a centimetre a step), finger effort")
    return (*_run(rows), goal, push)


def _fetch(with_object: bool) -> tuple[Feature, ...]:
    gripper = [("gripper_position", 3, "m", "world", "position of the gripper")]
    fingers = ("finger_position", 2, "m", "gripper", "displacement of each finger")
    if with_object:
        rows = [
            *gripper,
            ("object_position", 3, "m", "world", "position of the object"),
            ("object_from_gripper", 3, "m", "world", "object position less gripper position"),
            fingers,
            ("object_rotation", 3, "rad", "world", "Euler angles of the object"),
            ("object_velocity", 3, "m/step", "gripper", "object velocity less gripper velocity"),
            ("object_angular_velocity", 3, "rad/step", "world", "angular velocity of the object"),
        ]
    else:
        rows = [*gripper, fingers]
    rows += [
        ("gripper_velocity", 3, "m/step", "world", "velocity of the gripper"),
        ("finger_velocity", 2, "m/step", "gripper", "velocity of each finger"),
    ]
    return (
        *_run(rows, key="observation"),
        _column(
            "achieved_goal", 0, 3, "m", "world", "what should be at the goal", key="achieved_goal"
        ),
        _column("desired_goal", 0, 3, "m", "world", "where it should be", key="desired_goal"),
        _action(4, "gripper displacement along x, y, z (1 is 5 cm a step), finger effort"),
    )


FETCH_REACH = _fetch(with_object=False)
FETCH_OBJECT = _fetch(with_object=True)
MAZE = (
    *_run(
        [
            ("position", 2, "m", "world", "position of the ball"),
            ("velocity", 2, "m/s", "world", "velocity of the ball"),
        ],
        key="observation",
    ),
    _column("achieved_goal", 0, 2, "m", "world", "position of the ball", key="achieved_goal"),
    _column("desired_goal", 0, 2, "m", "world", "where the ball should be", key="desired_goal"),
    _action(2, "force on the ball along x and y"),
)
ADROIT = {
    "Door": (
        *_run(
            [
                ("hand_joints", 27, "rad", "joint", "joint angles of arm and hand"),
                ("latch_angle", 0, "rad", "joint", "angle of the latch"),
                ("door_angle", 0, "rad", "joint", "angle of the hinge; open from 1.35"),
                ("palm_position", 3, "m", "world", "position of the palm"),
                ("handle_position", 3, "m", "world", "position of the handle"),
                ("palm_from_handle", 3, "m", "world", "palm position less handle position"),
                ("door_open", 0, "1", "-", "1 where the hinge is beyond 1 rad, else -1"),
            ]
        ),
        _action(28, "target angles of the actuators, scaled to [-1, 1]"),
    ),
    "Hammer": (
        *_run(
            [
                ("hand_joints", 27, "rad", "joint", "joint angles of arm and hand"),
                ("hammer_velocity", 6, "m/s, rad/s", "world", "hammer velocity, clipped to 1"),
                ("palm_position", 3, "m", "world", "position of the palm"),
                ("hammer_position", 3, "m", "world", "position of the hammer"),
                ("hammer_rotation", 3, "rad", "world", "Euler angles of the hammer"),
                ("nail_position", 3, "m", "world", "position of the nail's head"),
                ("nail_impact", 0, "N", "-", "force on the nail, clipped to 1"),
            ]
        ),
        _action(26, "target angles of the actuators, scaled to [-1, 1]"),
    ),
    "Pen": (
        *_run(
            [
                ("hand_joints", 24, "rad", "joint", "joint angles of the hand"),
                ("pen_position", 3, "m", "world", "position of the pen"),
                ("pen_velocity", 6, "m/s, rad/s", "world", "velocity of the pen"),
                ("pen_direction", 3, "1", "world", "unit vector along the pen"),
                ("desired_direction", 3, "1", "world", "unit vector along the target"),
                ("pen_from_target", 3, "m", "world", "pen position less target position"),
                ("direction_error", 3, "1", "world", "pen direction less desired direction"),
            ]
        ),
        _action(24, "target angles of the actuators, scaled to [-1, 1]"),
    ),
    "Relocate": (
        *_run(
            [
                ("hand_joints", 30, "rad", "joint", "joint angles of arm and hand"),
                ("palm_from_ball", 3, "m", "world", "palm position less ball position"),
                ("palm_from_target", 3, "m", "world", "palm position less target position"),
                ("ball_from_target", 3, "m", "world", "ball position less target position"),
            ]
        ),
        _action(30, "target angles of the actuators, scaled to [-1, 1]"),
    ),
}


def _planar(joints: int, feet: int, action: str) -> tuple[Feature, ...]:
    """Return the table of a robot in the x-z plane: heights, pitch, joints, then velocities."""
    rows = [
        ("torso_height", 0, "m", "world", "height of the torso (0 at rest for HalfCheetah)"),
        ("torso_pitch", 0, "rad", "world", "unwrapped; positive leans forward"),
        ("joint_angles", joints, "rad", "joint", "leg joints, back to front or top to bottom"),
        ("velocity_x", 0, "m/s", "world", "forward velocity, clipped to 10 but for HalfCheetah"),
        ("velocity_z", 0, "m/s", "world", "upward velocity, clipped to 10 but for HalfCheetah"),
        ("pitch_rate", 0, "rad/s", "world", "angular velocity of the torso"),
        ("joint_velocities", joints, "rad/s", "joint", "velocities of the leg joints"),
    ]
    return (*_run(rows), *_gait(feet), _action(joints, action))


def _gait(feet: int) -> tuple[Feature, ...]:
    return (
        _told("x_position", 0, "m", "forward position of the torso"),
        _told("foot_height", feet, "m", "lowest point of each foot above the floor"),
        _told("foot_contact", feet, "1", "1 for each foot that touches the floor, else 0"),
    )


_TORQUE = "torque of each leg joint, 1 is the actuator's full strength"
HOPPER = _planar(3, 1, _TORQUE)
WALKER = _planar(6, 2, _TORQUE)
CHEETAH = _planar(6, 2, _TORQUE)
ANT = (
    *_run(
        [
            ("torso_height", 0, "m", "world", "height of the torso"),
            ("torso_quaternion", 4, "1", "world", "orientation (w, x, y, z)"),
            ("joint_angles", 8, "rad", "joint", "hip and ankle of each of the four legs"),
            ("torso_velocity", 3, "m/s", "world", "velocity of the torso"),
            ("torso_angular_velocity", 3, "rad/s", "body", "angular velocity of the torso"),
            ("joint_velocities", 8, "rad/s", "joint", "hip and ankle of each of the four legs"),
        ]
    ),
    *_gait(4),
    _action(8, _TORQUE),
)
SWIMMER = (
    *_run(
        [
            ("tip_angle", 0, "rad", "world", "direction of the first of three links"),
            ("joint_angles", 2, "rad", "joint", "angles of the two joints, front to back"),
            ("tip_velocity", 2, "m/s", "world", "velocity of the front tip along x and y"),
            ("tip_rate", 0, "rad/s", "world", "angular velocity of the first link"),
            ("joint_rates", 2, "rad/s", "joint", "angular velocities of the joints"),
        ]
    ),
    _action(2, "torque of each joint"),
)
REACHER = (
    *_run(
        [
            ("joint_cosines", 2, "1", "joint", "cosines of the two joint angles"),
            ("joint_sines", 2, "1", "joint", "sines of the two joint angles"),
            ("target_position", 2, "m", "world", "where the fingertip should be"),
            ("joint_rates", 2, "rad/s", "joint", "angular velocities of the joints"),
            ("fingertip_from_target", 2, "m", "world", "fingertip position less target position"),
        ]
    ),
    _action(2, "torque of each joint"),
)
