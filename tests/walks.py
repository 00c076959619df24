"""Walks over many ids: a seeded sample in the default run, all of them with ``-m slow``."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest

from densegym.envs.world import World

SEED = 20
MOST = 30  # of a family in the default run


def walk(worlds: Iterable[World], *, most: int = MOST) -> list[Any]:
    """Return ids as parameters of a test, those beyond a family's sample marked as slow.

    Args:
        worlds: in the order of the walk.
        most: ids of one family in the default run.
    """
    listed = list(worlds)
    families: dict[str, list[str]] = {}
    for world in listed:
        families.setdefault(world.card.family, []).append(world.card.id)
    rng = random.Random(SEED)
    drawn = {
        env_id
        for ids in families.values()
        for env_id in (ids if len(ids) <= most else rng.sample(ids, most))
    }
    marks = {world.card.id: () if world.card.id in drawn else pytest.mark.slow for world in listed}
    return [
        pytest.param(world.card.id, id=world.card.id, marks=marks[world.card.id])
        for world in listed
    ]
