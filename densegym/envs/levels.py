"""Stored levels of worlds: what idling, chance and the scripted expert reach, by protocol.

Without them a success number says little: a random FetchReach succeeds in a fifth of its episodes.
``densegym bench chance`` measures them; the records lie in ``densegym/assets/levels``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from densegym import assets
from densegym.envs.protocols import OWN

FOLDER = "levels"
POLICIES = ("idle", "random", "expert")
"""Action zero at every step; uniform actions; the scripted expert, where there is one."""


@dataclass(frozen=True, slots=True)
class Level:
    """What one policy reached in one world under one protocol.

    Attributes:
        episodes: how many were played.
        success: share of successful episodes, by the protocol's rule.
        latched: share in which the world's rule held at any step.
        last: share in which it held at the last step.
        return_env: mean of the world's own return.
        length: mean steps of an episode.
    """

    episodes: int
    success: float
    latched: float
    last: float
    return_env: float
    length: float


def levels(env_id: str, family: str, protocol: str = OWN) -> dict[str, Level]:
    """Return the stored levels of a world under a protocol, by policy; none where none are stored.

    Args:
        env_id: e.g. ``"DenseGym/ButtonPress-v0"``.
        family: of its task card.
        protocol: its name.
    """
    stored = record(env_id, family).get("protocols", {}).get(protocol, {})
    return {policy: Level(**stored[policy]) for policy in POLICIES if policy in stored}


def record(env_id: str, family: str) -> Mapping[str, Any]:
    """Return everything stored of a world, provenance included; empty where nothing is."""
    found: Mapping[str, Any] = _family(family).get(env_id, {})
    return found


def told(env_id: str, family: str, protocol: str = OWN) -> dict[str, float | None]:
    """Return what stands beside a success number: success of idling, of chance, of the expert.

    Each is None where it is not stored or there is no expert.
    """
    found = levels(env_id, family, protocol)
    names = {"idle": "chance_idle", "random": "chance_random", "expert": "expert_ceiling"}
    return {
        name: found[policy].success if policy in found else None for policy, name in names.items()
    }


@cache
def _family(family: str) -> Mapping[str, Any]:
    path = assets.path(f"{FOLDER}/{family}.json")
    if not family or not path.is_file():
        return {}
    worlds: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))["worlds"]
    return worlds
