"""What counts as "the same state": keys of observations and captions, as 64-bit numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from densegym.errors import unknown
from densegym.reward_models.intrinsic.canonical import step_captions
from densegym.reward_models.types import Info, TaskCard

_PLACE = [0, 1, 12, 23, 24]  # blstats: column, row, depth, dungeon, level


def digest(content: bytes) -> int:
    """Return a signed 64-bit digest."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big", signed=True)


def default_key(task: TaskCard | None) -> str:
    """Return what counts as the same state unless a user says so: the place, where there is one."""
    return "position" if task is None or "position" in task.gives else "obs"


def state_keys(kind: str, obs: Any, info: Sequence[Info]) -> list[int]:
    """Return one key per row.

    Args:
        kind: ``"position"`` (place, depth, dungeon and level of blstats), ``"message"``,
            ``"glyphs"``, ``"captions"`` (canonical, of info), ``"obs"`` (everything), or any
            entry of a Dict observation.
        obs: batch of observations, or None with ``"captions"``.
        info: B mappings.

    Raises:
        UnknownNameError: the observation has no such entry.
    """
    if kind == "captions":
        return [digest("\n".join(step_captions(row)).encode()) for row in info]
    if kind == "obs":
        return _digests(leaves(obs))
    if kind == "position":
        return _digests([_entry(obs, "blstats", kind)[:, _PLACE]])
    return _digests([np.asarray(_entry(obs, kind, kind))])


def _entry(obs: Any, name: str, kind: str) -> Any:
    if not isinstance(obs, Mapping) or name not in obs:
        known = list(obs) if isinstance(obs, Mapping) else []
        raise unknown(f'observation entry for key="{kind}"', name, [*known, "obs", "captions"])
    return obs[name]


def leaves(obs: Any) -> list[Any]:
    """Return the arrays and lists of texts of a batch of observations, entries by name."""
    if isinstance(obs, Mapping):
        return [leaf for name in sorted(obs) for leaf in leaves(obs[name])]
    if isinstance(obs, tuple):
        return [leaf for part in obs for leaf in leaves(part)]
    return [obs]


def _digests(parts: Sequence[Any]) -> list[int]:
    return [digest(b"\0".join(row)) for row in zip(*map(_rows, parts), strict=True)]


def _rows(leaf: Any) -> list[bytes]:
    if isinstance(leaf, list):
        return [text.encode() for text in leaf]
    return [row.tobytes() for row in np.asarray(leaf)]
