"""PPO for agents that share no policy: one learner each, or one against its past selves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.policies import BasePolicy

from densegym.agents.market.seats import Seated, SeatVecEnv
from densegym.agents.teams import TeamWorld, team_world
from densegym.agents.training.algorithms import find_algorithm
from densegym.agents.training.config import TrainConfig
from densegym.agents.training.evaluate import Evaluation
from densegym.agents.training.learner import check_reward
from densegym.envs.tasks import task_card
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv
from densegym.errors import DenseGymError
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.spec import build_engine
from densegym.reward_models.types import Bool

MOST = 8  # independent learners; each plays its own rollouts, so their cost grows with n
_POOL = 10  # past selves that are kept


def learn(config: TrainConfig, how: str, *, episodes: int, seed: int) -> Evaluation:
    """Train independent learners or by self-play and evaluate them together.

    Args:
        config: of a world of several agents; its steps count those of learners.
        how: ``"independent"`` or ``"self-play"``.
        episodes: of the evaluation.
        seed: of its first game.

    Raises:
        DenseGymError: a world of one agent, too many agents, or a reward of whole episodes.
    """
    trained = independent(config) if how == "independent" else [self_play(config)]
    team = _team(config)
    evaluator = team.evaluator()
    try:
        policy = Together(trained, team.agents)
        return evaluator.evaluate(policy, episodes=episodes, seed=seed)
    finally:
        evaluator.close()


class Together:
    """Policies of all agents as one batched policy; one alone plays every seat.

    Args:
        models: of each agent, or a single one.
        agents: per game; rows ``g * agents + i`` are agent i's.
    """

    def __init__(self, models: Sequence[PPO], agents: int) -> None:
        self._models, self._agents = models, agents

    def __call__(self, obs: Any, fresh: Bool) -> Any:
        """Return the likeliest action of every row."""
        if len(self._models) == 1:
            return self._models[0].predict(obs, deterministic=True)[0]
        every = [
            model.predict(obs[i :: self._agents], deterministic=True)[0]
            for i, model in enumerate(self._models)
        ]
        return np.stack(every, axis=1).reshape(len(obs), *every[0].shape[1:])


def independent(config: TrainConfig) -> list[PPO]:
    """Train one PPO per agent; they take turns, each with a rollout against the others' latest.

    Raises:
        DenseGymError: more than eight agents; says what to use.
    """
    team = _team(config)
    if team.agents > MOST:
        raise DenseGymError(
            f"independent learners are for at most {MOST} agents; {config.env} has {team.agents}. "
            "Use learners=shared."
        )
    host, engine = _host(config, team)
    seats = [SeatVecEnv(host, team.agents) for _ in range(team.agents)]
    models = [_ppo(config, seat, config.seed + i) for i, seat in enumerate(seats)]
    for i, seat in enumerate(seats):
        seat.seat[:] = i
        seat.others = {j: _drawn(model.policy) for j, model in enumerate(models) if j != i}
    rounds = max(1, config.run.steps // (config.run.n_envs * team.agents * models[0].n_steps))
    for _ in range(rounds):
        for model in models:
            _one_rollout(model)
    engine.close()
    return models


def self_play(config: TrainConfig) -> PPO:
    """Train one PPO in turn in every seat, the others being snapshots of its past.

    After each rollout a snapshot joins the pool, which keeps ten; every other seat draws one.
    """
    team = _team(config)
    host, engine = _host(config, team)
    seat = SeatVecEnv(host, team.agents)
    model = _ppo(config, seat, config.seed)
    rng = np.random.default_rng(config.seed)
    pool = [_weights(model)]
    rounds = max(1, config.run.steps // (config.run.n_envs * model.n_steps))
    for turn in range(rounds):
        seat.seat[:] = turn % team.agents
        drawn = [_past(model, pool[int(rng.integers(len(pool)))]) for _ in range(team.agents)]
        seat.others = {i: _drawn(policy) for i, policy in enumerate(drawn) if i != seat.seat[0]}
        _one_rollout(model)
        pool = [*pool, _weights(model)][-_POOL:]
    engine.close()
    return model


def _one_rollout(model: PPO) -> None:
    """Collect one rollout from the start of an episode, and update."""
    model._last_obs = None  # the host was played by somebody else since
    model.learn(model.n_steps * model.n_envs, reset_num_timesteps=model.num_timesteps == 0)


def _team(config: TrainConfig) -> TeamWorld:
    team = team_world(config)
    if team is None:
        raise DenseGymError(f"{config.env} has one agent that learns; use densegym train")
    return team


def _host(config: TrainConfig, team: TeamWorld) -> tuple[DenseRewardVecEnv, RewardEngine]:
    torch.set_num_threads(config.run.threads)
    card = task_card(config.env)
    venv = team.lanes(config.run.n_envs)
    engine = build_engine(config.reward, venv.num_envs, task=card, seed=config.seed)
    check_reward(engine, float(config.algorithm.get("gamma", 0.99)), config)
    if engine.reward.traits.when != "step":
        raise DenseGymError(
            f'"{engine.reward.name}" is paid after episodes, which only learners that share a '
            "policy are. Use learners=shared."
        )
    return DenseRewardVecEnv(venv, engine=engine, task=card), engine


def _ppo(config: TrainConfig, seat: SeatVecEnv, seed: int) -> PPO:
    given = {**config.algorithm}
    rows = int(given.get("n_steps", 2048)) * seat.num_envs
    given["batch_size"] = min(int(given.get("batch_size", 64)), rows)
    policy = find_algorithm("ppo").policy(seat.observation_space)
    kwargs = dict(config.policy)
    return PPO(policy, seat, seed=seed, device="cpu", policy_kwargs=kwargs, **given)


def _weights(model: PPO) -> dict[str, Any]:
    return {name: value.detach().clone() for name, value in model.policy.state_dict().items()}


def _past(model: PPO, weights: dict[str, Any]) -> BasePolicy:
    policy = model.policy_class(
        model.observation_space, model.action_space, lambda _: 0.0, **model.policy_kwargs
    )
    policy.load_state_dict(weights)
    return policy


def _drawn(policy: Any) -> Seated:
    """Return a policy that draws its actions, within bounds."""
    return lambda obs: policy.predict(obs, deterministic=False)[0]
