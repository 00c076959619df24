"""The NetHack worlds: ids and task cards. NLE is not imported here."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from densegym import assets
from densegym.envs.world import World
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
_ENDLESS = "none: judge return/env (is_success stays 0)"
_GIVES = ("numbers", "pictures", "position", "captions", "milestones", "progression")
_MEASURES = ("depth", "progression")  # of games in the whole dungeon


def worlds() -> list[World]:
    """Return every NetHack world of ``assets/tasks/nethack.toml``; they keep their own clocks."""
    table = tomllib.loads(assets.text("tasks/nethack.toml"))
    return [_world(group, task) for group in table["group"] for task in group["tasks"]]


def _world(group: Mapping[str, Any], task: Mapping[str, Any]) -> World:
    told = {**group, **task}
    name = told["name"]
    upstream = told.get("upstream", f"{name}-v0")
    dungeon = name.startswith(("NetHack", "ONI"))
    return World(
        card=TaskCard(
            id=f"DenseGym/{name}-v0",
            family="nethack" if dungeon else "minihack",
            goal=told["goal"],
            success=told["success"] or _ENDLESS,
            provenance=f"{upstream}, {told['licence']}; {told['steps']} steps; {told['reward']}",
            features=_FEATURES,
            measures=_MEASURES if dungeon else (),
            gives=_GIVES,
        ),
        entry_point="densegym.envs.nethack.layer:NetHackEnv",
        kwargs={"task": name if name.startswith("ONI") else upstream},
        lanes_entry_point="densegym.envs.nethack.lanes:make_lanes",
    )
