"""The table of worlds: what is registered under which id. No simulator is imported here.

Installed packages offer worlds through the entry-point group ``densegym.worlds``: each entry point
names a ``World``, several of them, or a function that returns either. They are loaded on the first
id that nobody else has, or when worlds are listed; ``gym.make`` knows them from then on, and
``densegym.make`` from the beginning. The group ``densegym.tasks`` names functions without arguments
that call ``densegym.register_task``; they are called then, too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import WrapperSpec

from densegym.envs.checks import check_world
from densegym.envs.custom.registry import drafted_world, find_task, unknown_id
from densegym.envs.pettingzoo_worlds import pettingzoo_world
from densegym.envs.world import World
from densegym.errors import DenseGymError
from densegym.plugins import load_plugins
from densegym.reward_models.spec import RewardSpec
from densegym.reward_models.types import TaskCard

ENTRY_POINT_GROUP, TASKS_GROUP = "densegym.worlds", "densegym.tasks"
_WORLDS: dict[str, World] = {}
_loaded: set[str] = set()


def add_worlds(rows: Iterable[World], *, owner: str = "user") -> None:
    """Register all of several worlds with Gymnasium and here, or none where one is refused.

    A world that is registered already, in every field the same, is left as it is.

    Raises:
        DenseGymError: a row is malformed, or its id is taken.
    """
    added: dict[str, World] = {}
    for world in rows:
        check_world(world)
        env_id = world.card.id
        known = added.get(env_id) or _WORLDS.get(env_id)
        if known == world:
            continue
        if known is not None or env_id in gym.registry:
            holder = "another package" if known is None else known.owner
            raise DenseGymError(
                f'the id "{env_id}" is already registered by {holder}; {owner} must choose '
                "another name or version (tasks.unregister_world forgets one)"
            )
        added[env_id] = dataclasses.replace(world, owner=owner)
    _tell_gymnasium(list(added.values()))
    _WORLDS.update(added)


def unregister_world(env_id: str) -> None:
    """Forget a registered world; used by tests and notebooks that redefine one.

    Raises:
        UnknownNameError: no such id; names the closest.
    """
    if env_id not in _WORLDS:
        raise unknown_id(env_id, _WORLDS)
    del _WORLDS[env_id]
    gym.registry.pop(env_id, None)


def worlds() -> list[World]:
    """Return every known world, plug-ins included, in registration order."""
    _load_plugins()
    return list(_WORLDS.values())


def task_card(env_id: str) -> TaskCard:
    """Return the card of a task; of an id that only Gymnasium knows, one that is drafted from it.

    Raises:
        UnknownNameError: no such id; names the closest.
        DenseGymError: a drafted environment breaks, or nothing says what success is in it.
    """
    return known_world(env_id).card


def known_world(env_id: str) -> World:
    """Return the world of a task; see ``task_card``."""
    world = find_world(env_id) or drafted_world(env_id)
    if world is None:
        raise unknown_id(env_id, _WORLDS)
    return world


def full_id(name: str) -> str:
    """Return the id that a short name stands for, such as ``ButtonPress``; or the name itself."""
    tried = (name, f"DenseGym/{name}", f"DenseGym/{name}-v0")
    return next((env_id for env_id in tried if find_world(env_id) is not None), name)


def is_registered(env_id: str) -> bool:
    """Return whether an id is in the table of worlds, which no task of a user may replace."""
    _load_plugins()
    return env_id in _WORLDS


def find_foreign(env_id: str) -> World | None:
    """Return the world of an id that is not DenseGym's, drafted if need be; None for all others."""
    if is_registered(env_id):
        return None
    return find_world(env_id) or drafted_world(env_id)


def find_world(env_id: str | None) -> World | None:
    """Return a registered world or task, or one of PettingZoo; None for ids of other packages."""
    if env_id is None:
        return None
    if env_id not in _WORLDS:
        _load_plugins()
    return _WORLDS.get(env_id) or find_task(env_id) or pettingzoo_world(env_id)


def find_card(env_id: str | None) -> TaskCard | None:
    """Return the card of a registered task, or None for ids of other packages."""
    world = find_world(env_id)
    return None if world is None else world.card


def reward_wrapper(reward: RewardSpec = None, seed: int = 0) -> WrapperSpec:
    """Return the reward wrapper, applied outside ``TimeLimit``, where truncation can be seen."""
    kwargs = {"reward": reward, "seed": seed}
    return WrapperSpec("DenseReward", "densegym.envs.wrappers.single:DenseReward", kwargs)


def _tell_gymnasium(added: list[World]) -> None:
    """Register worlds with Gymnasium, or none of them where one is refused there."""
    done: list[str] = []
    try:
        for world in added:
            gym.register(
                world.card.id,
                entry_point=world.entry_point,
                kwargs=dict(world.kwargs),
                max_episode_steps=world.max_episode_steps,
                additional_wrappers=(reward_wrapper(),),
            )
            done.append(world.card.id)
    except BaseException:
        for env_id in done:
            gym.registry.pop(env_id)
        raise


def _load_plugins() -> None:
    if "plugins" not in _loaded:
        _loaded.add("plugins")
        load_plugins(entry_points(group=ENTRY_POINT_GROUP), "worlds", _add_offered)
        load_plugins(entry_points(group=TASKS_GROUP), "tasks", lambda name, owner, call: call())


def _add_offered(name: str, owner: str, offered: Any) -> None:
    """Register what an entry point names: a world, several, or a function that returns either."""
    found = offered() if callable(offered) else offered
    rows = [found] if isinstance(found, World) else list(found)
    for row in rows:
        if not isinstance(row, World):
            raise DenseGymError(f'"{name}" offers {row!r}, which is no densegym.World')
    add_worlds(rows, owner=owner)
