"""The Stable-Baselines3 VecEnv wrapper: one batched model call per vector step."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecEnv,
    VecEnvWrapper,
    VecNormalize,
)

from densegym.envs.tasks import find_card
from densegym.envs.wrappers.actions import ActionCheck
from densegym.envs.wrappers.common import (
    engine_for,
    frames_of,
    refuse_frames,
    with_frames,
    write_rows,
)
from densegym.envs.wrappers.frames import FrameInInfo
from densegym.envs.wrappers.lanes import LaneVecEnv
from densegym.envs.wrappers.outcome import (
    CHANGES_REWARDS,
    PaysReward,
    Purse,
    Watch,
    refuse_reward_wrapper,
    refuse_types,
    watch_lanes,
    watch_layers,
)
from densegym.reward_models.batch import replace_rows, take
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.spec import RewardSpec
from densegym.reward_models.types import TaskCard
from densegym.reward_models.world.goals import goal_reward

_F8 = np.dtype(np.float64)
_NONE = np.zeros(0, dtype=np.int64)


class DenseRewardVecEnv(VecEnvWrapper, PaysReward):
    """Pays a reward specification to SB3 learners and keeps the world's outcome in ``infos``.

    SB3 resets at once: the true successor of a finished row is ``terminal_observation``, and
    ``TimeLimit.truncated`` tells a time limit from an end, unless the reward forbids learners to
    add the value of the last state. Place ``VecMonitor`` and
    ``VecNormalize`` outside. SB3's ``evaluate_policy`` on it reports what is paid here, not the
    world's outcome; ``densegym.evaluate`` reports the outcome.

    Args:
        venv: any SB3 vector environment; a plain ``DummyVecEnv`` is replaced by a ``LaneVecEnv``
            over the same worlds, which costs less and does not round rewards.
        reward: a reward specification.
        env_id: registered id whose task card the reward reads.
        task: the task card itself, instead of ``env_id``.
        seed: seed of reward models that draw random numbers.
        engine: a ready engine for all lanes, instead of everything else but the card.

    Raises:
        RewardError: the reward looks at pictures that this host's worlds do not show; or a wrapper
            below changes rewards, or pays a reward of ours already.
    """

    def __init__(
        self,
        venv: VecEnv,
        reward: RewardSpec = None,
        *,
        env_id: str | None = None,
        task: TaskCard | None = None,
        seed: int = 0,
        engine: RewardEngine | None = None,
    ) -> None:
        self._watches = _watch(venv)
        venv = LaneVecEnv.around(venv) if type(venv) is DummyVecEnv else venv
        super().__init__(venv)
        self.engine = engine or engine_for(
            reward, venv.num_envs, env_id=env_id, task=task, seed=seed
        )
        if isinstance(venv, LaneVecEnv):
            venv.envs = with_frames(venv.envs, self.engine, task or find_card(env_id))
        elif self.engine.needs_frames and not all(venv.env_is_wrapped(FrameInInfo)):
            refuse_frames(venv, self.engine)
        self._batched = self.engine.needs_transitions
        self._check = ActionCheck(venv.action_space, self.engine.steps_of, venv.num_envs)
        self._actions: Any = None
        self._never = np.zeros(venv.num_envs, dtype=np.bool_)

    def reset(self) -> Any:
        """Reset all lanes."""
        obs = self.venv.reset()
        for _, watch in self._watches:
            watch.forget()
        infos = self.venv.reset_infos
        frame = frames_of(infos, self.engine)
        self.engine.begin(self.engine.slots, obs if self._batched else None, infos, frame)
        return obs

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the worlds; hindsight's ``compute_reward`` is answered by the reward.

        Raises:
            RewardError: hindsight asks about a reward that is no function of goals.
        """
        host = super().env_method
        if method_name != "compute_reward":
            return host(method_name, *method_args, indices=indices, **method_kwargs)
        achieved, desired, infos = method_args

        def ask(name: str) -> Any:
            return host(name, achieved, desired, infos, indices=[0])[0]

        lanes = len(list(self._get_indices(indices)))
        return [goal_reward(self.engine.reward, achieved, desired, ask)] * lanes

    def close(self) -> None:
        """Close the lanes and the reward model."""
        super().close()
        self.engine.close()

    def step_async(self, actions: Any) -> None:
        """Keep the actions for the reward model and send them on."""
        self._check(actions)
        self._actions = actions
        self.venv.step_async(actions)

    def step_wait(self) -> Any:
        """Return observations, the specified rewards (num_envs,) float64, dones and infos."""
        obs, env_reward, dones, infos = self.venv.step_wait()
        for rows, watch in self._watches:
            watch.compare(env_reward[rows])
        terminated = truncated = self._never
        true_obs, ended = obs, _NONE
        if True in dones.tolist():
            ended = np.flatnonzero(dones)
            truncated = self._never.copy()
            truncated[ended] = [infos[i].get("TimeLimit.truncated", False) for i in ended]
            terminated = dones & ~truncated
            if self._batched:
                finals = [infos[i]["terminal_observation"] for i in ended]
                true_obs = replace_rows(obs, ended.tolist(), finals)
        outcome = self.engine.advance(
            slot=self.engine.slots,
            action=self._actions if self._batched else None,
            next_obs=true_obs if self._batched else None,
            env_reward=env_reward if env_reward.dtype == _F8 else env_reward.astype(_F8),
            terminated=terminated,
            truncated=truncated,
            info=infos,
            frame=frames_of(infos, self.engine),
        )
        write_rows(infos, outcome)
        if not self.engine.bootstraps:
            for i in ended.tolist():
                infos[i]["TimeLimit.truncated"] = False
        for slot, credit in outcome.credits:
            infos[slot]["reward/credits"] = credit
        if len(ended):
            fresh = [self.venv.reset_infos[i] for i in ended]
            first = take(obs, ended) if self._batched else None
            self.engine.begin(ended, first, fresh, frames_of(fresh, self.engine))
        return obs, outcome.reward, dones, infos


class _Lanes(VecEnvWrapper, Purse):
    """Remembers what a host's worlds paid."""

    def reset(self) -> Any:
        return self.venv.reset()

    def step_wait(self) -> Any:
        result = self.venv.step_wait()
        self.put(result[1])
        return result


def _watch(venv: VecEnv) -> list[tuple[slice, Watch]]:
    """Check the wrappers of a host and of its worlds; return which rows who watches."""
    around = watch_layers(venv, "venv", VecEnvWrapper, _Lanes)
    layer: Any = venv
    while isinstance(layer, VecEnvWrapper):
        if isinstance(layer, VecNormalize):
            refuse_reward_wrapper("VecNormalize")
        layer = layer.venv
    watches = [] if around is None else [(slice(None), around)]
    if isinstance(layer, DummyVecEnv):
        return watches + watch_lanes(layer.envs)
    if isinstance(layer, SubprocVecEnv):  # which answers for known types only
        refuse_types(
            kind for kind in (PaysReward, *CHANGES_REWARDS) if any(layer.env_is_wrapped(kind))
        )
    return watches
