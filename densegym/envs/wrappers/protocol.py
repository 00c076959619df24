"""Gives an environment the episode limit of the protocol that it was made with."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.wrappers import TimeLimit

from densegym.envs.protocols import OWN, terms_of
from densegym.envs.tasks import find_world
from densegym.errors import DenseGymError


def under_protocol(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """Return an environment with the limit of its protocol in place of the world's own.

    ``gym.make`` takes a time limit from the id alone, so one that was made with ``protocol=``
    comes here with another world's clock.

    Args:
        env: as ``gym.make`` has built it, or with wrappers around it.

    Raises:
        UnknownNameError: no such protocol.
        DenseGymError: the protocol does not fit the world, or not the limit that was asked for.
    """
    spec = env.spec
    protocol = OWN if spec is None else spec.kwargs.get("protocol") or OWN
    world = None if spec is None else find_world(spec.id)
    if spec is None or world is None or protocol == OWN:
        return env
    terms = terms_of(world, protocol)
    if terms.limit is None or spec.max_episode_steps == terms.limit:
        return env
    if spec.max_episode_steps != world.max_episode_steps or not isinstance(env, TimeLimit):
        raise DenseGymError(
            f'protocol "{protocol}" has episodes of {terms.limit} steps; {spec.id} was made with '
            f"max_episode_steps={spec.max_episode_steps}. Leave that out, or the protocol."
        )
    return TimeLimit(env.env, terms.limit)
