"""Off-policy relabelling: replay buffers that patch, commit or predict the rewards of episodes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.type_aliases import DictReplayBufferSamples, ReplayBufferSamples

from densegym.errors import RewardError
from densegym.reward_models.batch import map_leaves
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.types import Float

_MOST_WAITING = 512  # batches kept back before learning starts
_TRIES = 20  # draws before the ready rows are counted out


def patching(kept: ReplayBuffer, engine: RewardEngine) -> ReplayBuffer:
    """Return ``kept``, made to hold back rows until their episode's credits are known."""
    kept.__class__ = _patching(type(kept))
    kept.engine = engine  # type: ignore[attr-defined]  # of the class just given
    kept.ready = np.zeros((kept.buffer_size, kept.n_envs), dtype=np.bool_)  # type: ignore[attr-defined]
    # A list, because checkpoints keep arrays, and episodes begin anew after one.
    kept.ages = [0] * kept.n_envs  # type: ignore[attr-defined]
    return kept


def predicting(
    kept: ReplayBuffer, engine: RewardEngine, unscaled: Callable[[Any], Any]
) -> ReplayBuffer:
    """Return ``kept``, made to ask the Markov model of ``engine`` for rewards at every sample.

    Args:
        kept: the learner's buffer.
        engine: asks the model.
        unscaled: turns stored actions into those that the world took.
    """
    kept.__class__ = _predicting(type(kept))
    kept.engine = engine  # type: ignore[attr-defined]  # of the class just given
    kept.unscaled = unscaled  # type: ignore[attr-defined]
    return kept


def committing(kept: ReplayBuffer, engine: RewardEngine) -> ReplayBuffer:
    """Return an empty buffer of one lane that takes whole episodes with their credits."""
    made: ReplayBuffer = _committing(type(kept))(
        kept.buffer_size * kept.n_envs,
        kept.observation_space,
        kept.action_space,
        kept.device,
        handle_timeout_termination=kept.handle_timeout_termination,
    )
    made.engine = engine  # type: ignore[attr-defined]  # of the class just made
    made.staged = [[] for _ in range(engine.num_envs)]  # type: ignore[attr-defined]
    return made


def settling(kept: ReplayBuffer, engine: RewardEngine) -> ReplayBuffer:
    """Return ``kept``, made to let deferred steps be judged before they are sampled."""
    kept.__class__ = _settling(type(kept))
    kept.engine, kept.waiting = engine, []  # type: ignore[attr-defined]  # of the class just given
    return kept


@functools.cache
def _settling(base: type[ReplayBuffer]) -> Any:
    class Settling(base):  # type: ignore[misc,valid-type]  # a class known at run time
        engine: RewardEngine
        waiting: list[int]

        def add(self, *args: Any, **kwargs: Any) -> None:
            self.waiting.append(self.pos)
            super().add(*args, **kwargs)
            if len(self.waiting) >= _MOST_WAITING:
                self.settle()

        def sample(self, batch_size: int, env: Any = None) -> Any:
            self.settle()
            return super().sample(batch_size, env)

        def settle(self) -> None:
            if self.waiting and self.engine.deferring:
                # A reset without a buffer may have left batches of its own before these.
                paid = self.engine.settle()[-len(self.waiting) :]
                for row, reward in zip(self.waiting, paid, strict=True):
                    self.rewards[row] = reward
            self.waiting.clear()

    return Settling


@functools.cache
def _patching(base: type[ReplayBuffer]) -> Any:
    class Patching(base):  # type: ignore[misc,valid-type]  # a class known at run time
        engine: RewardEngine
        ready: np.ndarray
        ages: list[int]

        def add(
            self, obs: Any, next_obs: Any, action: Any, reward: Any, done: Any, infos: Any
        ) -> None:
            row = self.pos
            super().add(obs, next_obs, action, reward, done, infos)
            self.ready[row] = False
            self.ages = [age + 1 for age in self.ages]
            credits = dict(self.engine.last.credits)
            for lane in np.flatnonzero(done).tolist():
                length = min(len(credits.get(lane, ())) or self.ages[lane], self.buffer_size)
                rows = np.arange(row - length + 1, row + 1) % self.buffer_size
                if lane in credits:
                    self.rewards[rows, lane] = credits[lane][-length:]
                self.ready[rows, lane] = True
                self.ages[lane] = 0

        def sample(self, batch_size: int, env: Any = None) -> Any:
            rows, lanes = _draw(self.ready[: self.size()], batch_size, self.engine)
            return _samples(self, rows, lanes, env)

        def reset(self) -> None:
            super().reset()
            self.ready[:] = False
            self.ages = [0] * self.n_envs

    return Patching


