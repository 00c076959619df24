"""Off-policy relabelling: replay buffers that wait for, commit or predict what rows are worth."""

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
from densegym.reward_models.pay import Late
from densegym.reward_models.types import Float

_MOST_WAITING = 512  # batches kept back before learning starts
_TRIES = 20  # draws before the ready rows are counted out


def late_paid(kept: ReplayBuffer, engine: RewardEngine) -> ReplayBuffer:
    """Return ``kept``, made to sample no row before it is known what the row is worth."""
    kept.__class__ = _late_paid(type(kept))
    ready = np.zeros((kept.buffer_size, kept.n_envs), dtype=np.bool_)
    ticks = np.full(kept.buffer_size, -1, dtype=np.int64)
    vars(kept).update(engine=engine, ready=ready, ticks=ticks)
    if engine.reward.traits.when == "episode":
        engine.unpaid = lambda: 1.0 - float(ready[: kept.size()].mean())
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
    vars(kept).update(engine=engine, unscaled=unscaled)
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
    vars(made).update(engine=engine, staged=[[] for _ in range(engine.num_envs)])
    engine.unpaid = lambda: _staged_share(made)
    return made


@functools.cache
def _late_paid(base: type[ReplayBuffer]) -> Any:
    class LatePaid(base):  # type: ignore[misc,valid-type]  # a class known at run time
        engine: RewardEngine
        ready: np.ndarray
        ticks: np.ndarray
        waiting = 0

        def add(self, *args: Any, **kwargs: Any) -> None:
            self.ticks[self.pos], self.ready[self.pos] = self.engine.pay.tick, False
            super().add(*args, **kwargs)
            self.waiting += 1
            # Whole rollouts are judged at once, episodes when they have ended.
            if self.episodic or self.waiting >= _MOST_WAITING:
                self.settle()

        def sample(self, batch_size: int, env: Any = None) -> Any:
            if not self.episodic:
                self.settle()
                return super().sample(batch_size, env)
            rows, lanes = _draw(self.ready[: self.size()], batch_size, self.engine)
            return _samples(self, rows, lanes, env)

        def cut(self) -> None:
            """Write down what the episodes that a checkpoint ended were worth."""
            self.settle()

        def settle(self) -> None:
            """Write down what became known; what is older than the buffer is left out."""
            for late in self.engine.late():
                rows, mine = self.rows_of(late.tick)
                at = rows[mine], late.slot[mine]
                self.rewards[at], self.ready[at] = late.worth[mine], True
            self.engine.pay.forget(self.engine.pay.tick + 1)
            self.waiting = 0

        def rows_of(self, tick: Any) -> tuple[Any, Any]:
            """Return (N,) the rows of N ticks, and whether each is still there."""
            rows = (self.pos - 1 - (self.engine.pay.tick - tick)) % self.buffer_size
            oldest = self.ticks[self.pos if self.full else 0]
            if ((self.ticks[rows] != tick) & (tick >= oldest)).any():
                # Steps that were stored nowhere lie between, so rows must be looked for.
                order = np.argsort(self.ticks, kind="stable")
                place = np.searchsorted(self.ticks, tick, sorter=order)
                rows = order[np.minimum(place, len(order) - 1)]
            return rows, self.ticks[rows] == tick

        @property
        def episodic(self) -> bool:
            return self.engine.reward.traits.when == "episode"

        def reset(self) -> None:
            super().reset()
            self.ready[:], self.ticks[:] = False, -1

    return LatePaid


@functools.cache
def _predicting(base: type[ReplayBuffer]) -> Any:
    class Predicting(base):  # type: ignore[misc,valid-type]  # a class known at run time
        engine: RewardEngine
        unscaled: Callable[[Any], Any]

        def add(self, *args: Any, **kwargs: Any) -> None:
            super().add(*args, **kwargs)
            self.engine.late()  # the book is told of ended episodes; labels are asked for anew
            self.engine.pay.forget(self.engine.pay.tick + 1)

        def cut(self) -> None:
            """Let the book forget the episodes that a checkpoint ended."""
            self.engine.late()

        def sample(self, batch_size: int, env: Any = None) -> Any:
            rows = np.random.randint(0, self.size(), batch_size)  # noqa: NPY002  # as SB3 draws
            lanes = np.random.randint(0, self.n_envs, batch_size)  # noqa: NPY002
            before, after = (
                map_leaves(lambda leaf: leaf[rows, lanes], leaves)
                for leaves in (self.observations, self.next_observations)
            )
            # What was paid at step time is kept: credits come on top of it.
            paid: Float = self.rewards[rows, lanes].astype(np.float64)
            credit = self.engine.reward.predict(
                before, self.unscaled(self.actions[rows, lanes]), after
            )
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
            worth = {int(late.slot[0]): late for late in self.engine.late()}
            self.engine.pay.forget(self.engine.pay.tick + 1)
            for lane, rows in enumerate(self.staged):
                pick = functools.partial(map_leaves, lambda leaf, k=lane: leaf[k : k + 1].copy())
                ended = np.asarray(done)[lane : lane + 1]
                seen = (*map(pick, (obs, next_obs, action)), ended, [infos[lane]])
                rows.append((self.engine.pay.tick, *seen))
                if lane in worth:
                    self.commit(rows, worth[lane])
                    rows.clear()

        def cut(self) -> None:
            """Store the episodes that a checkpoint ended, as if at a time limit."""
            worth = {int(late.slot[0]): late for late in self.engine.late()}
            for lane, rows in enumerate(self.staged):
                if rows:
                    *seen, _, info = rows.pop()
                    last = [{**info[0], "TimeLimit.truncated": True}]
                    rows.append((*seen, np.ones(1, dtype=np.bool_), last))
                if lane in worth:
                    self.commit(rows, worth[lane])
                rows.clear()

        def commit(self, rows: list[tuple[Any, ...]], late: Late) -> None:
            """Store the rows of an ended episode; those that a reset cut off are left out."""
            known = dict(zip(late.tick.tolist(), late.worth, strict=True))
            for tick, obs, next_obs, action, ended, info in rows:
                if tick in known:
                    super().add(obs, next_obs, action, known[tick][None], ended, info)

        def sample(self, batch_size: int, env: Any = None) -> Any:
            if not self.size():
                _refuse_empty(self.engine)
            return super().sample(batch_size, env)

    return Committing


def _staged_share(buffer: Any) -> float:
    staged: int = sum(map(len, buffer.staged))
    return staged / max(staged + int(buffer.size()), 1)


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
        f'no episode has ended yet, so "{engine.reward.name}" has said nothing to learn from. '
        "Raise learning_starts, or give the world a time limit (--set episode_steps=...)."
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
