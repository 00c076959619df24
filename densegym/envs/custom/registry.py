"""The table of tasks in environments of other packages: registered, or drafted when asked for."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import gymnasium as gym
from gymnasium import spaces

from densegym.envs.checks import check_world
from densegym.envs.children import teach_children
from densegym.envs.custom.draft import EPISODES, Draft, draft
from densegym.envs.custom.success import EXAMPLE, NONE, WORDS, compile_rule
from densegym.envs.world import World
from densegym.errors import DenseGymError, UnknownNameError, closest
from densegym.plugins import import_here
from densegym.reward_models.types import Feature, TaskCard

DRAFT = "a draft"
"""Owner of a world that nobody registered."""
_TASKS: dict[str, World] = {}
_imported: dict[str, None] = {}


def forget_tasks() -> None:
    """Forget all tasks, drafts and modules that users named; used by tests and notebooks."""
    _TASKS.clear()
    _imported.clear()
    drafted.cache_clear()
    teach_children(_Tasks(()), "densegym tasks")
    teach_children(_Modules(()), "densegym modules")


def find_task(env_id: str) -> World | None:
    """Return the world of a task that a user registered, or None."""
    return _TASKS.get(env_id)


def drafted_world(env_id: str) -> World | None:
    """Return a world drafted from an environment that Gymnasium knows; None where it knows none.

    Raises:
        DenseGymError: it breaks, or nothing says what success is; says what to type.
    """
    if gym_spec(env_id) is None:
        return None
    if env_id not in _TASKS:
        found = drafted(env_id)
        world = make_world(env_id, found.card, found.success)
        _TASKS[env_id] = dataclasses.replace(world, owner=DRAFT)
    return _TASKS[env_id]


def gym_spec(env_id: str) -> gym.envs.registration.EnvSpec | None:
    """Return what Gymnasium knows of an id, after importing the module before its colon if any.

    Raises:
        DenseGymError: the module cannot be imported.
    """
    module, colon, name = env_id.rpartition(":")
    if colon:
        import_module(module)
    return gym.registry.get(name)


def import_module(name: str) -> None:
    """Import a module, found in the current folder too, which registers environments or cards.

    Raises:
        DenseGymError: it cannot be imported; says why.
    """
    if name in sys.modules:
        return
    from densegym.envs.robot.rendering import choose_backend

    with contextlib.suppress(DenseGymError):  # without libraries to draw with, nothing is drawn
        choose_backend()
    try:
        import_here(name)
    except Exception as error:
        raise DenseGymError(
            f"the module {name} could not be imported: {type(error).__name__}: {error}"
        ) from error


def import_for_all(name: str) -> None:
    """Import a module here and in processes that start later; see ``import_module``."""
    import_module(name)
    _imported[name] = None
    teach_children(_Modules(tuple(_imported)), "densegym modules")


class _Modules:
    """Imports modules in the process that unpickles it."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def __reduce__(self) -> Any:
        return _import_all, (self._names,)


def _import_all(names: tuple[str, ...]) -> _Modules:
    for name in names:
        import_module(name)
    return _Modules(names)


@lru_cache(maxsize=64)
def drafted(env_id: str, seed: int = 0, episodes: int = EPISODES) -> Draft:
    """Return what an environment tells about itself; see ``draft``.

    Raises:
        UnknownNameError: Gymnasium knows no such id; names the closest.
    """
    spec = gym_spec(env_id)
    if spec is None:
        raise unknown_id(env_id)
    return draft(env_id, lambda: gym.make(spec), seed=seed, episodes=episodes)


def unknown_id(env_id: str, known: Iterable[str] = ()) -> UnknownNameError:
    """Return the error for an id that nobody knows, with the closest that somebody does."""
    plain_last = sorted(gym.registry, key=lambda name: "/" not in name)
    near = closest(env_id, [*plain_last, *known], key=_bare_name)
    return UnknownNameError(
        f'Unknown environment "{env_id}".{near} `densegym envs` lists those of DenseGym. If a '
        "module of yours registers it, add --import MODULE, or write MODULE:ID"
    )


def _bare_name(env_id: str) -> str:
    """Return an id without its namespace and version, which people leave out."""
    return env_id.rpartition("/")[2].partition("-v")[0]


def add_task(env_id: str, card: TaskCard, success: str | None) -> World:
    """Enter a task into the table, here and in processes that start later; see ``make_world``."""
    _TASKS[env_id] = make_world(env_id, card, success)
    teach_children(_Tasks(tuple(_TASKS.items())), "densegym tasks")
    return _TASKS[env_id]


class _Tasks:
    """Enters tasks into the table of the process that unpickles it."""

    def __init__(self, tasks: tuple[tuple[str, World], ...]) -> None:
        self._tasks = tasks

    def __reduce__(self) -> Any:
        return _enter, (self._tasks,)


def _enter(tasks: tuple[tuple[str, World], ...]) -> _Tasks:
    _TASKS.update(tasks)
    return _Tasks(tasks)


def make_world(env_id: str, card: TaskCard, success: str | None) -> World:
    """Return the world of a task in an environment that Gymnasium knows.

    Raises:
        DenseGymError: features are not where the card says, or nothing says what success is.
    """
    if success is None:
        raise DenseGymError(
            f"nothing says what success is in {env_id}: it tells no is_success and has no reward "
            f'threshold. Say it as {", ".join(WORDS)} or an expression such as "{EXAMPLE}": in '
            f'Python densegym.register_task("{env_id}", success="..."), or in a card, densegym '
            f"task draft {env_id} > card.toml, which --card card.toml reads"
        )
    spec = gym_spec(env_id)
    if spec is None:
        raise unknown_id(env_id)
    words = {"is_success": "as the environment tells", NONE: "none: the return is all there is"}
    world = World(
        card=dataclasses.replace(card, success=card.success or words.get(success, success)),
        entry_point="gymnasium:make",
        kwargs={"id": env_id},
        max_episode_steps=spec.max_episode_steps,
        success=None if success == NONE else success,
    )
    check_world(world)
    _check_columns(world.card, spec)
    if world.success is not None:
        compile_rule(world.success, world.card)
    return world


def _check_columns(card: TaskCard, spec: Any) -> None:
    """Refuse features that are not where the card says, by the environment's spaces."""
    env = gym.make(spec)
    try:
        observed, acted = env.observation_space, env.action_space
    finally:
        env.close()
    for feature in card.features:
        if feature.source != "info":
            _check_feature(card.id, feature, observed if feature.source == "obs" else acted)


def _check_feature(env_id: str, feature: Feature, space: spaces.Space[Any]) -> None:
    said = f'{env_id}: feature "{feature.name}"'
    if isinstance(space, spaces.Dict):
        if feature.key not in space.spaces:
            near = closest(feature.key or "", list(space.spaces))
            raise DenseGymError(
                f"{said} is read from the entry {feature.key!r} of a Dict observation, which has "
                f"{', '.join(space.spaces)}.{near}"
            )
        space = space.spaces[feature.key]
    elif feature.key is not None:
        raise DenseGymError(f"{said} names the entry {feature.key!r}, but {space} has no entries")
    shape = space.shape
    if shape is None:
        raise DenseGymError(f"{said} is read from {space}, which is no array")
    if feature.columns is not None and (len(shape) != 1 or feature.columns[1] > shape[0]):
        raise DenseGymError(
            f"{said} is read from columns {list(feature.columns)}, but the array has shape {shape}"
        )
    if feature.columns is None and feature.shape != shape:
        raise DenseGymError(
            f"{said} has shape {feature.shape}, but what it is read from has shape {shape}"
        )
