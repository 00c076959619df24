"""What fitted credits read of a step: (D,) numbers from arrays, dicts of arrays, or text."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.batch import map_leaves
from densegym.reward_models.credit.fitting.symbols import (
    is_state_number,
    map_leaves_of,
    state_codes,
)
from densegym.reward_models.types import Episode, Steps

WIDEST = 4096  # columns; beyond it the observation is a picture, for which an MLP is no judge
CHOICES = 128  # columns of a one-hot action
_WORDS = 256  # columns of hashed words
_WORD = re.compile(r"[a-z0-9]+")


def inputs_of(episode: Episode) -> Any:
    """Return (T, D) float32 inputs of an episode's steps; see ``inputs``."""
    before = map_leaves(lambda leaf: leaf[:-1], episode.obs)
    after = map_leaves(lambda leaf: leaf[1:], episode.obs)
    return inputs(before, episode.action, after)


def inputs(obs: Any, action: Any, next_obs: Any) -> Any:
    """Return [s, a, s − s'] of B steps, (B, D) float32, as RRD's.

    Whole-number actions become one-hot, modulo 128; text becomes counts of hashed words; a choice
    among candidates (``cands`` (B, K, F) beside a whole-number action) becomes the features of the
    candidate that was taken. Symbols of a map and states that are numbers become codes, see
    ``symbols``.

    Raises:
        RewardError: pictures or other observations of more than 4,096 numbers.
    """
    if isinstance(obs, dict) and "cands" in obs:
        taken = obs["cands"][np.arange(len(action)), np.asarray(action, dtype=np.int64).ravel()]
        rest = {key: obs[key] for key in obs if key not in ("cands", "mask")}
        after = {key: next_obs[key] for key in rest}
        return np.concatenate([_flat(rest), taken, _flat(rest) - _flat(after)], axis=1, dtype="f4")
    before, after = _narrow(_flat(obs)), _flat(next_obs)
    return np.concatenate([before, _acted(action), before - after], axis=1, dtype="f4")


def states(obs: Any) -> Any:
    """Return (B, D) float32 numbers of B observations; of candidates, their mean.

    Raises:
        RewardError: pictures or other observations of more than 4,096 numbers.
    """
    if isinstance(obs, dict) and "cands" in obs:
        there = offered(obs)
        rest = {key: obs[key] for key in obs if key not in ("cands", "mask")}
        count = np.maximum(there.sum(axis=1, keepdims=True), 1)
        mean = (obs["cands"] * there[..., None]).sum(axis=1) / count
        return np.concatenate([_flat(rest), mean], axis=1, dtype="f4")
    return _narrow(_flat(obs))


def offered(obs: Any) -> Any:
    """Return (B, K) which candidates of a choice there are, all of them without a mask."""
    if "mask" in obs:
        return np.asarray(obs["mask"], dtype=np.bool_)
    return np.ones(obs["cands"].shape[:2], dtype=np.bool_)


def steps_of(episode: Episode) -> Steps:
    """Return an episode as one batch of T steps of one lane, for readers of features."""
    length = len(episode.env_reward)
    last = np.arange(length) == length - 1
    return Steps(
        slot=np.full(length, episode.slot),
        t=np.arange(length),
        obs=map_leaves(lambda leaf: leaf[:-1], episode.obs),
        action=episode.action,
        next_obs=map_leaves(lambda leaf: leaf[1:], episode.obs),
        env_reward=episode.env_reward,
        terminated=last & episode.terminated,
        truncated=last & (not episode.terminated),
        info=episode.info,
        frame=None if episode.frames is None else episode.frames[1:],
    )


def _narrow(rows: Any) -> Any:
    if rows.shape[1] > WIDEST:
        raise RewardError(
            f"the observation has {rows.shape[1]} numbers, more than the {WIDEST} that learned "
            'credits read. Use "credit/uniform", or "credit/lare" with factors of your own.'
        )
    return rows


def _acted(action: Any) -> Any:
    if isinstance(action, list):
        return _hashed(action)
    taken = np.asarray(action)
    if taken.dtype.kind in "iub" and taken.size == len(taken):
        return np.eye(CHOICES, dtype="f4")[taken.ravel().astype(np.int64) % CHOICES]
    return taken.reshape(len(taken), -1)


def _flat(obs: Any) -> Any:
    if is_state_number(obs):
        return state_codes(obs)
    leaves = map_leaves_of(obs) or (list(obs.values()) if isinstance(obs, dict) else [obs])
    columns = [
        _hashed(leaf) if isinstance(leaf, list) else np.asarray(leaf).reshape(len(leaf), -1)
        for leaf in leaves
    ]
    rows = np.concatenate(columns, axis=1, dtype="f4")
    rows[~np.isfinite(rows)] = np.nan  # not read, see ``scales``
    return rows


def _hashed(texts: Sequence[str]) -> Any:
    """Return (B, 256) square roots of word counts, words hashed by CRC-32, the same everywhere."""
    counts = np.zeros((len(texts), _WORDS), dtype="f4")
    for row, text in enumerate(texts):
        words = [zlib.crc32(word.encode()) % _WORDS for word in _WORD.findall(str(text).lower())]
        np.add.at(counts[row], words, 1.0)
    return np.sqrt(counts)
