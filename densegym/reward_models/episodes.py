"""Whole episodes on disk: one ``.npz`` without pickles, and what a reward says of them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from densegym.errors import ResultsError
from densegym.reward_models.batch import map_leaves, stack
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.types import Episode, Float, Info, Int

SCHEMA = 2
_LARGEST = 64  # entries of an array in an info


class EpisodeFile(NamedTuple):
    """Episodes of one task.

    Attributes:
        task: environment id.
        reward: label of the reward that ``dense_reward`` was paid by.
        episodes: in the order they were played.
    """

    task: str
    reward: str
    episodes: Sequence[Episode]


def save_episodes(path: Path, stored: EpisodeFile) -> None:
    """Write episodes; pictures are left out, and of infos what JSON can hold.

    Raises:
        ResultsError: there are none, or their observations are nested deeper than a dict.
    """
    episodes = stored.episodes
    if not episodes:
        raise ResultsError(f"there are no episodes to write to {path}")
    columns: dict[str, Any] = {
        "lengths": np.array([len(one.env_reward) for one in episodes], dtype=np.int64),
        "terminated": np.array([one.terminated for one in episodes]),
        "env_reward": np.concatenate([one.env_reward for one in episodes]),
        "dense_reward": np.concatenate([one.dense_reward for one in episodes]),
    }
    for name in ("obs", "action"):
        _put(columns, name, [getattr(one, name) for one in episodes])
    head = {"schema": SCHEMA, "task": stored.task, "reward": stored.reward}
    told = [[_plain(info) for info in one.info] for one in episodes]
    starts = [_plain(one.start) for one in episodes]
    rest = {**head, "tasks": [one.task for one in episodes], "start": starts, "info": told}
    columns["head"] = np.frombuffer(json.dumps(rest).encode(), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez_compressed(file, **columns)


def load_episodes(path: Path) -> EpisodeFile:
    """Read what ``save_episodes`` wrote; episode ``i`` gets slot ``i``.

    Raises:
        ResultsError: the file is missing, damaged, or of another schema.
    """
    try:
        # Opened here, because NumPy leaves the file of a damaged archive open.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            head = json.loads(file["head"].tobytes())
            if head["schema"] != SCHEMA:
                raise ResultsError(
                    f"{path} has episode schema {head['schema']}, this version reads {SCHEMA}; "
                    "record the episodes again: densegym eval RUN --record FILE"
                )
            columns = {name: file[name] for name in file.files if name != "head"}
            episodes = _split(columns, head)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        if isinstance(error, ResultsError):
            raise
        raise ResultsError(
            f"{path} holds no readable episodes ({type(error).__name__}); record some with: "
            "densegym eval RUN --record FILE"
        ) from error
    return EpisodeFile(head["task"], head["reward"], episodes)


def relabel(
    engine: RewardEngine,
    episodes: Sequence[Episode],
    *,
    on_episode: Callable[[int], None] = lambda done: None,
) -> list[Float]:
    """Return what a reward pays for every step of stored episodes, (T,) float64 each.

    The engine is led through the episodes as a world would, up to its number of lanes side by
    side, so step-level models, potentials and models of whole episodes all pay as in training.

    Args:
        engine: after ``show()``, so that it accepts models of whole episodes.
        episodes: infos must hold what the reward reads.
        on_episode: called with the number of finished episodes.
    """
    paid: list[Float] = []
    for first in range(0, len(episodes), engine.num_envs):
        paid += _play(engine, episodes[first : first + engine.num_envs])
        on_episode(len(paid))
    return paid


def _play(engine: RewardEngine, group: Sequence[Episode]) -> list[Float]:
    lengths = np.array([len(one.env_reward) for one in group])
    paid = [np.zeros(length) for length in lengths]
    lanes = np.arange(len(group))
    first = [dict(one.start) for one in group]
    seen: Any = [one.frames[0] for one in group if one.frames is not None]
    engine.begin(lanes, _rows(group, lanes, 0), first, np.stack(seen) if seen else None)
    for t in range(int(lengths.max(initial=0))):
        slot = np.flatnonzero(lengths > t)
        outcome = _step(engine, group, slot, t, lengths)
        for row, lane in enumerate(slot.tolist()):
            paid[lane][t] = outcome.reward[row]
        for lane, credit in outcome.credits:
            paid[lane] = credit
    return paid


def _step(engine: RewardEngine, group: Sequence[Episode], slot: Int, t: int, lengths: Int) -> Any:
    lanes = [group[lane] for lane in slot.tolist()]
    last = lengths[slot] == t + 1
    ended = np.array([one.terminated for one in lanes])
    frames: Any = [one.frames[t + 1] for one in lanes if one.frames is not None]
    return engine.advance(
        slot=slot,
        action=stack([map_leaves(lambda leaf: leaf[t], one.action) for one in lanes]),
        next_obs=_rows(group, slot, t + 1),
        env_reward=np.array([one.env_reward[t] for one in lanes]),
        terminated=last & ended,
        truncated=last & ~ended,
        info=[dict(one.info[t]) for one in lanes],
        frame=np.stack(frames) if frames else None,
    )


def _rows(group: Sequence[Episode], lanes: Int, t: int) -> Any:
    if group[0].obs is None:
        return None
    return stack([map_leaves(lambda leaf: leaf[t], group[lane].obs) for lane in lanes.tolist()])


def _put(columns: dict[str, Any], name: str, parts: Sequence[Any]) -> None:
    if isinstance(parts[0], dict):
        for key in parts[0]:
            _put(columns, f"{name}/{key}", [part[key] for part in parts])
    elif isinstance(parts[0], list):
        columns[name] = np.array([text for part in parts for text in part], dtype=np.str_)
    elif isinstance(parts[0], np.ndarray):
        columns[name] = np.concatenate(parts)
    elif parts[0] is not None:
        raise ResultsError(
            f"episodes are stored as arrays, texts or dicts of these; {name} is "
            f"{type(parts[0]).__name__}"
        )


def _split(columns: dict[str, Any], head: dict[str, Any]) -> list[Episode]:
    lengths = columns["lengths"]
    ends = np.cumsum(lengths)
    obs, action = (
        _take(columns, "obs", ends + 1 + np.arange(len(ends))),
        _take(columns, "action", ends),
    )
    begins = ends - lengths
    return [
        Episode(
            slot=i,
            obs=obs[i],
            action=action[i],
            env_reward=columns["env_reward"][begins[i] : ends[i]],
            dense_reward=columns["dense_reward"][begins[i] : ends[i]],
            terminated=bool(columns["terminated"][i]),
            info=head["info"][i],
            task=head["tasks"][i],
            start=head["start"][i],
        )
        for i in range(len(lengths))
    ]


def _take(columns: dict[str, Any], name: str, ends: Int) -> list[Any]:
    """Return one entry per episode from a column or a dict of columns; None where there is none."""
    if name in columns:
        parts = np.split(columns[name], ends[:-1])
        return [part.tolist() if part.dtype.kind == "U" else part for part in parts]
    stems = (key.removeprefix(f"{name}/") for key in columns if key.startswith(f"{name}/"))
    split = {stem: _take(columns, f"{name}/{stem}", ends) for stem in stems}
    if not split:
        return [None] * len(ends)
    return [{key: parts[i] for key, parts in split.items()} for i in range(len(ends))]


def _plain(info: Info) -> dict[str, Any]:
    """Return what JSON can hold of an info; numbers lose nothing but their NumPy type."""
    kept = {}
    for key, value in info.items():
        numeric = isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf"
        plain = value.tolist() if numeric and value.size <= _LARGEST else value
        if _is_plain(plain):
            kept[key] = plain
    return kept


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    return isinstance(value, bool | int | float | str)


def summary(episodes: Sequence[Episode]) -> dict[str, float]:
    """Return what was paid: mean returns, steps paid, and how closely pay follows the world's."""
    dense = np.concatenate([one.dense_reward for one in episodes])
    own = np.concatenate([one.env_reward for one in episodes])
    together = dense.std() > 0 and own.std() > 0
    return {
        "steps": len(dense),
        "return/env": float(own.sum() / len(episodes)),
        "return/dense": float(dense.sum() / len(episodes)),
        "paid steps": float(np.count_nonzero(dense) / len(dense)),
        "correlation": float(np.corrcoef(dense, own)[0, 1]) if together else float("nan"),
    }
