"""The PettingZoo parallel wrapper: every agent is a lane."""

from __future__ import annotations

from typing import Any

import numpy as np
from pettingzoo.utils.env import ParallelEnv
from pettingzoo.utils.wrappers import BaseParallelWrapper

from densegym.envs.wrappers.actions import ActionCheck
from densegym.envs.wrappers.common import engine_for, frames_of, write_rows
from densegym.envs.wrappers.frames import Camera
from densegym.envs.wrappers.outcome import PaysReward, Purse, watch_layers
from densegym.errors import RewardError
from densegym.reward_models.batch import stack
from densegym.reward_models.spec import RewardSpec
from densegym.reward_models.types import TaskCard


class DenseRewardParallel(BaseParallelWrapper[Any, Any, Any], PaysReward):  # type: ignore[misc]
    """Pays a reward specification to every agent of a parallel environment.

    All agents are scored in one batch, so they need equal observation and action spaces; agents
    may drop out.

    Args:
        env: a PettingZoo parallel environment.
        reward: a reward specification.
        task: the task card; a blank one by default.
        seed: seed of reward models that draw random numbers.

    Raises:
        RewardError: the agents' spaces differ; or a wrapper below changes rewards, or pays a reward
            of ours already.
    """

    def __init__(
        self,
        env: ParallelEnv[Any, Any, Any],
        reward: RewardSpec = None,
        task: TaskCard | None = None,
        seed: int = 0,
    ) -> None:
        self._watch = watch_layers(env, "env", BaseParallelWrapper, _World)
        super().__init__(env)
        agents = env.possible_agents
        for kind in ("observation_space", "action_space"):
            spaces = [getattr(env, kind)(agent) for agent in agents]
            if any(space != spaces[0] for space in spaces):
                raise RewardError(
                    f"agents are scored in one batch, but their {kind}s differ: "
                    f"{dict(zip(agents, spaces, strict=True))}. Pad them to one shape first."
                )
        self._slot_of = {agent: slot for slot, agent in enumerate(agents)}
        self.engine = engine_for(reward, len(agents), env_id=None, task=task, seed=seed)
        self._batched = self.engine.needs_transitions
        self._check = ActionCheck(env.action_space(agents[0]), self.engine.steps_of)
        self._camera = Camera(env, self.engine.pictures) if self.engine.needs_frames else None

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[Any, Any], dict[Any, dict[str, Any]]]:
        """Reset the world and begin an episode for every agent."""
        obs, infos = self.env.reset(seed=seed, options=options)
        if self._watch is not None:
            self._watch.forget()
        agents = list(obs)
        slots = np.array([self._slot_of[agent] for agent in agents])
        infos = {agent: dict(infos[agent]) for agent in infos}  # hosts may share one dict
        rows = [infos[agent] for agent in agents]
        self._show(rows)
        batch = stack([obs[agent] for agent in agents]) if self._batched else None
        write_rows(rows, self.engine.begin(slots, batch, rows, frames_of(rows, self.engine)))
        return obs, infos

    def step(self, actions: dict[Any, Any]) -> Any:
        """Step the world and return the specified reward per live agent."""
        for agent, action in actions.items():
            self._check(action, self._slot_of[agent])
        obs, rewards, terminated, truncated, infos = self.env.step(actions)
        if self._watch is not None:
            self._watch.compare(_paid(rewards, self.env.possible_agents))
        agents = list(rewards)
        if not agents:
            return obs, rewards, terminated, truncated, infos
        infos = {agent: dict(infos[agent]) for agent in infos}  # hosts may share one dict
        rows = [infos[agent] for agent in agents]
        self._show(rows)
        outcome = self.engine.advance(
            slot=np.array([self._slot_of[agent] for agent in agents]),
            action=stack([actions[agent] for agent in agents]) if self._batched else None,
            next_obs=stack([obs[agent] for agent in agents]) if self._batched else None,
            env_reward=np.array([rewards[agent] for agent in agents], dtype=np.float64),
            terminated=np.array([terminated[agent] for agent in agents], dtype=np.bool_),
            truncated=np.array([truncated[agent] for agent in agents], dtype=np.bool_),
            info=rows,
            frame=frames_of(rows, self.engine),
        )
        paid = dict(zip(agents, outcome.reward.tolist(), strict=True))
        write_rows(rows, outcome)
        by_slot = {slot: agent for agent, slot in self._slot_of.items()}
        for slot, credit in outcome.credits:
            infos[by_slot[slot]]["reward/credits"] = credit
        return obs, paid, terminated, truncated, infos

    def _show(self, rows: list[dict[str, Any]]) -> None:
        """Give every agent the picture of their one world."""
        if self._camera is not None:
            picture = self._camera.take()
            for row in rows:
                row["frame"] = picture

    def close(self) -> None:
        """Close the world and the reward model."""
        self.env.close()
        self.engine.close()


class _World(BaseParallelWrapper[Any, Any, Any], Purse):  # type: ignore[misc]  # untyped
    """Remembers what a world paid its agents."""

    def step(self, actions: dict[Any, Any]) -> Any:
        result = self.env.step(actions)
        self.put(_paid(result[1], self.env.possible_agents))
        return result


def _paid(rewards: dict[Any, Any], agents: list[Any]) -> Any:
    return np.array([rewards.get(agent, 0.0) for agent in agents], dtype=np.float64)
