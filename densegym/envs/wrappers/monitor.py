"""SB3's episode statistics, read from the book of pay instead of added up from step rewards."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.vec_env import VecMonitor

from densegym.envs.wrappers.sb3 import DenseRewardVecEnv


class PayMonitor(VecMonitor):
    """``VecMonitor`` whose ``info["episode"]["r"]`` is what the episode was paid in the end.

    Pay that is known only after an episode corrects the entry in place, which is the one that
    SB3 keeps for its logs.

    Args:
        venv: a ``DenseRewardVecEnv``.
    """

    def __init__(self, venv: DenseRewardVecEnv) -> None:
        super().__init__(venv)
        self._engine = venv.engine

    def step_wait(self) -> Any:
        """Step, and let the book fill in the returns of ended episodes."""
        obs, rewards, dones, infos = super().step_wait()
        if self._engine.pay.keeps:
            for lane in dones.nonzero()[0].tolist():
                self._engine.pay.report(lane, infos[lane]["episode"])
        return obs, rewards, dones, infos
