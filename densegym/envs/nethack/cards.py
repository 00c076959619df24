"""The NetHack worlds: ids and task cards. NLE is not imported here."""

from __future__ import annotations

from densegym.envs.tasks import World
from densegym.reward_models.types import Feature, TaskCard

_COUNTERS = (
    ("column", 0, "1", "column of the agent on the map"),
    ("row", 1, "1", "row of the agent on the map"),
    ("score", 9, "1", "score of the game"),
    ("hit_points", 10, "1", "hit points"),
    ("max_hit_points", 11, "1", "hit points when healthy"),
    ("depth", 12, "1", "dungeon depth, 1 at the top"),
    ("gold", 13, "1", "gold pieces carried"),
    ("experience_level", 18, "1", "experience level"),
    ("experience_points", 19, "1", "experience points"),
    ("turn", 20, "1", "clock of the game"),
    ("hunger", 21, "1", "0 satiated, 1 normal, 2 hungry and worse above"),
)
_FEATURES = tuple(
    Feature(name, (), unit, "game", meaning, key="blstats", columns=(index, index + 1))
    for name, index, unit, meaning in _COUNTERS
)
# id, upstream id, goal, success rule, upstream's time limit in steps, licence
_TASKS = (
    (
        "NetHackScore",
        "NetHackScore-v0",
        "Play NetHack for the highest score.",
        "none: judge return/env, the score gained (is_success stays 0)",
        5000,
        "NLE 1.3, NetHack General Public License",
    ),
    (
        "MiniHack-KeyRoom-S5",
        "MiniHack-KeyRoom-S5-v0",
        "Find the key, unlock the door of the closet, and step onto the stairs down.",
        "the agent stands on the stairs down",
        200,
        "MiniHack 1.0, Apache-2.0, on NLE 1.3",
    ),
)


def worlds() -> list[World]:
    """Return every NetHack world; they keep their own clocks."""
    return [
        World(
            card=TaskCard(
                id=f"DenseGym/{name}-v0",
                family="nethack",
                goal=goal,
                success=success,
                provenance=f"{upstream}, {licence}; {steps} steps; "
                "pays -0.01 when the game clock stands still",
                features=_FEATURES,
            ),
            entry_point="densegym.envs.nethack.layer:NetHackEnv",
            kwargs={"task": upstream},
        )
        for name, upstream, goal, success, steps, licence in _TASKS
    ]
