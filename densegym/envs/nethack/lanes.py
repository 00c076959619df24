"""The batched core as a Stable-Baselines3 vector environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from densegym.envs.nethack.core import LaneCore
from densegym.envs.options import check_options
from densegym.envs.wrappers.shared_lanes import SharedLanes


def make_lanes(
    *,
    task: str,
    num_envs: int,
    observation_keys: Sequence[str] | None = None,
    max_episode_steps: int | None = None,
    max_steps: int | None = None,
    contexts: int | None = None,
    **others: Any,
) -> NetHackVecEnv | None:
    """Return batched lanes of a task, or None where plain environments must play it."""
    if others or not LaneCore.can(task, observation_keys):
        return None
    return NetHackVecEnv(
        LaneCore(
            task,
            num_envs,
            observation_keys=observation_keys,
            max_steps=max_steps if max_steps is not None else max_episode_steps,
            contexts=contexts,
        )
    )


class NetHackVecEnv(SharedLanes):
    """Steps a ``LaneCore`` and resets ended lanes at once; rewards are float64."""

    def __init__(self, core: LaneCore) -> None:
        super().__init__(core.lanes, core.observation_space, core.action_space)
        self._core = core

    def reset(self) -> Any:
        """Reset all lanes, with the seeds of ``seed`` if it was called.

        Raises:
            UnknownNameError: ``set_options`` gave any; batched lanes take none.
        """
        for options in self._options:
            check_options(self, options, ())
        firsts = []
        for lane, seed in enumerate(self._seeds):
            self._core.seed(lane, seed)
            first, self.reset_infos[lane] = self._core.reset(lane)
            firsts.append(first)
        self._reset_seeds()
        self._reset_options()
        return {key: np.stack([first[key] for first in firsts]) for key in firsts[0]}

    def step_wait(self) -> Any:
        """Step every lane, resetting those that ended."""
        obs, reward, terminated, truncated, infos = self._core.step(self._actions.tolist())
        dones = terminated | truncated
        cut = truncated.tolist()
        for lane, info in enumerate(infos):
            info["TimeLimit.truncated"] = cut[lane]
        for lane in np.flatnonzero(dones).tolist():
            infos[lane]["terminal_observation"] = {
                k: array[lane].copy() for k, array in obs.items()
            }
            first, self.reset_infos[lane] = self._core.reset(lane)
            for key, array in obs.items():
                array[lane] = first[key]
        return obs, reward, dones, infos

    def close(self) -> None:
        """End all games."""
        self._core.close()
