"""The world's own rewards by name."""

from __future__ import annotations

from densegym.reward_models.catalogue import RewardEntry
from densegym.reward_models.types import TaskCard

_REWARDS = "densegym.reward_models.world.rewards"


def _has_expert(task: TaskCard) -> bool:
    return task.expert is not None


CATALOGUE = (
    RewardEntry("env", f"{_REWARDS}:EnvReward", "the world's own, honest outcome (the default)"),
    RewardEntry(
        "expert",
        f"{_REWARDS}:ExpertReward",
        "the suite's hand-written dense reward",
        fits=_has_expert,
    ),
    RewardEntry("delayed", f"{_REWARDS}:DelayedReward", "the whole return on the last step"),
)
