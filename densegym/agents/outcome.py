"""Asks any policy for the world's outcome in one call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from densegym.agents.training.evaluate import Evaluation, Evaluator, Policy
from densegym.envs.custom.registry import gym_spec
from densegym.envs.registration import bare_spec
from densegym.envs.tasks import find_card
from densegym.errors import DenseGymError, require

if TYPE_CHECKING:
    from densegym.agents.teams import TeamEvaluator


def evaluate(
    model: Any,
    env_id: str,
    *,
    episodes: int = 20,
    seed: int = 0,
    deterministic: bool = True,
    lanes: int = 10,
    **env_kwargs: Any,
) -> Evaluation:
    """Play episodes without any reward of ours and report the world's own outcome.

    Stable-Baselines3's ``evaluate_policy`` adds up what an environment pays, which is the learned
    reward; this never asks it. Episode ``i`` is reset with ``seed + i``.

    Args:
        model: an SB3 or sb3-contrib learner, with the ``VecNormalize`` around its environment; or a
            function of a batch of observations (a dict of batches for Dict spaces) and (lanes,)
            flags of new episodes that returns one action per lane.
        env_id: any Gymnasium id; of a world of several agents a row is an agent, an episode a game.
        episodes: how many.
        seed: of the first episode.
        deterministic: whether a learner takes its most likely actions.
        lanes: how many episodes run side by side.
        **env_kwargs: for the world's constructor, such as ``protocol="metaworld-500"``.

    Returns:
        Returns, successes and lengths, an entry per episode; successes are NaN where the world
        tells none in ``info["is_success"]``.

    Raises:
        DenseGymError: ``model`` is no policy, or ``episodes`` is not positive.
        ActionError: it chose what no world should see, or another number of actions.

    Example:
        >>> import densegym, numpy as np
        >>> push_right = lambda obs, fresh: np.ones(len(obs), dtype=int)
        >>> densegym.evaluate(push_right, "CartPole-v1", episodes=2).length
        array([8, 9])
    """
    evaluator = _evaluator(env_id, lanes, env_kwargs)
    try:
        return evaluator.evaluate(_policy(model, deterministic), episodes=episodes, seed=seed)
    finally:
        evaluator.close()


def _evaluator(env_id: str, lanes: int, env_kwargs: Mapping[str, Any]) -> Evaluator | TeamEvaluator:
    from densegym.agents.teams import find_team

    card, team = find_card(env_id), find_team(env_id, env_kwargs)
    if team is not None:
        return team.evaluator(lanes)
    return Evaluator(
        (gym_spec(env_id) or gym.spec(env_id)) if card is None else bare_spec(env_id),
        lanes=lanes,
        env_kwargs=env_kwargs,
        measures=() if card is None else card.measures,
    )


def _policy(model: Any, deterministic: bool) -> Policy:
    if hasattr(model, "get_vec_normalize_env"):
        require("stable_baselines3", extra="agents")
        from densegym.agents.training.learner import SB3Policy

        return SB3Policy(model, model.get_vec_normalize_env(), deterministic)
    if not callable(model):
        raise DenseGymError(
            f"{type(model).__name__} is no policy: expected an SB3 learner, or a function of a "
            "batch of observations and of flags of new episodes"
        )
    policy: Policy = model
    return policy
