"""Reward models by name: shipped ones, programmatic ones, and those of installed plug-ins."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any

from densegym import reward_models
from densegym.errors import RewardError, unknown
from densegym.plugins import load_plugins
from densegym.reward_models.catalogue import RewardEntry
from densegym.reward_models.types import Factory

ENTRY_POINT_GROUP = "densegym.reward_models"
_NAME = re.compile(r"[a-z0-9][\w.-]*(/[a-z0-9][\w.-]*)?", re.IGNORECASE)
_REWARDS: dict[str, RewardEntry] = {}
_loaded: set[str] = set()


def register_reward(
    name: str,
    target: str | Factory,
    *,
    summary: str = "",
    owner: str = "user",
    tasks: tuple[str, ...] = (),
) -> None:
    """Register a reward under a name.

    Args:
        name: ``family/name[-vN]``; a change of any number it pays should bump N.
        target: factory ``build(*, task: TaskCard, seed: int, **options) -> RewardModel``, or its
            lazy ``"module:attr"``; parameters the factory does not take are not passed.
        summary: one line for listings.
        owner: who registers it, named when two claim one name.
        tasks: env ids it is made for.

    Raises:
        RewardError: the name is malformed or taken.
    """
    _add([RewardEntry(name, target, summary, owner, tasks)])


def unregister_reward(name: str) -> None:
    """Forget a registered reward; used by tests and notebooks that redefine one."""
    if name not in _REWARDS:
        raise unknown("reward", name, _REWARDS, see="densegym rewards")
    del _REWARDS[name]


def reward_entries() -> list[RewardEntry]:
    """Return every known reward, plug-ins included, sorted by name."""
    _load("shipped", _shipped)
    _load("plugins", _plugins)
    return sorted(_REWARDS.values(), key=lambda entry: entry.name)


def find_reward(name: str) -> RewardEntry:
    """Return the entry of a reward; without ``-vN`` the newest version.

    Raises:
        UnknownNameError: no such reward; names the closest.
    """
    _load("shipped", _shipped)
    entry = _newest(name)
    if entry is None:
        _load("plugins", _plugins)
        entry = _newest(name)
    if entry is None:
        raise unknown("reward", name, _REWARDS, see="densegym rewards")
    return entry


def _newest(name: str) -> RewardEntry | None:
    if name in _REWARDS:
        return _REWARDS[name]
    versions = [
        (int(tail), entry)
        for entry in _REWARDS.values()
        for head, _, tail in [entry.name.rpartition("-v")]
        if head == name and tail.isdigit()
    ]
    return max(versions, key=lambda pair: pair[0])[1] if versions else None


def _add(entries: Iterable[RewardEntry]) -> None:
    """Register all of several entries, or none of them where one is refused."""
    added: dict[str, RewardEntry] = {}
    for entry in entries:
        if not _NAME.fullmatch(entry.name):
            raise RewardError(f'a reward is named "family/name-v1"; given "{entry.name}"')
        taken: Mapping[str, RewardEntry] = _REWARDS if entry.name in _REWARDS else added
        if entry.name in taken:
            raise RewardError(
                f'reward "{entry.name}" is already registered by {taken[entry.name].owner}; '
                f"{entry.owner} must choose another name or version."
            )
        added[entry.name] = entry
    _REWARDS.update(added)


def _load(what: str, entries: Callable[[], Iterable[RewardEntry]]) -> None:
    if what not in _loaded:
        _add(entries())
        _loaded.add(what)


def _shipped() -> Iterator[RewardEntry]:
    """Yield the rows of every package of ``reward_models`` that has a catalogue."""
    for package in pkgutil.iter_modules(reward_models.__path__, f"{reward_models.__name__}."):
        name = f"{package.name}.catalogue"
        if package.ispkg and importlib.util.find_spec(name) is not None:
            module = importlib.import_module(name)
            yield from module.CATALOGUE if hasattr(module, "CATALOGUE") else module.catalogue()


def _plugins() -> list[RewardEntry]:
    """Return what installed packages offer: a factory under the entry point's name, or a row."""
    found: list[RewardEntry] = []

    def accept(name: str, owner: str, target: Any) -> None:
        if isinstance(target, RewardEntry):
            found.append(dataclasses.replace(target, name=name, owner=owner))
        else:
            found.append(RewardEntry(name, target, owner=owner))

    load_plugins(entry_points(group=ENTRY_POINT_GROUP), "reward", accept)
    return found
