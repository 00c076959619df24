"""The robot worlds: ids, task cards and where to find them. No simulator is imported here."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

from densegym import assets
from densegym.envs.robot import feature_tables
from densegym.envs.robot.fitness import STEP_SECONDS
from densegym.envs.world import Capabilities, World
from densegym.reward_models.types import Places, TaskCard

_ROBOTICS = "Gymnasium-Robotics 1.4, MIT"


# Seen from above and from behind the hand, every Meta-World scene shows where things are.
_METAWORLD_CAMERAS = ("topview", "behindGripper")
_METAWORLD_PORTRAIT = ("corner2",)  # the whole arm and table, from in front
# Nine tenths of the scene's triangles; the fingers stay.
_SAWYER_ARM = (
    "pedestal",
    "right_arm_base_link",
    "head",
    *(f"right_l{i}" for i in range(7)),
    "right_hand",
)


_ROBOT = "densegym.envs.robot"
_SAWYER = Capabilities(
    expert=f"{_ROBOT}.experts:metaworld_expert",
    exploits={
        "stops-half-way": f"{_ROBOT}.exploits:stops_half_way",
        "oscillates": f"{_ROBOT}.exploits:oscillates",
    },
    lookahead=f"{_ROBOT}.lookahead:metaworld_lookahead",
    reach=f"{_ROBOT}.experts:reach",
    workspace=((-0.5, 0.4, 0.05), (0.5, 0.9, 0.5)),
    bank_steps=120,  # experts need at most 114
    audit_steps=500,  # upstream's own limit
    largest_expert_reward=10.0,  # by construction of the version 2 rewards
)


def worlds() -> list[World]:
    """Return every robot world."""
    return [*_metaworld(), *_fetch(), *_mazes(), *_adroit(), *_locomotion()]


def _metaworld() -> Iterator[World]:
    for row in tomllib.loads(assets.text("tasks/metaworld.toml"))["task"]:
        upstream = row["upstream"]
        name = "".join(word.capitalize() for word in upstream.removesuffix("-v3").split("-"))
        card = TaskCard(
            id=f"DenseGym/{name}-v0",
            family="metaworld",
            goal=row["goal"],
            success=row["success"],
            provenance=f"Meta-World 3.1 {upstream}, MIT; random goals, 150 steps",
            features=feature_tables.metaworld(
                row["object"], row.get("second_object"), row.get("quaternion", "w, x, y, z")
            ),
            expert="Meta-World's hand-written reward, version 2, in [0, 10]",
            cameras=_METAWORLD_CAMERAS,
            portrait=_METAWORLD_PORTRAIT,
            hidden=_SAWYER_ARM,
            places=Places(gripper=(0, 3), object=(4, 7), goal=(36, 39)),
        )
        yield World(
            card=card,
            entry_point="densegym.envs.robot.metaworld:MetaWorldEnv",
            kwargs={"task": upstream},
            max_episode_steps=150,
            capabilities=_SAWYER,
            ends_at_success=True,
            protocols=("metaworld-500", "fixed-horizon"),
        )


_FETCH = (
    ("FetchReach", "Move the gripper to the goal.", feature_tables.FETCH_REACH),
    ("FetchPush", "Push the block to the goal on the table.", feature_tables.FETCH_OBJECT),
    ("FetchSlide", "Hit the puck so that it slides to the goal.", feature_tables.FETCH_OBJECT),
    ("FetchPickAndPlace", "Carry the block to the goal.", feature_tables.FETCH_OBJECT),
)


def _fetch() -> Iterator[World]:
    for name, goal, features in _FETCH:
        card = TaskCard(
            id=f"DenseGym/{name}-v0",
            family="fetch",
            goal=goal,
            success="achieved goal within 5 cm of the desired goal",
            provenance=f"{_ROBOTICS}: {name}-v4; pays -1 until the goal is met, 0 while it is",
            features=features,
            expert="negative distance between achieved and desired goal",
        )
        yield World(
            card=card,
            entry_point="densegym.envs.robot.goal:FetchEnv",
            kwargs={"task": f"{name}-v4"},
            max_episode_steps=50,
            ends_at_success=False,
            protocols=("fetch-last-step", "fixed-horizon"),
        )


def _mazes() -> Iterator[World]:
    for maze, steps in (("Open", 300), ("UMaze", 300), ("Medium", 600), ("Large", 800)):
        card = TaskCard(
            id=f"DenseGym/PointMaze_{maze}-v0",
            family="maze",
            goal="Roll the ball through the maze to the goal.",
            success="ball within 45 cm of the goal",
            provenance=f"{_ROBOTICS}: PointMaze_{maze}-v3. Upstream's dense reward exp(-distance) "
            "is flat far from the goal and knows no walls, so it is no expert",
            features=feature_tables.MAZE,
        )
        yield World(
            card=card,
            entry_point="densegym.envs.robot.goal:PointMazeEnv",
            kwargs={"task": f"PointMaze_{maze}-v3"},
            max_episode_steps=steps,
            ends_at_success=True,
            protocols=("fixed-horizon",),
        )


_ADROIT = (
    ("Door", "Turn the latch and swing the door open.", "hinge angle at least 1.35 rad"),
    ("Hammer", "Drive the nail into the board.", "head of the nail within 1 cm of its target"),
    (
        "Pen",
        "Turn the pen to the target orientation.",
        "pen within 7.5 cm of the target, cosine between directions above 0.95",
    ),
    ("Relocate", "Carry the ball to the target.", "ball within 10 cm of the target"),
)


def _adroit() -> Iterator[World]:
    for name, goal, success in _ADROIT:
        card = TaskCard(
            id=f"DenseGym/AdroitHand{name}-v0",
            family="adroit",
            goal=goal,
            success=success,
            provenance=f"{_ROBOTICS}: AdroitHand{name}Sparse-v1. Dense rewards of this version pay "
            "for distance to the object, so there is no expert",
            features=feature_tables.ADROIT[name],
        )
        yield World(
            card=card,
            entry_point="densegym.envs.robot.adroit:AdroitEnv",
            kwargs={"task": f"AdroitHand{name}Sparse-v1"},
            max_episode_steps=200,
            ends_at_success=True,
            protocols=("fixed-horizon",),
        )


_GAIT_STEPS = {0.008: 400, 0.05: 200}  # of a bank's episodes, by seconds a step; 3.2 s and 10 s
_FORWARD = "torso {metres} m ahead of its start, {upright} in 90 % of the steps so far"
_FLIP = (
    "a full turn completed airborne or with the torso above 0.5 m, then the foot on the floor with "
    "the torso above 0.7 m within 100 steps"
)
_LOCOMOTION = (
    (
        "HopperForward",
        "Hopper-v5",
        "Hop forward without falling.",
        _FORWARD.format(metres=2, upright="above 0.7 m"),
        feature_tables.HOPPER,
    ),
    ("HopperFrontflip", "Hopper-v5", "Do a front flip and land.", _FLIP, feature_tables.HOPPER),
    ("HopperBackflip", "Hopper-v5", "Do a back flip and land.", _FLIP, feature_tables.HOPPER),
    (
        "AntForward",
        "Ant-v5",
        "Walk forward.",
        _FORWARD.format(metres=2, upright="above 0.2 m"),
        feature_tables.ANT,
    ),
    (
        "AntLieDown",
        "Ant-v5",
        "Lie down flat and keep still.",
        "torso below 0.4 m, level, slower than 0.1 m/s for 50 steps on end; an Ant without any "
        "torque ends so, which makes this task a control, not evidence",
        feature_tables.ANT,
    ),
    (
        "AntWaveLeg",
        "Ant-v5",
        "Lift one leg and wave it while standing on the other three.",
        "within 200 steps one leg turns about three times with its foot above 15 cm, while each "
        "other foot touches the floor in 80 % of the steps",
        feature_tables.ANT,
    ),
    (
        "HalfCheetahForward",
        "HalfCheetah-v5",
        "Run forward.",
        "torso 10 m ahead of its start",
        feature_tables.CHEETAH,
    ),
    (
        "Walker2dForward",
        "Walker2d-v5",
        "Walk forward without falling.",
        _FORWARD.format(metres=2, upright="above 0.7 m"),
        feature_tables.WALKER,
    ),
)


def _locomotion() -> Iterator[World]:
    for name, upstream, goal, success, features in _LOCOMOTION:
        forward = name.endswith("Forward")
        card = TaskCard(
            id=f"DenseGym/{name}-v0",
            family="locomotion",
            goal=goal,
            success=success,
            provenance=f"Gymnasium {upstream}, MIT; the success rule is DenseGym's",
            features=features,
            expert=f"Gymnasium's {upstream} reward" if forward else None,
        )
        yield World(
            card=card,
            entry_point="densegym.envs.robot.locomotion:LocomotionEnv",
            kwargs={"skill": name},
            max_episode_steps=1000,
            capabilities=_gait_capabilities(upstream, walks=forward),
            ends_at_success=True,
            protocols=("fixed-horizon",),
        )


def _gait_capabilities(upstream: str, *, walks: bool) -> Capabilities:
    """Return what a locomotion skill offers; gaits fill banks, but are too weak to learn from."""
    seconds = STEP_SECONDS[upstream.removesuffix("-v5")]
    return Capabilities(
        expert=f"{_ROBOT}.experts:gait" if walks else None,
        demo_steps=0,
        bank_steps=_GAIT_STEPS[seconds],
    )
