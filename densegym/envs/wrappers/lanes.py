"""Worlds stepped side by side for SB3, without the deep copies of ``DummyVecEnv``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv


class LaneVecEnv(DummyVecEnv):
    """SB3's in-process vector env with float64 rewards and infos handed over, not deep-copied.

    Worlds of this package return a fresh info at every step, so copying it deeply protects
    nobody and costs a tenth of a MuJoCo step. Rewards stay float64: SB3's float32 buffer would
    round the world's own outcome.
    """

    def __init__(self, env_fns: list[Callable[[], gym.Env[Any, Any]]]) -> None:
        super().__init__(env_fns)
        self.buf_rews = self.buf_rews.astype(np.float64)

    def step_wait(self) -> Any:
        """Step every lane, resetting those that ended."""
        infos: list[dict[str, Any]] = []
        for lane, env in enumerate(self.envs):
            obs, self.buf_rews[lane], terminated, truncated, info = env.step(self.actions[lane])
            ended = terminated or truncated
            self.buf_dones[lane] = ended
            info["TimeLimit.truncated"] = truncated and not terminated
            if ended:
                info["terminal_observation"] = obs
                obs, self.reset_infos[lane] = env.reset()
            self._save_obs(lane, obs)
            infos.append(info)
        return self._obs_from_buf(), self.buf_rews.copy(), self.buf_dones.copy(), infos
