"""Agents of unequal spaces brought to one shape, so that one batch holds them all."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo.utils.wrappers import BaseParallelWrapper

from densegym.errors import RewardError


def padded(env: Any) -> Any:
    """Return the environment, padded where its agents' spaces differ."""
    for kind in (env.observation_space, env.action_space):
        every = [kind(agent) for agent in env.possible_agents]
        if any(space != every[0] for space in every):
            return PaddedParallel(env)
    return env


class PaddedParallel(BaseParallelWrapper[Any, Any, Any]):  # type: ignore[misc]  # untyped
    """Pads observations with zeros, and actions with ones that are ignored.

    Flat numbers are filled up to the longest. Of a larger choice than an agent has, what it lacks
    is its choice 0, as in SuperSuit; of a longer vector, the surplus is dropped. Bounds are the
    widest of all agents, and actions are clipped to the agent's own.

    Args:
        env: a PettingZoo parallel environment.

    Raises:
        RewardError: spaces that are neither flat numbers nor choices of one kind.
    """

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        seen = {agent: env.observation_space(agent) for agent in env.possible_agents}
        acted = {agent: env.action_space(agent) for agent in env.possible_agents}
        self._own = acted
        self._observation, self._action = _widest(seen), _widest(acted)

    def observation_space(self, agent: Any) -> Any:
        """Return the one space of all observations."""
        return self._observation

    def action_space(self, agent: Any) -> Any:
        """Return the one space of all actions."""
        return self._action

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset; observations are padded."""
        obs, infos = self.env.reset(seed=seed, options=options)
        return self._padded(obs), infos

    def step(self, actions: dict[Any, Any]) -> Any:
        """Step with what each agent can do of its action."""
        own = {agent: self._cut(self._own[agent], action) for agent, action in actions.items()}
        obs, *rest = self.env.step(own)
        return (self._padded(obs), *rest)

    def _padded(self, obs: dict[Any, Any]) -> dict[Any, Any]:
        space = self._observation
        if isinstance(space, spaces.Discrete):
            return obs
        return {
            agent: np.pad(seen, (0, space.shape[0] - len(seen))).astype(space.dtype)
            for agent, seen in obs.items()
        }

    @staticmethod
    def _cut(own: Any, action: Any) -> Any:
        if isinstance(own, spaces.Discrete):
            return action if own.contains(action) else own.start
        return np.clip(np.asarray(action)[: own.shape[0]], own.low, own.high).astype(own.dtype)


def _widest(every: dict[Any, Any]) -> Any:
    """Return a space that holds everybody's."""
    found = list(every.values())
    if all(space == found[0] for space in found):
        return found[0]
    if all(isinstance(space, spaces.Discrete) for space in found):
        start = {int(space.start) for space in found}
        if len(start) == 1:
            return spaces.Discrete(max(int(space.n) for space in found), start=start.pop())
    if all(isinstance(space, spaces.Box) and len(space.shape) == 1 for space in found):
        width = max(space.shape[0] for space in found)
        low, high = (min(s.low.min() for s in found), max(s.high.max() for s in found))
        dtype: Any = np.result_type(*(space.dtype for space in found))
        return spaces.Box(min(low, 0), max(high, 0), (width,), dtype)
    raise RewardError(
        "agents are scored in one batch, so their spaces are padded to one shape, which flat "
        f"numbers and choices can be; given {every}. Give them one shape first."
    )
