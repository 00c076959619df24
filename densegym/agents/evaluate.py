"""Evaluation on the world's own outcome: no learned reward is ever asked here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from densegym.reward_models.batch import stack
from densegym.reward_models.types import Bool, Float, Int


class Policy(Protocol):
    """Acts on a batch of observations; ``fresh`` marks lanes that begin an episode."""

    def __call__(self, obs: Any, fresh: Bool) -> Any:
        """Return one action per lane."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one evaluation saw, an entry per episode.

    Attributes:
        return_env: (episodes,) float64, undiscounted sum of the world's own reward.
        success: (episodes,) float64, 1.0 where the world's success rule was met.
        length: (episodes,) int64 steps.
    """

    return_env: Float
    success: Float
    length: Int

    def as_dict(self) -> dict[str, list[float]]:
        """Return plain lists, as stored in ``eval.jsonl``."""
        return {
            "return_env": self.return_env.tolist(),
            "success": self.success.tolist(),
            "length": self.length.tolist(),
        }


def evaluate(
    policy: Policy,
    spec: EnvSpec,
    *,
    episodes: int,
    seed: int,
    lanes: int = 10,
    env_kwargs: Mapping[str, Any] | None = None,
    on_episode: Callable[[int], None] | None = None,
) -> Evaluation:
    """Play episodes with fixed placements and report the world's outcome.

    Episode ``i`` is reset with ``seed + i``, whatever lane it runs in, so two policies face the
    same placements.

    Args:
        policy: acts on a batch of observations.
        spec: the world without any reward skin.
        episodes: how many.
        seed: of the first episode.
        lanes: how many episodes run side by side, sharing one policy call.
        env_kwargs: for the world's constructor.
        on_episode: called with the number of finished episodes.

    Raises:
        ValueError: ``episodes`` is not positive.
    """
    if episodes < 1:
        raise ValueError(f"episodes is at least 1; given {episodes}")
    worlds = [gym.make(spec, **(env_kwargs or {})) for _ in range(min(lanes, episodes))]
    try:
        return _play(policy, worlds, episodes, seed, on_episode)
    finally:
        for world in worlds:
            world.close()


def _play(
    policy: Policy,
    worlds: list[gym.Env[Any, Any]],
    episodes: int,
    seed: int,
    on_episode: Callable[[int], None] | None,
) -> Evaluation:
    returns, success, length = np.zeros(episodes), np.zeros(episodes), np.zeros(episodes, np.int64)
    playing = np.arange(len(worlds))
    obs = [world.reset(seed=seed + i)[0] for i, world in enumerate(worlds)]
    fresh = np.ones(len(worlds), dtype=np.bool_)
    waiting, finished = len(worlds), 0
    while (playing >= 0).any():
        actions = policy(stack(obs), fresh)
        fresh = np.zeros(len(worlds), dtype=np.bool_)
        for lane in np.flatnonzero(playing >= 0):
            episode = playing[lane]
            obs[lane], reward, terminated, truncated, info = worlds[lane].step(actions[lane])
            returns[episode] += float(reward)
            length[episode] += 1
            if terminated or truncated:
                success[episode] = float(info["is_success"])
                finished += 1
                if on_episode is not None:
                    on_episode(finished)
                playing[lane] = waiting if waiting < episodes else -1
                if waiting < episodes:
                    obs[lane] = worlds[lane].reset(seed=seed + waiting)[0]
                    fresh[lane] = True
                    waiting += 1
    return Evaluation(returns, success, length)
