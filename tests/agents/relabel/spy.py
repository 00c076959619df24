"""Watches what an on-policy learner was paid, and the bootstraps in it."""

from __future__ import annotations

from typing import Any

import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm


class Spy(BaseCallback):
    """Keeps the rewards that advantages were computed from, and the bootstraps in them.

    Recurrent learners' bootstraps are left out: their value depends on a state nobody keeps.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rewards: list[Any] = []
        self.bootstraps: dict[tuple[int, int], float] = {}

    def _on_step(self) -> bool:
        if not isinstance(self.model, OnPolicyAlgorithm) or isinstance(self.model, RecurrentPPO):
            return True
        for lane, info in enumerate(self.locals["infos"]):
            if info.get("TimeLimit.truncated"):
                obs = self.model.policy.obs_to_tensor(info["terminal_observation"])[0]
                with torch.no_grad():
                    value = self.model.policy.predict_values(obs)[0]
                self.bootstraps[self.n_calls - 1, lane] = self.model.gamma * float(value)
        return True

    def _on_rollout_end(self) -> None:
        if isinstance(self.model, OnPolicyAlgorithm):
            self.rewards.append(self.model.rollout_buffer.rewards.copy())
