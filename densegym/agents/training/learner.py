"""Builds what learns: lanes, reward wrapper, monitor, normaliser, SB3 model, from a config."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec, load_env_creator
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from densegym.agents.extras.attach import attach_extras
from densegym.agents.extras.settings import ExtraSettings, extra_settings
from densegym.agents.relabel.attach import attach, longest_episode
from densegym.agents.teams import TeamEvaluator, team_world
from densegym.agents.training.algorithms import find_algorithm
from densegym.agents.training.config import TrainConfig
from densegym.agents.training.encoders import policy_kwargs
from densegym.agents.training.evaluate import Evaluation, Evaluator
from densegym.envs.registration import bare_spec
from densegym.envs.tasks import find_world, task_card
from densegym.envs.terms import world_terms
from densegym.envs.wrappers.lanes import LaneVecEnv
from densegym.envs.wrappers.monitor import PayMonitor
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv
from densegym.errors import DenseGymError, RewardError
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.spec import build_engine
from densegym.reward_models.types import Bool
from densegym.reward_models.world.goals import world_methods

_DEFAULT_GAMMA = 0.99
_LEARNING_STARTS = 100  # SB3's own


@dataclass(slots=True)
class Learner:
    """A model with the stack of environments it learns in.

    Attributes:
        model: the SB3 algorithm.
        engine: the reward engine inside the stack.
        normalizer: VecNormalize, or None.
        evaluator: plays the bare world; all agents of one that has several.
        stops_at_success: whether training episodes end at success; None where the world has no
            such choice.
        callbacks: what ``model.learn`` must be given.
    """

    model: BaseAlgorithm
    engine: RewardEngine
    normalizer: VecNormalize | None
    evaluator: Evaluator | TeamEvaluator
    stops_at_success: bool | None
    callbacks: list[BaseCallback] = field(default_factory=list)

    def close(self) -> None:
        """Close the training and the evaluation worlds."""
        self.evaluator.close()
        env = self.model.get_env()
        if env is not None:
            env.close()

    def evaluate(
        self,
        *,
        episodes: int,
        seed: int,
        deterministic: bool = True,
        on_episode: Callable[[int], None] | None = None,
    ) -> Evaluation:
        """Evaluate the current policy on the world's outcome."""
        policy = self.policy(deterministic=deterministic)
        return self.evaluator.evaluate(policy, episodes=episodes, seed=seed, on_episode=on_episode)

    def judge_under(self, protocol: str, config: TrainConfig) -> TrainConfig:
        """Evaluate under another protocol from now on; return the configuration that says so.

        Raises:
            UnknownNameError: no such protocol; names the closest.
            DenseGymError: it does not fit the world, or a setting of the run contradicts it.
        """
        run = replace(config.run, episode_steps=None)  # of training alone
        judged = replace(config, protocol=protocol, run=run)
        judged.check_protocol()
        self.evaluator.close()
        self.evaluator = evaluator_of(judged)
        return judged

    def policy(self, *, deterministic: bool = True) -> SB3Policy:
        """Return the current policy as a function of a batch of raw observations."""
        return SB3Policy(self.model, self.normalizer, deterministic)


class SB3Policy:
    """An SB3 model as a batched policy on raw observations, recurrent or not."""

    def __init__(
        self, model: BaseAlgorithm, normalizer: VecNormalize | None, deterministic: bool
    ) -> None:
        self._model = model
        self._normalizer = normalizer
        self._deterministic = deterministic
        self._state: Any = None

    def __call__(self, obs: Any, fresh: Bool) -> Any:
        """Return one action per lane."""
        if self._normalizer is not None:
            obs = self._normalizer.normalize_obs(obs)
        actions, self._state = self._model.predict(
            obs, state=self._state, episode_start=fresh, deterministic=self._deterministic
        )
        return actions


