"""Steps that speak, made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from densegym.reward_models.model import RewardModel
from densegym.reward_models.types import Scores, Starts, Steps, TaskCard

CARD = TaskCard(id="Toy/Talk-v0", goal="Find the key and open the door.")


def begin(model: RewardModel, lanes: Sequence[int], obs: Any = None) -> None:
    info = [{"captions": ("Hello Agent, welcome to NetHack!",)} for _ in lanes]
    model.begin(Starts(np.array(lanes), obs, info))


def say(
    model: RewardModel,
    lines: Sequence[Sequence[str]],
    *,
    lanes: Sequence[int] | None = None,
    obs: Any = None,
    action: Any = None,
    next_obs: Any = None,
    info: Mapping[str, Any] | None = None,
) -> Scores:
    """Score one vector step whose rows say the given lines."""
    count = len(lines)
    zeros, never = np.zeros(count), np.zeros(count, dtype=np.bool_)
    return model.score(
        Steps(
            slot=np.arange(count) if lanes is None else np.array(lanes),
            t=zeros.astype(np.int64),
            obs=obs,
            action=action,
            next_obs=next_obs,
            env_reward=zeros,
            terminated=never,
            truncated=never,
            info=[{"captions": tuple(row), **(info or {})} for row in lines],
        )
    )