@functools.cache
def _predicting(base: type[ReplayBuffer]) -> Any:
    class Predicting(base):  # type: ignore[misc,valid-type]  # a class known at run time
        engine: RewardEngine
        unscaled: Callable[[Any], Any]

        def sample(self, batch_size: int, env: Any = None) -> Any:
            rows = np.random.randint(0, self.size(), batch_size)  # noqa: NPY002  # as SB3 draws
            lanes = np.random.randint(0, self.n_envs, batch_size)  # noqa: NPY002
            before, after = (
                map_leaves(lambda leaf: leaf[rows, lanes], leaves)
                for leaves in (self.observations, self.next_observations)
            )
            # What was paid at step time is kept: credits come on top of it.
            paid: Float = self.rewards[rows, lanes].astype(np.float64)
            model: Any = self.engine.model
            credit = model.predict(before, self.unscaled(self.actions[rows, lanes]), after)
            return _samples(self, rows, lanes, env, paid + credit)

    return Predicting


@functools.cache
def _committing(base: type[ReplayBuffer]) -> Any:
    class Committing(base):  # type: ignore[misc,valid-type]  # a class known at run time
        engine: RewardEngine
        staged: list[list[tuple[Any, ...]]]

        def add(
            self, obs: Any, next_obs: Any, action: Any, reward: Any, done: Any, infos: Any
        ) -> None:
            credits = dict(self.engine.last.credits)
            for lane, rows in enumerate(self.staged):
                pick = functools.partial(map_leaves, lambda leaf, k=lane: leaf[k : k + 1].copy())
                kept = [np.asarray(reward)[lane : lane + 1], np.asarray(done)[lane : lane + 1]]
                rows.append((*map(pick, (obs, next_obs, action)), *kept, [infos[lane]]))
                if done[lane]:
                    paid = credits.get(lane)
                    for t, (*seen, own, ended, told) in enumerate(rows):
                        worth = own if paid is None else paid[t : t + 1]
                        super().add(*seen, worth, ended, told)
                    rows.clear()

        def sample(self, batch_size: int, env: Any = None) -> Any:
            if not self.size():
                _refuse_empty(self.engine)
            return super().sample(batch_size, env)

    return Committing


def _draw(ready: Any, batch: int, engine: RewardEngine) -> tuple[Any, Any]:
    """Return (batch,) rows and lanes drawn uniformly from those that are ready."""
    rows: Any = np.zeros(0, dtype=np.int64)
    lanes: Any = np.zeros(0, dtype=np.int64)
    for _ in range(_TRIES):
        tried = np.random.randint(0, ready.size, 2 * batch) if ready.size else rows  # noqa: NPY002
        row, lane = np.divmod(tried, ready.shape[1])
        fit = ready[row, lane]
        rows, lanes = np.append(rows, row[fit]), np.append(lanes, lane[fit])
        if len(rows) >= batch:
            return rows[:batch], lanes[:batch]
    known = np.flatnonzero(ready)
    if not len(known):
        _refuse_empty(engine)
    return np.divmod(np.random.choice(known, batch), ready.shape[1])  # noqa: NPY002


def _refuse_empty(engine: RewardEngine) -> None:
    raise RewardError(
        f'no episode has ended yet, so "{engine.model.name}" has said nothing to learn from. Raise '
        "learning_starts, or give the world a time limit (--set episode_steps=...)."
    )


def _samples(buffer: Any, rows: Any, lanes: Any, env: Any, rewards: Float | None = None) -> Any:
    """Return the named rows as SB3 would, with other rewards if given."""
    worth = buffer.rewards[rows, lanes] if rewards is None else rewards.astype(np.float32)
    ended = buffer.dones[rows, lanes] * (1 - buffer.timeouts[rows, lanes])
    tensor = buffer.to_torch
    actions, dones = tensor(buffer.actions[rows, lanes]), tensor(ended.reshape(-1, 1))
    worth = tensor(buffer._normalize_reward(worth.reshape(-1, 1), env))
    seen = [
        map_leaves(
            tensor,
            buffer._normalize_obs(map_leaves(lambda leaf: leaf[rows, lanes], leaves), env),
        )
        for leaves in (buffer.observations, buffer.next_observations)
    ]
    kind = DictReplayBufferSamples if isinstance(buffer, DictReplayBuffer) else ReplayBufferSamples
    return kind(seen[0], actions, seen[1], dones, worth)
