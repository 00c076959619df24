"""Observations as numbers a network can take: a crop of the map as symbols, counters as scalars.

Symbols are embedded, never taken as quantities, and no glyph number means anything here, so other
versions of the game and symbols nobody has seen are welcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from densegym.errors import DenseGymError
from densegym.reward_models.intrinsic.keys import leaves
from densegym.reward_models.types import Int

_CROPS = ("chars_crop", "glyphs_crop", "chars", "glyphs")
_RADIUS = 4
SYMBOLS = 1024  # rows of an embedding; larger symbol numbers share rows
_COUNTERS = (10, 12, 18, 21)  # blstats: hit points, depth, level, hunger


class Features(NamedTuple):
    """A batch of states.

    Attributes:
        symbols: (B, S) int64 in [0, SYMBOLS), S may be 0.
        scalars: (B, F) float32, F may be 0.
    """

    symbols: Int
    scalars: npt.NDArray[np.float32]


def features_of(obs: Any) -> Features:
    """Return the features of a batch of observations.

    A Dict observation with a map gives the 9x9 symbols around the agent and four counters; any
    other gives its numbers, flattened, with logarithms of large ones.

    Raises:
        DenseGymError: the observation is text.
    """
    if isinstance(obs, Mapping) and has_map(obs):
        crop = _crop(obs)
        symbols = crop.reshape(len(crop), -1).astype(np.int64) % SYMBOLS
        stats = obs.get("blstats")
        counters = np.zeros((len(crop), 0)) if stats is None else stats[:, list(_COUNTERS)]
        return Features(symbols, _squash(counters))
    numbers = [_flat(leaf) for leaf in leaves(obs)]
    scalars = np.concatenate(numbers, axis=1) if numbers else np.zeros((0, 0))
    return Features(np.zeros((len(scalars), 0), dtype=np.int64), _squash(scalars))


def has_map(obs: Mapping[str, Any]) -> bool:
    """Return whether an observation shows a map of symbols."""
    return any(name in obs for name in _CROPS)


def _crop(obs: Mapping[str, Any]) -> Any:
    name = next(name for name in _CROPS if name in obs)
    values = np.asarray(obs[name])
    if name.endswith("_crop"):
        return values
    if "blstats" not in obs:
        raise DenseGymError(
            f'"{name}" is cropped around the agent, whose place "blstats" would say'
        )
    padded = np.pad(values, ((0, 0), (_RADIUS, _RADIUS), (_RADIUS, _RADIUS)))
    window = np.arange(2 * _RADIUS + 1)
    rows = np.clip(obs["blstats"][:, 1], 0, values.shape[1] - 1)[:, None, None] + window[:, None]
    columns = np.clip(obs["blstats"][:, 0], 0, values.shape[2] - 1)[:, None, None] + window
    return padded[np.arange(len(values))[:, None, None], rows, columns]


def _flat(leaf: Any) -> Any:
    if isinstance(leaf, list):
        raise DenseGymError('novelty of text is counted: use intrinsic/count with "key": "obs"')
    values = np.asarray(leaf, dtype=np.float64)
    return values.reshape(len(values), -1)


def _squash(values: Any) -> npt.NDArray[np.float32]:
    squashed: npt.NDArray[np.float32] = (np.sign(values) * np.log1p(np.abs(values))).astype(
        np.float32
    )
    return squashed
