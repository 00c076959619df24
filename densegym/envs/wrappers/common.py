"""What the four skins share: finding the task card and building the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from densegym.envs.tasks import find_card
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
    """Return the stacked ``info["frame"]`` pictures, or None when nobody looks at them."""
    if not engine.needs_frames:
        return None
    return np.stack([info["frame"] for info in infos])


def write_rows(infos: Sequence[dict[str, Any]], outcome: Outcome) -> None:
    """Write an outcome's flat floats into one info dict per row."""
    # Key by key: a third faster than updating each dict from a row.
    # Equal lengths by construction; checking them here costs a microsecond a step.
    for key, column in zip(outcome.keys, outcome.columns, strict=False):
        for info, value in zip(infos, column.tolist(), strict=False):
            info[key] = value
