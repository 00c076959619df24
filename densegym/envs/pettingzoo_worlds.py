"""Worlds of PettingZoo by name, such as ``mpe2/simple_spread_v3``; nothing is imported here."""

from __future__ import annotations

import importlib.util
import re
from functools import lru_cache, partial
from typing import Any

from densegym.envs.world import Team, World
from densegym.errors import DenseGymError, require
from densegym.reward_models.types import Feature, TaskCard

_NAME = re.compile(r"([a-z][\w.]*)/([a-z]\w*_v\d+)")
_FAMILIES = ("sisl", "butterfly", "classic", "atari")  # of the package pettingzoo itself
_HERE = "densegym.envs.pettingzoo_worlds"


def _seen(name: str, columns: tuple[int, int], meaning: str) -> Feature:
    shape = (columns[1] - columns[0],)
    return Feature(name, shape, "1", "world", meaning, "obs", None, columns)


_SPREAD = (
    _seen("velocity", (0, 2), "the agent's own velocity, (x, y)"),
    _seen("position", (2, 4), "where the agent is, (x, y)"),
    _seen("landmarks", (4, 10), "the three landmarks, each (x, y) from the agent"),
    _seen("others", (10, 14), "the two other agents, each (x, y) from the agent"),
)
_CARDS = {
    "mpe2/simple_spread_v3": {
        "goal": "Three agents cover three landmarks and keep out of each other's way.",
        "success": "none: the return is all there is",
        "features": _SPREAD,
    }
}


@lru_cache(maxsize=256)
def pettingzoo_world(env_id: str) -> World | None:
    """Return the world of ``package/name_vN``, or None where this is no such name."""
    matched = _NAME.fullmatch(env_id)
    if matched is None:
        return None
    told: dict[str, Any] = _CARDS.get(env_id, {})
    card = TaskCard(
        id=env_id,
        family="pettingzoo",
        goal=told.get("goal", f"PettingZoo's {env_id}."),
        success=told.get("success", "the environment's own, if it tells is_success"),
        provenance=f"{matched[1]}, through PettingZoo; its own licence",
        features=told.get("features", ()),
        gives=("numbers", "team"),
    )
    team = Team(agents=f"{_HERE}:count_agents", parallel=f"{_HERE}:parallel_env")
    entry = partial(_refuse_single, env_id)
    return World(card=card, entry_point=entry, kwargs={"name": env_id}, team=team)


def parallel_env(*, name: str, **kwargs: Any) -> Any:
    """Make ``package/name_vN``; the arguments are those of its ``parallel_env``.

    Raises:
        MissingExtraError: the package is not installed.
        DenseGymError: it has no such environment.
    """
    package, _, module = name.partition("/")
    path = f"pettingzoo.{package}" if package in _FAMILIES else package
    require(path.split(".")[0], extra="multi")
    if importlib.util.find_spec(f"{path}.{module}") is None:
        raise DenseGymError(
            f'{path} has no environment {module}; given "{name}". Expected package/name_vN, such '
            "as mpe2/simple_spread_v3 or sisl/pursuit_v4."
        )
    made = importlib.import_module(f"{path}.{module}").parallel_env
    try:
        return made(**kwargs)
    except (TypeError, ValueError, AssertionError) as error:
        raise DenseGymError(f"{name} refuses its arguments: {error}. Given: {kwargs}") from error


def count_agents(**kwargs: Any) -> int:
    """Return how many agents a world has at most, by making it."""
    env = parallel_env(**kwargs)
    try:
        return len(env.possible_agents)
    finally:
        env.close()


def _refuse_single(env_id: str, **kwargs: Any) -> None:
    raise DenseGymError(f'{env_id} has several agents: densegym.make_parallel("{env_id}") makes it')
