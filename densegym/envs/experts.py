"""Scripted experts by environment id, and which worlds offer what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from densegym.envs.tasks import find_world, worlds
from densegym.envs.world import Act, World
from densegym.errors import unknown
from densegym.plugins import resolve

NAMES = {
    "expert": "task with a scripted expert",
    "demos": "task with a scripted expert to learn from",
    "exploits": "task with scripted exploits",
    "lookahead": "task with a scripted expert whose steps can be counted ahead",
    "reach": "task with a scripted expert whose gripper can be moved",
}
"""What a world is called that offers one of ``world.OFFERS``."""


def expert_policy(env_id: str) -> Act:
    """Return the scripted expert of a task, at the beginning of an episode.

    Args:
        env_id: e.g. ``"DenseGym/ButtonPress-v0"``.

    Returns:
        A function from one observation to one action; make another for the next episode.

    Raises:
        UnknownNameError: the id has no scripted expert; names the closest that has.
        MissingExtraError: what the expert needs is not installed.
    """
    return new_expert(offering(env_id, "expert"))


def new_expert(world: World) -> Act:
    """Return the expert of a world that offers one, at the beginning of an episode."""
    make: Callable[[World], Act] = resolve(world.capabilities.expert)
    return make(world)


def offering(env_id: str, *names: str) -> World:
    """Return a world that offers all of several capabilities.

    Args:
        env_id: e.g. ``"DenseGym/ButtonPress-v0"``.
        *names: from ``world.OFFERS``.

    Raises:
        UnknownNameError: it does not, or is not registered; names the closest that does.
    """
    world = find_world(env_id)
    has = [] if world is None else world.capabilities.offered()
    missing = next((name for name in names if name not in has), None)
    if world is None or missing is not None:
        able = [row.card.id for row in worlds() if set(names) <= set(row.capabilities.offered())]
        see = "densegym envs" + "".join(f" --offers {name}" for name in names)
        raise unknown(NAMES[missing or names[0]], env_id, able, see=see)
    return world


def capability(world: World, name: str) -> Any:
    """Return a function that a world offers, imported if it was named lazily, or None."""
    return resolve(getattr(world.capabilities, name))
