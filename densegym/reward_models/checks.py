"""``check_reward_model``: the contract of a reward model, for third parties to call in tests."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import Space

from densegym.errors import RewardError
from densegym.reward_models.batch import map_leaves, stack, take
from densegym.reward_models.types import (
    Float,
    Info,
    Int,
    Need,
    PotentialModel,
    RewardModel,
    Scores,
    Starts,
    Steps,
)


@dataclass(frozen=True)
class _Stream:
    """A made-up history of equally long episodes in several lanes."""

    obs: list[Any]
    action: list[Any]
    info: list[list[Info]]
    env_reward: list[Float]

    def starts(self, lanes: Int) -> Starts:
        info = [self.info[0][lane] for lane in lanes]
        return Starts(
            slot=lanes, obs=take(self.obs[0], lanes), info=info, task=["task"] * len(lanes)
        )

    def steps(self, t: int, lanes: Int) -> Steps:
        last = t == len(self.action) - 1
        return Steps(
            slot=lanes,
            t=np.full(len(lanes), t),
            obs=take(self.obs[t], lanes),
            action=take(self.action[t], lanes),
            next_obs=take(self.obs[t + 1], lanes),
            env_reward=self.env_reward[t][lanes],
            terminated=(lanes % 2 == 0) & last,
            truncated=(lanes % 2 == 1) & last,
            info=[self.info[t + 1][lane] for lane in lanes],
        )


def check_reward_model(
    factory: Callable[[], RewardModel],
    observation_space: Space[Any],
    action_space: Space[Any],
    *,
    info: Callable[[np.random.Generator], Info] = lambda rng: {},
    lanes: int = 5,
    length: int = 7,
    seed: int = 0,
) -> None:
    """Check that fresh models keep the contract on random transitions of the given spaces.

    Checked: shapes and dtypes, finite valid rewards, names of terms, inputs left untouched, equal
    answers of equal models, one batch against single lanes, permuted lanes, and a state that
    survives ``state_dict``. Pictures are not made up, so models with ``Need.FRAME`` are refused.

    Args:
        factory: makes equal, independent models.
        observation_space: where observations are drawn from; bounded ones work best.
        action_space: where actions are drawn from.
        info: makes one step's info, if the model reads any.
        lanes: number of lanes.
        length: steps per episode.
        seed: of the random transitions.

    Raises:
        RewardError: a rule is broken; the message says which.
    """
    model: Any = factory()
    if not isinstance(model, RewardModel):
        kind = "a potential; wrap it in Shaped" if isinstance(model, PotentialModel) else "no model"
        raise RewardError(f"{model!r} is {kind}")
    if Need.FRAME in model.needs:
        raise RewardError(f'"{model.name}" looks at pictures, which this check cannot make up')
    stream = _draw(observation_space, action_space, info, lanes, length, seed)
    every = np.arange(lanes)
    whole = _play(factory(), stream, every)
    _check_scores(model, whole, lanes)
    _same(model.name, "two equal models disagree", whole, _play(factory(), stream, every))
    flipped = [_permute(scores, every[::-1]) for scores in _play(factory(), stream, every[::-1])]
    _same(model.name, "the order of lanes changes the scores", whole, flipped)
    singles = [_play(factory(), stream, every[lane : lane + 1]) for lane in range(lanes)]
    joined = [_join([single[t] for single in singles]) for t in range(length)]
    _same(model.name, "a batch differs from its rows one by one", whole, joined)
    _check_checkpoint(factory, stream, every, whole)


def _draw(
    observation_space: Space[Any],
    action_space: Space[Any],
    info: Callable[[np.random.Generator], Info],
    lanes: int,
    length: int,
    seed: int,
) -> _Stream:
    rng = np.random.default_rng(seed)
    observation_space.seed(seed)
    action_space.seed(seed)
    return _Stream(
        obs=[_batch(observation_space, lanes) for _ in range(length + 1)],
        action=[_batch(action_space, lanes) for _ in range(length)],
        info=[[info(rng) for _ in range(lanes)] for _ in range(length + 1)],
        env_reward=[rng.normal(size=lanes) for _ in range(length)],
    )


def _batch(space: Space[Any], lanes: int) -> Any:
    samples = [space.sample() for _ in range(lanes)]
    return stack(
        [map_leaves(lambda x: x if isinstance(x, str) else np.asarray(x), s) for s in samples]
    )


def _play(model: RewardModel, stream: _Stream, lanes: Int) -> list[Scores]:
    model.begin(stream.starts(lanes))
    return [_score(model, stream.steps(t, lanes)) for t in range(len(stream.action))]


def _score(model: RewardModel, steps: Steps) -> Scores:
    before = copy.deepcopy((steps.obs, steps.action, steps.next_obs, steps.env_reward))
    scores = model.score(steps)
    after = (steps.obs, steps.action, steps.next_obs, steps.env_reward)
    map_leaves(lambda a, b: _untouched(model.name, a, b), before, after)
    return scores


def _untouched(name: str, before: Any, after: Any) -> None:
    if not np.array_equal(before, after):
        raise RewardError(f'"{name}" changed its inputs; copy an array before writing to it')


def _check_scores(model: RewardModel, played: Sequence[Scores], lanes: int) -> None:
    for scores in played:
        columns = {"reward": scores.reward, "valid": scores.valid, **scores.parts}
        for label, column in columns.items():
            if np.shape(column) != (lanes,):
                raise RewardError(
                    f'"{model.name}": {label} has shape {np.shape(column)}, expected ({lanes},)'
                )
        if scores.reward.dtype != np.float64 or scores.valid.dtype != np.bool_:
            raise RewardError(
                f'"{model.name}": reward is {scores.reward.dtype} and valid {scores.valid.dtype}; '
                "expected float64 and bool"
            )
        if not np.isfinite(scores.reward[scores.valid]).all():
            raise RewardError(f'"{model.name}" returned a non-finite reward on a valid row')
        if model.terms and tuple(scores.parts) != model.terms:
            raise RewardError(
                f'"{model.name}" announces terms {model.terms} but returned {tuple(scores.parts)}'
            )


def _check_checkpoint(
    factory: Callable[[], RewardModel], stream: _Stream, lanes: Int, whole: Sequence[Scores]
) -> None:
    first, middle = factory(), len(stream.action) // 2
    first.begin(stream.starts(lanes))
    for t in range(middle):
        first.score(stream.steps(t, lanes))
    second = factory()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    resumed = [second.score(stream.steps(t, lanes)) for t in range(middle, len(stream.action))]
    _same(first.name, "state_dict loses something", whole[middle:], resumed)


def _permute(scores: Scores, order: Int) -> Scores:
    parts = {term: part[order] for term, part in scores.parts.items()}
    return Scores(reward=scores.reward[order], valid=scores.valid[order], parts=parts)


def _join(rows: Sequence[Scores]) -> Scores:
    parts = {term: np.concatenate([row.parts[term] for row in rows]) for term in rows[0].parts}
    return Scores(
        reward=np.concatenate([row.reward for row in rows]),
        valid=np.concatenate([row.valid for row in rows]),
        parts=parts,
    )


def _same(name: str, complaint: str, first: Sequence[Scores], second: Sequence[Scores]) -> None:
    for t, (one, other) in enumerate(zip(first, second, strict=True)):
        close = np.allclose(one.reward, other.reward, rtol=1e-6, atol=1e-9, equal_nan=True)
        if not close or not np.array_equal(one.valid, other.valid):
            raise RewardError(
                f'"{name}": {complaint}; step {t}: {one.reward} against {other.reward}'
            )
