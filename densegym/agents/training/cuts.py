"""Where a checkpoint cuts training: open episodes end as at a time limit, and new ones begin.

A run that goes on does so as well as one that was stopped, so both see the same episodes. New
episodes are seeded by the run's seed and the step, so no generator of a world need be kept; those
of NumPy, torch, Python and the action space are part of a checkpoint.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from stable_baselines3 import HerReplayBuffer

from densegym.generators import generator_state, restore_generator

if TYPE_CHECKING:
    from stable_baselines3.common.buffers import ReplayBuffer

    from densegym.agents.training.learner import Learner

_FIRST_SEED = 2**30  # above those of evaluations, which training must never face


def end_episodes(learner: Learner) -> None:
    """End the open episodes of all lanes as a time limit would.

    The reward model is told what was played of them, and in replay buffers their last rows are
    followed by the value of the next state. Call ``begin_episodes`` before the next step.
    """
    learner.engine.cut()
    buffer: Any = getattr(learner.model, "replay_buffer", None)
    if buffer is not None:
        _end_rows(buffer)
    learner.engine.late()  # rollout buffers were filled before and take nothing more
    for callback in learner.callbacks:
        if hasattr(callback, "cut"):
            callback.cut()


def begin_episodes(
    learner: Learner, seed: int, generators: Mapping[str, Any] | None = None
) -> None:
    """Begin new episodes in all lanes, which only the run's seed and the step decide.

    Args:
        learner: between two rollouts, after ``end_episodes`` or restored from a checkpoint.
        seed: of the run.
        generators: what ``generator_states`` returned at a checkpoint, if it was restored.
    """
    model: Any = learner.model
    words = np.random.SeedSequence([seed, int(model.num_timesteps)]).generate_state(1)
    model.env.seed(_FIRST_SEED + int(words[0]) % _FIRST_SEED)
    model._last_obs = model.env.reset()
    model._last_episode_starts = np.ones(model.n_envs, dtype=np.bool_)
    if learner.normalizer is not None:
        model._last_original_obs = learner.normalizer.get_original_obs()
    if generators is not None:
        restore_generators(model, generators)
    if model.use_sde:  # drawn before the cut in one run and after it in the other
        getattr(model, "actor", model.policy).reset_noise(model.n_envs)


def generator_states(model: Any) -> dict[str, Any]:
    """Return where all generators stand that a learner draws from, as plain values and tensors."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002  # SB3's buffers draw from it
    version, words, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "numpy": [name, torch.as_tensor(np.asarray(keys).astype(np.int64)), *rest],
        "python": [version, list(words), gauss],
        "actions": _space_states(model.action_space),
    }


def restore_generators(model: Any, states: Mapping[str, Any]) -> None:
    """Put all generators where ``generator_states`` found them."""
    torch.set_rng_state(states["torch"])
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    for space, state in zip(_parts(model.action_space), states["actions"], strict=True):
        restore_generator(space.np_random, state)


def _space_states(space: Any) -> list[str]:
    return [generator_state(part.np_random) for part in _parts(space)]


def _parts(space: Any) -> list[Any]:
    """Return a space and the spaces inside it, each of which has a generator."""
    inner = getattr(space, "spaces", ())
    children = inner.values() if isinstance(inner, Mapping) else inner
    return [space, *(part for child in children for part in _parts(child))]


def _end_rows(buffer: ReplayBuffer) -> None:
    if isinstance(buffer, HerReplayBuffer):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*trajectory in the replay buffer.*")
            buffer.truncate_last_trajectory()
        return
    if hasattr(buffer, "cut"):  # a relabelled one
        buffer.cut()
    if not buffer.size():
        return
    last = buffer.pos - 1
    unfinished = buffer.dones[last] == 0
    buffer.dones[last] = 1
    if buffer.handle_timeout_termination:
        buffer.timeouts[last, unfinished] = 1
