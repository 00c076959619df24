"""Demonstrations from a Minari data set, whose episodes are played again so that they can be seen.

Data sets hold actions and seeds, seldom pictures. An episode that does not come out as it was
recorded is refused, never kept.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from densegym.agents.collecting.demonstrators import Demonstrators
from densegym.agents.collecting.demos import (
    Collected,
    Stage,
    collect_kind,
    flat,
    held_out_place,
    make_drawable,
    played,
    stage_of,
    with_expert,
)
from densegym.envs.world import Act, World
from densegym.errors import DenseGymError, require
from densegym.reward_models.progress.demos import EXPERT, RANDOM, STALL, Demo, held

_FEWEST = 4  # failures of a kind, for learning and for evaluation each


@dataclass(frozen=True, slots=True)
class Tape:
    """One recorded episode of T steps.

    Attributes:
        seed: of its reset.
        actions: T actions.
        obs: T + 1 observations, as the data set nests them.
    """

    seed: int
    actions: Sequence[Any]
    obs: Any


def replay(
    env_id: str,
    dataset: str,
    *,
    seed: int = 0,
    size: int = 64,
    on_episode: Callable[[int, int], None] = lambda done, wanted: None,
) -> Collected:
    """Play the episodes of a data set again with pictures, and as many failures of two kinds.

    Successful episodes are the experts; placements are split as in ``demos.collect``. Random
    actions and recorded actions that stop half-way in another placement are the failures.

    Args:
        env_id: the world that the data set was recorded in.
        dataset: its Minari id, on this machine.
        seed: of the failures.
        size: of pictures, pixels.
        on_episode: told about played and wanted episodes.

    Raises:
        DenseGymError: no such data set; episodes without seeds, that come out otherwise, or of
            which too few succeed.
        MissingExtraError: Minari is not installed.
    """
    tapes = _read(dataset)
    row = with_expert(env_id, _OpenLoop(tapes))
    longest = max(len(tape.actions) for tape in tapes)
    row = replace(row, capabilities=replace(row.capabilities, demo_steps=longest))
    stage = stage_of(row, make_drawable(row, longest), row.card.cameras, size)
    kinds = [(kind, held) for kind in (RANDOM, STALL) for held in (False, True)]
    rejected = {EXPERT: 0, RANDOM: 0, STALL: 0}
    total, demos = len(tapes) + _FEWEST * len(kinds), list[Demo]()
    try:
        for demo in _experts(stage, tapes, dataset):
            demos += [demo] if demo.done_at is not None else []
            rejected[EXPERT] += demo.done_at is None
            on_episode(len(demos) + rejected[EXPERT], total)
        _check_sides(demos, dataset)
        quickest = min(demo.done_at or 0 for demo in demos)
        half = max(2, quickest // 2)
        stage = stage._replace(cast=Demonstrators(row, stage.env.action_space, (half // 2, half)))
        for kind, held in kinds:
            stream = np.random.default_rng([seed, zlib.crc32(kind.encode()), held])
            demos += collect_kind(stage, kind, held, _FEWEST, stream, rejected)
            on_episode(len(demos) + rejected[EXPERT], total)
    finally:
        stage.env.close()
    return Collected(demos, rejected, row.card.cameras)


class _OpenLoop:
    """Lends the actions of recorded episodes in turn, whatever is observed."""

    def __init__(self, tapes: Sequence[Tape]) -> None:
        self._turns = itertools.cycle(tapes)

    def __call__(self, world: World) -> Act:
        return _reader(next(self._turns))


def _reader(tape: Tape) -> Act:
    left = iter(tape.actions)
    return lambda obs: next(left, tape.actions[-1])


def _experts(stage: Stage, tapes: Sequence[Tape], dataset: str) -> Iterator[Demo]:
    state = partial(flat, stage.env.observation_space)
    for index, tape in enumerate(tapes):
        first = stage.env.reset(seed=tape.seed)
        demo = played(stage, EXPERT, tape.seed, _reader(tape), first)
        assert demo.state is not None
        recorded = np.stack([state(_at(tape.obs, t)) for t in range(len(demo.state))])
        if not np.allclose(demo.state, recorded, rtol=1e-4, atol=1e-6):
            step = int(np.argmin(np.isclose(demo.state, recorded, 1e-4, 1e-6).all(axis=1)))
            raise DenseGymError(
                f"episode {index} of {dataset} comes out otherwise in {stage.row.card.id} from "
                f"step {step} on: it was recorded in another environment, or with other options"
            )
        side = held_out_place(demo.state[0], stage.row.card.places)
        yield held(replace(demo, held_out=side))


def _check_sides(demos: Sequence[Demo], dataset: str) -> None:
    side = sum(demo.held_out for demo in demos)
    if not 0 < side < len(demos):
        raise DenseGymError(
            f"{len(demos)} episodes of {dataset} succeed, and {side} of them are placed where "
            "models are evaluated; expected some there and some to learn from. Record more"
        )


def _read(dataset: str) -> list[Tape]:
    minari: Any = require("minari", extra="demos")
    if dataset not in minari.list_local_datasets():
        raise DenseGymError(
            f'there is no data set "{dataset}" on this machine. Type: minari download {dataset}'
        )
    found = minari.load_dataset(dataset)
    told = found.storage.get_episode_metadata(found.episode_indices)
    tapes = []
    for index, (episode, metadata) in enumerate(zip(found, told, strict=True)):
        if metadata.get("seed") is None:
            raise DenseGymError(
                f"episode {index} of {dataset} was recorded without a seed, so it cannot be played "
                "again; record with env.reset(seed=...)"
            )
        tapes.append(Tape(int(metadata["seed"]), list(episode.actions), episode.observations))
    return tapes


def _at(batch: Any, t: int) -> Any:
    if isinstance(batch, dict):
        return {key: _at(part, t) for key, part in batch.items()}
    return tuple(_at(part, t) for part in batch) if isinstance(batch, tuple) else batch[t]
