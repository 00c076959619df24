"""What a step would have paid had another goal been asked for: rewards that hindsight relabels.

Goal-conditioned worlds compute their own rewards from goals alone. A reward model of yours joins
them with a method ``of_goals(achieved, desired) -> (B,) float64``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.model import RewardModel
from densegym.reward_models.reward import Reward
from densegym.reward_models.types import Float
from densegym.reward_models.world.rewards import EnvReward, ExpertReward

_METHODS: Mapping[type[RewardModel], str] = {
    EnvReward: "compute_reward",
    ExpertReward: "compute_expert_reward",
}
"""By reward, the method of a world that computes it of achieved and desired goals."""


def world_methods(reward: RewardModel) -> tuple[str, ...] | None:
    """Return which methods of a world a reward of other goals needs.

    Returns:
        Their names; None where the reward is no function of goals.
    """
    needed = [] if not isinstance(reward, Reward) or not reward.adds_world else ["compute_reward"]
    for term in Reward.of(reward).terms:
        if term.gate is not None or term.mode == "shape":
            return None
        if isinstance(term.model, Reward):
            inner = world_methods(term.model)
            if inner is None:
                return None
            needed += inner
        elif type(term.model) in _METHODS:
            needed.append(_METHODS[type(term.model)])
        elif type(term.model).of_goals is RewardModel.of_goals:
            return None
    return tuple(dict.fromkeys(needed))


def goal_reward(
    reward: RewardModel, achieved: Any, desired: Any, ask: Callable[[str], Float]
) -> Float:
    """Return what a reward pays for goals.

    Args:
        reward: one of which ``world_methods`` is not None.
        achieved: (B, D) goals that were reached.
        desired: (B, D) goals that are asked for.
        ask: calls a method of the world with the same goals, by name.

    Returns:
        (B,) float64.

    Raises:
        RewardError: the reward is no function of goals.
    """
    if world_methods(reward) is None:
        raise RewardError(
            f'"{reward.name}" is no function of goals, so no other goal can be put in its place. '
            'Use reward "env" or "expert", or give your reward model a method '
            "of_goals(achieved, desired)"
        )
    paid = Reward.of(reward)
    total: Float = np.zeros(len(achieved))
    if paid.adds_world:
        total = total + ask("compute_reward")
    for term in paid.terms:
        model: Any = term.model
        kind: type[RewardModel] = type(term.model)
        if isinstance(model, Reward):
            share = goal_reward(model, achieved, desired, ask)
        elif kind in _METHODS:
            share = np.asarray(ask(_METHODS[kind]), dtype=np.float64)
        else:
            share = np.asarray(model.of_goals(achieved, desired), dtype=np.float64)
        total = total + term.transformed(share)
    return total