def build_learner(config: TrainConfig) -> Learner:
    """Build the stack of a run: lanes < reward < monitor < normaliser < model.

    Raises:
        DenseGymError: parts of the configuration that cannot work together.
    """
    torch.set_num_threads(config.run.threads)
    card = task_card(config.env)
    gamma = float(config.algorithm.get("gamma", _DEFAULT_GAMMA))
    team = team_world(config)
    lanes = config.run.n_envs * (1 if team is None else team.agents)
    engine = build_engine(config.reward, lanes, task=card, seed=config.seed)
    check_reward(engine, gamma, config)
    config.check_protocol()
    stops = None
    if team is None:
        spec = bare_spec(config.env, config.protocol)
        stops = stops_at_success(config, engine, spec)
        venv = _lanes(config, spec, engine, stops)
    else:
        venv = team.lanes(config.run.n_envs)
    algorithm = find_algorithm(config.algo)
    algorithm.check_action_space(venv.action_space, config.env)
    stack: VecEnv = PayMonitor(DenseRewardVecEnv(venv, engine=engine, task=card))
    normalizer = None
    extra = extra_settings(config.extra)
    relabels = _relabels(engine, extra)
    scales_pay = config.run.normalize_reward and not relabels
    if config.run.normalize_obs or scales_pay:
        normalizer = _normalize(stack, config, gamma, scales_pay)
        stack = normalizer
    model = _model(config, stack, engine)
    if relabels:
        attach(
            model,
            replay=config.run.relabel,  # type: ignore[arg-type]  # checked there
            normalize=_scales_credits(config),
        )
    callbacks = attach_extras(model, extra)
    return Learner(model, engine, normalizer, evaluator_of(config), stops, callbacks)


def _model(config: TrainConfig, stack: VecEnv, engine: RewardEngine) -> BaseAlgorithm:
    algorithm, space = find_algorithm(config.algo), stack.observation_space
    given = _hyper_parameters(config, stack, engine)
    networks = policy_kwargs(config.policy, space)
    kind = algorithm.load()
    try:
        return kind(
            algorithm.policy(space),
            stack,
            seed=config.seed,
            device="cpu",
            policy_kwargs=networks,
            **given,
        )
    except (TypeError, ValueError, AssertionError) as error:
        told = str(error).partition("\n")[0]
        raise DenseGymError(f"{config.algo} refuses its settings: {told}") from error


def evaluator_of(config: TrainConfig) -> Evaluator | TeamEvaluator:
    """Return what plays the bare world of a run under the run's protocol, or all its agents."""
    team = team_world(config)
    if team is not None:
        return team.evaluator()
    return Evaluator(
        bare_spec(config.env, config.protocol),
        env_kwargs={**config.env_kwargs, **config.eval_kwargs},
        measures=task_card(config.env).measures,
    )


def check_reward(engine: RewardEngine, gamma: float, config: TrainConfig) -> None:
    """Refuse rewards that this learner would be paid wrongly by.

    Raises:
        RewardError: another discount, or a reward that HER cannot relabel.
    """
    assumed = engine.reward.traits.gamma
    if assumed is not None and assumed != gamma:
        raise RewardError(
            f'"{engine.reward.name}" shapes with gamma={assumed}, but {config.algo} learns with '
            f'gamma={gamma}. Write --set gamma={assumed}, or give the reward "gamma": {gamma}.'
        )
    if config.run.her and world_methods(engine.reward) is None:
        raise RewardError(
            "hindsight relabelling recomputes a reward for other goals, so it works with functions "
            f'of goals: "env", "expert" and their sums; given "{engine.reward.name}". '
            "Write --set her=false."
        )


def stops_at_success(config: TrainConfig, engine: RewardEngine, spec: EnvSpec) -> bool | None:
    """Decide whether training episodes end at the first success.

    A reward that is positive at every step would be lost by succeeding, so such rewards ask for
    episodes that go on. ``--set env.terminate_on_success=...`` overrides them, and a protocol
    overrides both.
    """
    entry = spec.entry_point
    creator = load_env_creator(entry) if isinstance(entry, str) else entry
    if creator is None or "terminate_on_success" not in inspect.signature(creator).parameters:
        return None
    terms = world_terms(config.env, config.protocol)
    if not terms.ends:
        return False
    if "terminate_on_success" in config.env_kwargs:
        return bool(config.env_kwargs["terminate_on_success"])
    wish = engine.reward.traits.ends_at_success
    default = spec.kwargs.get(
        "terminate_on_success",
        inspect.signature(creator).parameters["terminate_on_success"].default,
    )
    default = terms.ends_at_success if default is None else default
    return bool(default if wish is None else wish)


