"""The gym.Env wrapper: one lane, so the engine sees batches of one row."""

from __future__ import annotations

import pickle
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from densegym.envs.tasks import find_card
from densegym.envs.wrappers.actions import ActionCheck
from densegym.envs.wrappers.common import (
    engine_for,
    frames_of,
    with_frames,
    write_rows,
)
from densegym.envs.wrappers.outcome import PaysReward, watch_env
from densegym.envs.wrappers.protocol import under_protocol
from densegym.errors import DenseGymError
from densegym.reward_models.batch import add_axis
from densegym.reward_models.spec import RewardSpec
from densegym.reward_models.types import TaskCard


class DenseReward(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs, PaysReward):
    """Pays a reward specification and keeps the world's own outcome in ``info``.

    Place it outside ``TimeLimit``, or it never learns of truncation; ``gym.make`` does so for
    every ``DenseGym/`` id.

    Args:
        env: any Gymnasium environment.
        reward: a reward specification; None reads ``reward`` from the env's own spec.
        task: the task card; None looks it up by the env's id.
        seed: seed of reward models that draw random numbers.

    Raises:
        RewardError: a wrapper below changes rewards, or pays a reward of ours already.

    Example:
        >>> import gymnasium, densegym
        >>> env = DenseReward(gymnasium.make("CartPole-v1"), reward={"model": "env", "scale": 0.5})
        >>> _ = env.reset(seed=0)
        >>> _, paid, _, _, info = env.step(0)
        >>> paid, info["reward/env"], info["return/dense"]
        (0.5, 1.0, 0.5)
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        reward: RewardSpec = None,
        task: TaskCard | None = None,
        seed: int = 0,
    ) -> None:
        RecordConstructorArgs.__init__(self, reward=reward, task=task, seed=seed)
        env = under_protocol(env)
        spec = env.spec
        if reward is None and spec is not None:
            reward = spec.kwargs.get("reward")
        env_id = None if spec is None else spec.id
        self._watch = watch_env(env)
        self.engine = engine_for(reward, 1, env_id=env_id, task=task, seed=seed)
        (shown,) = with_frames([env], self.engine, task or find_card(env_id))
        gym.Wrapper.__init__(self, shown)
        self._batched = self.engine.needs_transitions
        self._check = ActionCheck(self.action_space, self.engine.steps_of)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the world and begin an episode of the reward model."""
        obs, info = self.env.reset(seed=seed, options=options)
        if self._watch is not None:
            self._watch.forget()
        batch = add_axis(obs) if self._batched else None
        frame = frames_of([info], self.engine)
        info = dict(info)
        write_rows([info], self.engine.begin(self.engine.slots, batch, [info], frame))
        return obs, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step the world and return the specified reward."""
        self._check(action)
        obs, env_reward, terminated, truncated, info = self.env.step(action)
        if self._watch is not None:
            self._watch.compare(env_reward)
        outcome = self.engine.advance(
            slot=self.engine.slots,
            action=add_axis(action) if self._batched else None,
            next_obs=add_axis(obs) if self._batched else None,
            env_reward=np.array([env_reward], dtype=np.float64),
            terminated=np.array([terminated], dtype=np.bool_),
            truncated=np.array([truncated], dtype=np.bool_),
            info=[info],
            frame=frames_of([info], self.engine),
        )
        info = dict(info)
        write_rows([info], outcome)
        for _, credit in outcome.credits:
            info["reward/credits"] = credit
        return obs, float(outcome.reward[0]), bool(terminated), bool(truncated), info

    def __deepcopy__(self, memo: dict[int, Any]) -> DenseReward:
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        vars(twin).update(deepcopy(vars(self), memo))
        return twin

    def __reduce_ex__(self, protocol: Any) -> Any:
        try:
            pickle.dumps(self.engine, protocol)
        except Exception as error:
            raise DenseGymError(
                f'the reward "{self.engine.reward.name}" cannot be pickled: it holds what lives in '
                "this process alone. Make copies by copy.deepcopy(env), and environments in other "
                f"processes by gym.make(...) there; {type(error).__name__}: {error}"
            ) from error
        return super().__reduce_ex__(protocol)

    def close(self) -> None:
        """Close the world and the reward model."""
        self.env.close()
        self.engine.close()
