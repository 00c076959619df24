"""Registers a task in any Gymnasium environment."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from densegym.envs import tasks
from densegym.envs.custom.files import read_card, to_toml
from densegym.envs.custom.registry import DRAFT, add_task, drafted, find_task
from densegym.envs.custom.success import NONE
from densegym.errors import DenseGymError, ResultsError, unknown
from densegym.reward_models.types import Feature, TaskCard

Features = Sequence[Feature] | Mapping[str, Any]
CARD_FILE = "task.toml"


def register_task(
    env_id: str,
    *,
    features: Features | None = None,
    success: str | None = None,
    goal: str | None = None,
    **card: Any,
) -> TaskCard:
    """Tell DenseGym about a task in any Gymnasium environment; what is left out is drafted.

    Args:
        env_id: an id that Gymnasium knows, or ``"module:id"``, which imports the module first.
        features: what reward programs may read: ``Feature`` rows, or a mapping from names to a
            column, a pair of columns, or a key of a Dict observation.
        success: ``"is_success"`` (told in ``info``), ``"terminated"``, ``"truncated"``, an
            expression over features, ``steps`` and ``return_env`` such as ``"return_env >= 475"``,
            or ``"none"``: then the return is all there is.
        goal: the task in one sentence, which judges and language models read.
        **card: other fields of the ``TaskCard``.

    Returns:
        The card.

    Raises:
        UnknownNameError: Gymnasium knows no such id, or a card has no such field.
        DenseGymError: the environment breaks, features are not where they are said to be, or
            nothing says what success is.

    Example:
        >>> import densegym
        >>> card = densegym.register_task(
        ...     "CartPole-v1", features={"position": 0, "angle": 2}, success="steps >= 195"
        ... )
        >>> [feature.name for feature in card.features]
        ['position', 'angle']
    """
    if tasks.is_registered(env_id):
        raise DenseGymError(f"{env_id} has a card already; densegym envs {env_id} shows it")
    known = [field.name for field in dataclasses.fields(TaskCard)]
    for name in card:
        if name not in known:
            raise unknown("field of a task card", name, known)
    told = features is not None and success is not None
    found = drafted(env_id, episodes=0) if told else drafted(env_id)
    changes: dict[str, Any] = dict(card)
    if goal is not None:
        changes["goal"] = goal
    if features is not None:
        changes["features"] = _rows(features)
    whole = dataclasses.replace(found.card, **changes)
    return add_task(env_id, whole, success or found.success).card


def register_card(path: Path) -> TaskCard:
    """Register the task of a card file; see ``register_task``.

    Raises:
        DenseGymError: the file is no card, or the environment has not what it says.
    """
    told = read_card(path)
    return register_task(told.pop("env_id"), success=told.pop("success", None) or None, **told)


def keep_card(env_id: str, folder: Path) -> None:
    """Write the card of a task that is not DenseGym's beside what is measured with it.

    Raises:
        ResultsError: the folder was begun under another card.
    """
    world, path = tasks.find_foreign(env_id), folder / CARD_FILE
    if world is None or world.team is not None:
        return
    text = to_toml(world.card, world.success or NONE)
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise ResultsError(
            f"{folder} was begun under another task card of {env_id}. Add --card {path} to go on "
            "under that, or choose another --out"
        )
    path.write_text(text, encoding="utf-8")


def take_card(folder: Path) -> None:
    """Register the card that ``keep_card`` wrote.

    Raises:
        ResultsError: the user has registered another card of the same task.
    """
    path = folder / CARD_FILE
    if not path.is_file():
        return
    known = find_task(read_card(path)["env_id"])
    if known is None or known.owner == DRAFT:
        register_card(path)
    elif to_toml(known.card, known.success or NONE) != path.read_text(encoding="utf-8"):
        raise ResultsError(
            f"{folder} was judged under another task card of {known.card.id} than the one "
            f"registered here. Leave that out, or add --card {path} in its place"
        )


def _rows(features: Features) -> tuple[Feature, ...]:
    if not isinstance(features, Mapping):
        return tuple(features)
    return tuple(_row(name, where) for name, where in features.items())


def _row(name: str, where: Any) -> Feature:
    if isinstance(where, Feature):
        return dataclasses.replace(where, name=name)
    if isinstance(where, str):
        return Feature(name, (), "1", "-", "", "obs", where)
    pair = (where, where + 1) if isinstance(where, int) else where
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise DenseGymError(
            f'feature "{name}" is a column such as 2, a pair such as (0, 3), a key such as "pole" '
            f"or a densegym.Feature; given {where!r}"
        )
    start, stop = pair
    shape = () if isinstance(where, int) else (stop - start,)
    return Feature(name, shape, "1", "-", "", "obs", None, (start, stop))
