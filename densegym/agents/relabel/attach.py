"""Gives an SB3 learner the buffer that pays credits of whole episodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from gymnasium import spaces
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer, RolloutBuffer
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize

from densegym.agents.relabel.replay import committing, late_paid, predicting
from densegym.agents.relabel.rollout import RolloutBooks, relabelling
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv
from densegym.errors import RewardError
from densegym.reward_models.engine import RewardEngine

ReplayMode = Literal["auto", "patch", "commit", "lazy"]
REPLAY_MODES: tuple[ReplayMode, ...] = ("auto", "patch", "commit", "lazy")


def attach(
    model: BaseAlgorithm, *, replay: ReplayMode = "auto", normalize: bool = False
) -> BaseAlgorithm:
    """Let a learner be paid what its reward model says of whole episodes; returns the learner.

    Call it once, before ``learn``. On-policy learners get a buffer that corrects rewards before
    advantages are computed. Off-policy learners get one of three: ``"patch"`` keeps rows back
    until their episode has ended and then writes its credits into them, ``"commit"`` stores whole
    episodes only, ``"lazy"`` asks a Markov model at every sample, so that no label is stale.

    Args:
        model: an SB3 or sb3-contrib learner in a ``DenseRewardVecEnv``.
        replay: the mode of off-policy learners; ``"auto"`` is lazy where the reward model is
            Markov, else patch.
        normalize: divide credits by the running deviation of their discounted return; on-policy.

    Raises:
        RewardError: the learner has no buffer, no DenseGym reward, or settings that would undo or
            falsify relabelling; says what to change.
    """
    engine = _engine(model)
    engine.collect()
    rollout, kept = getattr(model, "rollout_buffer", None), getattr(model, "replay_buffer", None)
    if isinstance(rollout, RolloutBuffer):
        rollout.__class__ = relabelling(type(rollout))
        rollout.books = RolloutBooks(  # type: ignore[attr-defined]  # the class just given
            engine, rollout.buffer_size, gamma=rollout.gamma, normalize=normalize
        )
    elif isinstance(kept, ReplayBuffer):
        _check_replay(model, kept, normalize)
        model.replay_buffer = _replay(model, kept, engine, replay)  # type: ignore[attr-defined]
    else:
        raise RewardError(
            f"{type(model).__name__} has neither a rollout nor a replay buffer, so whole episodes "
            "cannot be relabelled for it. Use PPO, A2C, RecurrentPPO, MaskablePPO, SAC, TD3, TQC "
            "or DQN."
        )
    return model


def _engine(model: BaseAlgorithm) -> RewardEngine:
    env: VecEnv | None = model.get_env()
    while isinstance(env, VecEnvWrapper):
        if isinstance(env, VecNormalize) and env.norm_reward:
            raise RewardError(
                "VecNormalize(norm_reward=True) scales by rewards that relabelling replaces. Write "
                "norm_reward=False, and attach(model, normalize=True) to scale credits instead."
            )
        if isinstance(env, DenseRewardVecEnv):
            return env.engine
        env = env.venv
    raise RewardError(
        "relabelling needs a learner in a DenseRewardVecEnv; make its environment with "
        "densegym.make_vec(..., reward=...) for SB3, or wrap yours in DenseRewardVecEnv"
    )


def _check_replay(model: Any, kept: ReplayBuffer, normalize: bool) -> None:
    steps = getattr(model, "n_steps", 1)
    refusals = {
        "hindsight goals recompute the world's own reward, which would undo relabelled credits. "
        "Use a plain replay buffer (--set her=false).": isinstance(kept, HerReplayBuffer),
        f"n-step returns (n_steps={steps}) add up rewards before they can be relabelled. Write "
        "n_steps=1.": steps > 1,
        "optimize_memory_usage cannot tell time limits from ends. Write "
        "optimize_memory_usage=False.": kept.optimize_memory_usage,
        "normalize=True is for on-policy learners; scale the reward instead": normalize,
    }
    for says, applies in refusals.items():
        if applies:
            raise RewardError(says)


def _replay(model: Any, kept: ReplayBuffer, engine: RewardEngine, mode: ReplayMode) -> ReplayBuffer:
    if mode not in REPLAY_MODES:
        raise RewardError(f"replay is one of {', '.join(REPLAY_MODES)}; given {mode!r}")
    traits, markov = engine.reward.traits, engine.reward.traits.markov
    if traits.when != "episode":
        return late_paid(kept, engine)
    if mode == "lazy" and not markov:
        raise RewardError(
            f'"{engine.reward.name}" needs whole episodes, so it cannot be asked at every sample. '
            'Use replay="patch" or "commit".'
        )
    if mode == "lazy" or (mode == "auto" and markov):
        return predicting(kept, engine, _unscaled(model))
    _check_learning_starts(model)
    return committing(kept, engine) if mode == "commit" else late_paid(kept, engine)


def _unscaled(model: Any) -> Callable[[Any], Any]:
    """Return how stored actions become the world's: SAC and its kin store them in [-1, 1]."""
    if isinstance(model.action_space, spaces.Box):
        undo: Callable[[Any], Any] = model.policy.unscale_action
        return undo
    return lambda actions: actions[:, 0]


def _check_learning_starts(model: Any) -> None:
    """Refuse to sample before an episode can have ended."""
    longest = longest_episode(model.get_env())
    needed = (longest or 0) * model.n_envs
    if model.learning_starts < needed:
        raise RewardError(
            f"learning starts after {model.learning_starts} steps, when no episode of up to "
            f"{longest} steps in {model.n_envs} lanes need have ended. Write "
            f"learning_starts={needed}."
        )


def longest_episode(env: VecEnv) -> int | None:
    """Return the time limit of the worlds, or None where there is none."""
    limits = {getattr(spec, "max_episode_steps", None) for spec in env.get_attr("spec")}
    return limits.pop() if len(limits) == 1 else None
