"""What the four wrappers share: the task card, the engine, pictures, and writing ``info``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from densegym.envs.tasks import find_card
from densegym.envs.wrappers.frames import frame_wrapper, shows_frames
from densegym.errors import RewardError
from densegym.reward_models.engine import Outcome, RewardEngine
from densegym.reward_models.spec import RewardSpec, build_engine
from densegym.reward_models.types import TaskCard


def engine_for(
    reward: RewardSpec, lanes: int, *, env_id: str | None, task: TaskCard | None, seed: int
) -> RewardEngine:
    """Build the engine of a wrapper; worlds without a card get a blank one."""
    card = task or find_card(env_id) or TaskCard(id=env_id or "an unregistered environment")
    return build_engine(reward, lanes, task=card, seed=seed)


def frames_of(infos: Any, engine: RewardEngine) -> Any:
    """Return ``info["frame"]`` of every row, zeros where none was due; None where nobody looks."""
    if not engine.needs_frames:
        return None
    taken = [info.get("frame") for info in infos]
    blank = next((np.zeros_like(frame) for frame in taken if frame is not None), None)
    if blank is None:
        return None
    return np.stack([blank if frame is None else frame for frame in taken])


def with_frames(
    envs: Sequence[gym.Env[Any, Any]], engine: RewardEngine, task: TaskCard | None
) -> list[gym.Env[Any, Any]]:
    """Return worlds that show what the engine's reward looks at; those that do stay as they are."""
    if not engine.needs_frames:
        return list(envs)
    wrap = frame_wrapper(engine.pictures, task)
    return [env if shows_frames(env) else wrap(env) for env in envs]


def refuse_frames(host: Any, engine: RewardEngine) -> None:
    """Say that the worlds of a host cannot be reached to take pictures in them.

    Raises:
        RewardError: always.
    """
    raise RewardError(
        f'"{engine.reward.name}" looks at pictures, and {type(host).__name__} keeps its worlds '
        "where none can be taken from here. Wrap every world in frame_wrapper(...) of "
        "densegym.envs.wrappers.frames before it is vectorised, or use densegym.make_vec."
    )


def write_rows(infos: Sequence[dict[str, Any]], outcome: Outcome) -> None:
    """Write an outcome's flat floats into one info dict per row."""
    # Key by key: a third faster than updating each dict from a row.
    # Equal lengths by construction; checking them here costs a microsecond a step.
    for key, column in zip(outcome.keys, outcome.columns, strict=False):
        for info, value in zip(infos, column.tolist(), strict=False):
            info[key] = value