def _lanes(config: TrainConfig, spec: EnvSpec, engine: RewardEngine, stops: bool | None) -> VecEnv:
    kwargs = dict(config.env_kwargs)
    if stops is not None:
        kwargs["terminate_on_success"] = stops
    if config.run.episode_steps is not None:
        kwargs["max_episode_steps"] = config.run.episode_steps
    own = None if engine.needs_frames else _own_lanes(config, spec, kwargs)
    if own is not None:
        return own

    def lane() -> gym.Env[Any, Any]:
        return gym.make(spec, **kwargs)

    try:
        lanes = LaneVecEnv([lane] * config.run.n_envs)
    except NotImplementedError as error:  # of SB3, about observations that it has no buffer for
        raise DenseGymError(_unseen(config.env, str(error))) from error
    shown = lanes.observation_space
    parts = shown.values() if isinstance(shown, spaces.Dict) else (shown,)
    if any(isinstance(part, spaces.Dict | spaces.Tuple | spaces.Sequence) for part in parts):
        lanes.close()
        raise DenseGymError(_unseen(config.env, f"{shown} is nested"))
    return lanes


def _unseen(env_id: str, why: str) -> str:
    return (
        f"no learner here can observe {env_id}: {why}. Register it with a wrapper that shows an "
        "array or a Dict of arrays, such as gymnasium.wrappers.FlattenObservation"
    )


def _own_lanes(config: TrainConfig, spec: EnvSpec, kwargs: dict[str, Any]) -> VecEnv | None:
    """Return the world's own batched lanes, or None where it has none for these arguments."""
    world = find_world(config.env)
    if world is None or world.lanes_entry_point is None:
        return None
    make: Any = load_env_creator(world.lanes_entry_point)
    made: VecEnv | None = make(num_envs=config.run.n_envs, **{**spec.kwargs, **kwargs})
    return made


def _relabels(engine: RewardEngine, extra: ExtraSettings) -> bool:
    late = engine.reward.traits.when == "rollout"
    return _pays_episodes(engine) or late or extra.notes_pay


def _pays_episodes(engine: RewardEngine) -> bool:
    return engine.reward.traits.when == "episode" and engine.payer == "step"


def _scales_credits(config: TrainConfig) -> bool:
    return config.run.normalize_reward and not find_algorithm(config.algo).off_policy


def _normalize(stack: VecEnv, config: TrainConfig, gamma: float, norm_reward: bool) -> VecNormalize:
    space = stack.observation_space
    keys = None
    scales = isinstance(space, spaces.Box | spaces.Dict)  # choices have no moments
    if isinstance(space, spaces.Dict):
        # Whole numbers in a Dict are codes of characters, glyphs and the like.
        keys = [
            key
            for key, sub in space.items()
            if isinstance(sub, spaces.Box) and np.issubdtype(sub.dtype, np.floating)
        ]
        if config.run.normalize_obs and not keys:
            raise DenseGymError(
                f"{config.env} observes whole numbers only ({', '.join(space)}), which are codes "
                "and not to be standardised. Write --set normalize_obs=false."
            )
    return VecNormalize(
        stack,
        norm_obs=config.run.normalize_obs and scales,
        norm_reward=norm_reward,
        gamma=gamma,
        norm_obs_keys=keys,
    )


def _hyper_parameters(config: TrainConfig, venv: VecEnv, engine: RewardEngine) -> dict[str, Any]:
    given = dict(config.algorithm)
    if not config.run.her:
        if _pays_episodes(engine) and find_algorithm(config.algo).off_policy:
            # An episode must have ended before its rows can be sampled.
            whole = (longest_episode(venv) or 0) * config.run.n_envs
            given.setdefault("learning_starts", max(whole, _LEARNING_STARTS))
        return given
    if not isinstance(venv.observation_space, spaces.Dict):
        raise DenseGymError(
            f"her=true needs a goal-conditioned world; {config.env} observes "
            f"{type(venv.observation_space).__name__}. Write --set her=false."
        )
    if not find_algorithm(config.algo).off_policy:
        raise DenseGymError(
            f"her=true needs an off-policy learner; {config.algo} is none. Use sac."
        )
    for method in world_methods(engine.reward) or ():
        if not all(venv.env_method("has_wrapper_attr", method)):
            raise DenseGymError(
                f"her=true needs {config.env} to compute its reward of other goals, and it has no "
                f"{method}(). Write --set her=false."
            )
    options = {"n_sampled_goal": 4, "goal_selection_strategy": "future"}
    return {**given, "replay_buffer_class": HerReplayBuffer, "replay_buffer_kwargs": options}


def seed_everything(seed: int) -> None:
    """Seed what SB3 draws from besides the model and its lanes."""
    torch.manual_seed(seed)
    # SB3's buffers draw from the global generator.
    np.random.seed(seed)  # noqa: NPY002
