"""Symbols as numbers: what a code stands for has no size, so no network may read it as one.

Every symbol has a fixed random code, the same everywhere. The crop of a map is the one that the
encoder of ``intrinsic`` embeds; its codes are learned there and drawn here, because a credit's
networks are functions of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from densegym.reward_models.intrinsic.novelty.features import SYMBOLS, features_of, has_map

_OF_CELL = 8  # numbers that stand for a cell of a map
_OF_STATE = 32  # numbers that stand for a whole observation


def _table(width: int) -> Any:
    drawn = np.frombuffer(np.random.Generator(np.random.PCG64(0)).bytes(SYMBOLS * width), np.uint8)
    return (drawn.reshape(SYMBOLS, width) / 127.5 - 1.0).astype("f4")


_CELLS, _STATES = _table(_OF_CELL), _table(_OF_STATE)


def is_state_number(obs: Any) -> bool:
    """Return whether observations are single whole numbers, as of a Discrete space."""
    return isinstance(obs, np.ndarray) and obs.ndim == 1 and obs.dtype.kind in "iu"


def state_codes(obs: Any) -> Any:
    """Return (B, 32) float32 codes of B whole numbers."""
    return _STATES[np.asarray(obs, dtype=np.int64) % SYMBOLS]


def map_leaves_of(obs: Any) -> list[Any] | None:
    """Return what a game with a map shows: codes of the crop, status, messages; None for others.

    Other whole numbers of such a game, as of its inventory, are codes or bytes and are left out.

    Returns:
        (B, D) arrays and lists of B texts.

    Raises:
        DenseGymError: a whole map without the agent's place.
    """
    if not isinstance(obs, Mapping) or not has_map(obs):
        return None
    symbols = features_of(obs).symbols
    kept: list[Any] = [_CELLS[symbols].reshape(len(symbols), -1)]
    kept += [obs[name] for name in ("blstats",) if name in obs]
    if "message" in obs:
        kept.append([_text(row) for row in np.asarray(obs["message"], dtype=np.uint8)])
    kept += [leaf for name, leaf in obs.items() if name != "blstats" and _is_plain(leaf)]
    return kept


def _is_plain(leaf: Any) -> bool:
    return isinstance(leaf, list) or np.asarray(leaf).dtype.kind == "f"


def _text(row: Any) -> str:
    return bytes(row).partition(b"\0")[0].decode("latin-1")
