"""The batched core as a Stable-Baselines3 vector environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from densegym.envs.nethack.core import LaneCore
from densegym.envs.options import check_options
from densegym.errors import DenseGymError


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


class NetHackVecEnv(VecEnv):
    """Steps a ``LaneCore`` and resets ended lanes at once; rewards are float64."""

    render_mode: str | None = None
    spec = None  # of the lanes; they keep their own clocks

    def __init__(self, core: LaneCore) -> None:
        super().__init__(core.lanes, core.observation_space, core.action_space)
        self._core = core
        self._actions: Any = None

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

    def step_async(self, actions: Any) -> None:
        """Keep the actions."""
        self._actions = actions

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

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of this environment for every lane; lanes have none of their own."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: lanes share one core.

        Raises:
            DenseGymError: always.
        """
        raise DenseGymError(f"{attr_name} cannot be set: batched lanes are not objects")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> Any:
        """Refuse: lanes share one core.

        Raises:
            DenseGymError: always.
        """
        raise DenseGymError(
            f"{method_name} cannot be called: batched lanes are no separate objects"
        )

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Tell that lanes are wrapped in nothing."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[None]:
        """Return no pictures; batched lanes draw none."""
        return [None] * self.num_envs
