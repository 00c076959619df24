"""Worlds: what is registered under which id, with its task card. No simulator is imported here.

Every world env keeps one contract, checked by ``densegym.envs.checks.check_dense_env``:

- ``step`` pays the world's own outcome only; ``info`` carries flat floats on every step and on
  reset: ``success_now`` (the rule holds at this step), ``is_success`` (latched over the episode)
  and, where the card names an expert, ``expert_reward`` (the suite's hand-written dense reward);
- ``reset(seed=)`` decides the whole episode; observations are fresh copies inside the space;
- the constructor accepts and ignores ``reward``, which belongs to the skin around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from densegym.errors import unknown
from densegym.reward_models.types import TaskCard


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One registered environment.

    Attributes:
        card: what reward authors and users are told.
        entry_point: ``"module:Class"``, imported on first use.
        kwargs: constructor arguments, JSON-friendly.
        max_episode_steps: time limit, or None where the world keeps its own clock.
        vector_entry_point: ``"module:Class"`` of a vector environment of its own, or None.
        lanes_entry_point: ``"module:function"`` that makes an SB3 vector environment of its own
            from ``num_envs`` and constructor arguments, or returns None where plain ones must do.
    """

    card: TaskCard
    entry_point: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    max_episode_steps: int | None = None
    vector_entry_point: str | None = None
    lanes_entry_point: str | None = None


_WORLDS: dict[str, World] = {}


def add_world(world: World) -> None:
    """Add a world to the table; ``registration.register_world`` also tells Gymnasium."""
    _WORLDS[world.card.id] = world


def worlds() -> list[World]:
    """Return every registered world in registration order."""
    return list(_WORLDS.values())


def task_card(env_id: str) -> TaskCard:
    """Return the card of a registered task.

    Raises:
        UnknownNameError: no such id; names the closest.
    """
    if env_id not in _WORLDS:
        raise unknown("environment", env_id, _WORLDS, see="densegym envs")
    return _WORLDS[env_id].card


def find_world(env_id: str | None) -> World | None:
    """Return a registered world, or None for ids of other packages."""
    return _WORLDS.get(env_id) if env_id is not None else None


def find_card(env_id: str | None) -> TaskCard | None:
    """Return the card of a registered task, or None for ids of other packages."""
    world = find_world(env_id)
    return None if world is None else world.card
