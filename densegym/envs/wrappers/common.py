"""What the four skins share: finding the task card and building the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from densegym.envs.tasks import find_card
from densegym.envs.wrappers.frames import FrameInInfo
from densegym.reward_models.engine import Outcome, RewardEngine
from densegym.reward_models.spec import RewardSpec, build_engine
from densegym.reward_models.types import Need, TaskCard


def engine_for(
    reward: RewardSpec, lanes: int, *, env_id: str | None, task: TaskCard | None, seed: int
) -> RewardEngine:
    """Build the engine of a skin; worlds without a card get a blank one."""
    card = task or find_card(env_id) or TaskCard(id=env_id or "an unregistered environment")
    return build_engine(reward, lanes, task=card, seed=seed)


def wants_transitions(engine: RewardEngine) -> bool:
    """Whether observations and actions must be batched at all."""
    return bool(engine.model.needs & (Need.OBS | Need.EPISODE))


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
    env: gym.Env[Any, Any], engine: RewardEngine, task: TaskCard | None
) -> gym.Env[Any, Any]:
    """Return a world that shows what the engine's model looks at, through the card's cameras."""
    if not engine.needs_frames:
        return env
    wanted = engine.pictures
    return FrameInInfo(
        env,
        cameras=wanted.cameras or (task.cameras if task is not None else ()),
        size=wanted.size,
        every=wanted.every,
        pretty=wanted.pretty,
        hidden=task.hidden if task is not None else (),
    )


def write_rows(infos: Sequence[dict[str, Any]], outcome: Outcome) -> None:
    """Write an outcome's flat floats into one info dict per row."""
    # Key by key: a third faster than updating each dict from a row.
    # Equal lengths by construction; checking them here costs a microsecond a step.
    for key, column in zip(outcome.keys, outcome.columns, strict=False):
        for info, value in zip(infos, column.tolist(), strict=False):
            info[key] = value
