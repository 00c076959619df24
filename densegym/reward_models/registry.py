"""Reward models by name: shipped ones, programmatic ones, and those of installed plug-ins."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

from densegym.errors import RewardError, unknown
from densegym.reward_models.authored import shipped
from densegym.reward_models.credit.catalogue import COMPOSITIONS, CREDITS
from densegym.reward_models.intrinsic.catalogue import CATALOGUE
from densegym.reward_models.types import Factory

ENTRY_POINT_GROUP = "densegym.reward_models"
_JUDGES = {
    "vlac": "VLAC's critic of picture pairs; a checkpoint or an endpoint",
    "grm": "Robo-Dopamine's GRM, eight pictures a question; a checkpoint or an endpoint",
    "robometer": "Robometer's progress per picture; a checkpoint, or asked of an endpoint",
    "rynnvalue": "RynnValue's remaining seconds; a checkpoint, or asked of an endpoint",
    "gvl": "shuffled frames valued by any vision-language model",
    "perceptual": "steps of a task found in a few demonstrations; no pretrained model",
}
"""Judges of pictures that are models of their own, by their module."""
_NAME = re.compile(r"[a-z0-9][\w.-]*(/[a-z0-9][\w.-]*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RewardEntry:
    """A registered reward.

    Attributes:
        name: full name with version, e.g. ``"authored/button-press-v1"``.
        target: a factory ``build(*, task, seed, **options)`` or its ``"module:attr"``.
        summary: one line for ``densegym rewards``.
        owner: who registered it: ``"densegym"``, a distribution, or ``"user"``.
        tasks: the env ids it is made for; empty means any.
        stated: options that labels name even where they were left at their default.
    """

    name: str
    target: str | Factory
    summary: str = ""
    owner: str = "densegym"
    tasks: tuple[str, ...] = ()
    stated: Mapping[str, Any] = field(default_factory=dict)

    def factory(self) -> Factory:
        """Return the factory, importing it if it is named by string."""
        if not isinstance(self.target, str):
            return self.target
        module, _, attribute = self.target.partition(":")
        factory: Factory = getattr(importlib.import_module(module), attribute)
        return factory


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
    if not _NAME.fullmatch(name):
        raise RewardError(f'a reward is named "family/name-v1"; given "{name}"')
    if name in _REWARDS:
        raise RewardError(
            f'reward "{name}" is already registered by {_REWARDS[name].owner}; '
            f"{owner} must choose another name or version."
        )
    _REWARDS[name] = RewardEntry(name, target, summary, owner, tasks)


def unregister_reward(name: str) -> None:
    """Forget a registered reward; used by tests and notebooks that redefine one."""
    if name not in _REWARDS:
        raise unknown("reward", name, _REWARDS, see="densegym rewards")
    del _REWARDS[name]


def reward_entries() -> list[RewardEntry]:
    """Return every known reward, plug-ins included, sorted by name."""
    _load_shipped()
    _load_plugins()
    return sorted(_REWARDS.values(), key=lambda entry: entry.name)


def find_reward(name: str) -> RewardEntry:
    """Return the entry of a reward; without ``-vN`` the newest version.

    Raises:
        UnknownNameError: no such reward; names the closest.
    """
    _load_shipped()
    entry = _newest(name)
    if entry is None:
        _load_plugins()
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


def _load_shipped() -> None:
    if "shipped" in _loaded:
        return
    _loaded.add("shipped")
    world = "densegym.reward_models.world"
    _add("env", f"{world}:EnvReward", "the world's own, honest outcome (the default)")
    _add("expert", f"{world}:ExpertReward", "the suite's hand-written dense reward")
    _add("delayed", f"{world}:DelayedReward", "the whole return on the last step")
    credit = "densegym.reward_models.credit"
    for name, target, summary in (*CREDITS, *COMPOSITIONS):
        _add(f"credit/{name}", f"{credit}.{target}", summary)
    marks = "densegym.reward_models.intrinsic.milestone"
    _add("milestone", f"{marks}:MilestoneReward", "1 when a milestone is first reached; a gate")
    _add("progression", f"{marks}:ProgressionReward", "the rise of NetHack's progression metric")
    seen = "densegym.reward_models.progress"
    _add(
        "progress/oracle", f"{seen}.oracle:OraclePotential", "progress read from the state; a bound"
    )
    _add("progress/local", f"{seen}.local:build", "progress in pictures, a small model fitted here")
    for judge, summary in _JUDGES.items():
        _add(f"progress/{judge}", f"{seen}.{judge}:build", summary)
    _add("authored", shipped.build_for_task, "the shipped reward program for the task")
    file = "densegym.reward_models.authored.file:build_file"
    _add("authored/file", file, 'a program file of yours: {"model": "authored/file", "path": ...}')
    for header in shipped.headers():
        _add(header.name, shipped.factory(header), header.summary, tasks=header.tasks)
    for entry in CATALOGUE:
        _REWARDS[entry.name] = RewardEntry(
            entry.name, entry.target, entry.summary, stated=entry.stated
        )


def _add(name: str, target: str | Factory, summary: str, tasks: tuple[str, ...] = ()) -> None:
    register_reward(name, target, summary=summary, owner="densegym", tasks=tasks)


def _load_plugins() -> None:
    if "plugins" in _loaded:
        return
    _loaded.add("plugins")
    for point in entry_points(group=ENTRY_POINT_GROUP):
        owner = point.dist.name if point.dist is not None else "an unknown distribution"
        try:
            target = point.load()
        except Exception as error:  # a broken plug-in must not break every other reward
            warnings.warn(
                f'reward "{point.name}" of {owner} could not be loaded: {error!r}', stacklevel=3
            )
            continue
        register_reward(point.name, target, owner=owner)
