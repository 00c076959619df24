"""Whether climbing a judge's Φ leads to the object, from anywhere, before any training.

A judge may order every film of an expert and still have its summit at a wall, and there a policy
in training ends. So a gripper is put all over the workspace, Φ of what is seen is compared with
the steps that an expert still needs from there, and Φ is climbed from point to neighbouring point.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from rich.table import Table

from densegym.agents.collecting.demos import held_out_place, make_drawable
from densegym.agents.studies.study import Monitor, Request, Result
from densegym.envs.experts import capability, new_expert, offering
from densegym.envs.tasks import full_id
from densegym.envs.world import Point, World
from densegym.envs.wrappers.frames import Camera
from densegym.errors import DenseGymError
from densegym.reward_models.authored.screening.ranking import spearman
from densegym.reward_models.model import Potential
from densegym.reward_models.spec import build_reward
from densegym.reward_models.types import (
    Bool,
    Float,
    Frames,
    Int,
    Pictures,
    Places,
    Starts,
    Steps,
    TaskCard,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

LATTICE = (9, 6, 5)  # points along x, y and z of the room
_SETTLE = 70  # steps that a hand has to get to a point
_LIMIT = 200  # steps of an expert
_MOVED = 0.01  # metres; points on the way to which the object was moved more are left out
_ARRIVED = 0.2  # metres from the object
_TRIES = 1000  # seeds that are looked at for a placement
# A survey measures; what does not pass its evaluation may be surveyed too.
_JUDGES: Mapping[str, Any] = {
    "progress/local": {"model": "progress/local", "unchecked": True},
    "progress/oracle": "progress/oracle",
}
_TRUTH = "an expert's steps"


@dataclass(frozen=True, slots=True)
class Survey:
    """What was seen of one placement from P points.

    Attributes:
        first: (39,) the first observation.
        start: (V, H, W, 3) its pictures.
        obs: (P, 39) observations at the points.
        hand: (P, 3) metres, where the gripper is there.
        frames: (P, V, H, W, 3) their pictures.
        left: (P,) steps that an expert needs from there.
        free: (P,) whether the object stands where it stands untouched.
        untouched: (3,) metres, the object after as long a time without a hand.
    """

    first: Float
    start: Frames
    obs: Float
    hand: Float
    frames: Frames
    left: Float
    free: Bool
    untouched: Float

    @property
    def distance(self) -> Float:
        """(P,) metres from the hand to the object where it stands untouched."""
        away: Float = np.linalg.norm(self.hand - self.untouched, axis=1)
        return away


@dataclass(frozen=True, slots=True)
class Landscapes(Result):
    """How well each judge leads the way, means over placements.

    Attributes:
        rows: ``rank``, ``distance`` and ``climbs`` (see ``measure``) by env id and judge.
    """

    rows: Mapping[str, Mapping[str, Mapping[str, float]]]

    def as_json(self) -> dict[str, Any]:
        """Return the figures by env id and judge."""
        return dict(self.rows)

    def report(self) -> list[RenderableType]:
        """Return one table."""
        table = Table("task", "judge", "rank", "distance", "climbs", header_style="bold")
        for env_id, judges in self.rows.items():
            for judge, figures in judges.items():
                table.add_row(env_id, judge, *(f"{value:.2f}" for value in figures.values()))
        return [table]


def run(request: Request, monitor: Monitor) -> Landscapes:
    """Carry out the study ``landscape``; seeds choose placements.

    Raises:
        UnknownNameError: an unknown task, or one without a scripted expert.
        RewardError: ``progress/local`` has no weights for it; says what to type.
    """
    # A world that cannot be looked ahead in is refused before its judges are.
    cards = [offering(full_id(name), "lookahead").card for name in request.envs]
    return Landscapes({card.id: _compare(card, request.seeds, monitor) for card in cards})


def _compare(card: TaskCard, seeds: Sequence[int], monitor: Monitor) -> dict[str, dict[str, float]]:
    judges: dict[str, Any] = {
        judge: build_reward(spec, task=card) for judge, spec in _JUDGES.items()
    }
    found: dict[str, list[dict[str, float]]] = {}
    for seed in seeds:
        what = f"{card.id}, placement {seed}"
        seen = survey(card.id, seed, partial(monitor.progress, what))
        for judge, shaped in judges.items():
            phi = value(shaped.potential, seen, card.goal)
            found.setdefault(judge, []).append(measure(phi, seen))
        found.setdefault(_TRUTH, []).append(measure(-seen.left, seen))
    return {judge: _mean(many) for judge, many in found.items()}


def _mean(many: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([one[name] for one in many])) for name in many[0]}


def survey(
    env_id: str, seed: int = 0, on_point: Callable[[int, int], None] = lambda done, total: None
) -> Survey:
    """Put the gripper at every point of a lattice, and count an expert's steps from there.

    Args:
        env_id: a task with a scripted expert, steps to count ahead and a gripper to move.
        seed: of the placement, the first from 1,000 times this on that training never sees.
        on_point: told about done and all points.

    Raises:
        UnknownNameError: a task without a scripted expert.
        DenseGymError: an object that never stays where it stands.
    """
    row = offering(env_id, "expert", "lookahead", "reach")
    places, workspace = row.card.places, row.capabilities.workspace
    assert places is not None
    assert workspace is not None
    reach, count_ahead = capability(row, "reach"), capability(row, "lookahead")
    env = make_drawable(row, _SETTLE + 1)
    camera = Camera(env, Pictures(row.card.cameras), row.card.hidden)
    seed, first = _unseen(env, seed * _TRIES, places)
    start = camera.take()
    untouched = first
    for _ in range(_SETTLE):  # some doors swing by themselves
        untouched, *_ = env.step(np.zeros_like(env.action_space.sample()))
    points = _lattice(workspace)
    seen: list[tuple[Float, Frames, int]] = []
    for point in points:
        obs, _ = env.reset(seed=seed)
        act = reach(point, env.action_space)
        for _ in range(_SETTLE):
            obs, *_ = env.step(act(obs))
        left = count_ahead(env.unwrapped, new_expert(row), obs, _LIMIT)
        seen.append((obs, camera.take(), left))
        on_point(len(seen), len(points))
    env.close()
    return _surveyed(row, first, start, untouched, seen)


def _surveyed(
    row: World, first: Float, start: Frames, untouched: Float, seen: list[tuple[Float, Frames, int]]
) -> Survey:
    """Return what was seen, and at which points the object stood where it stands untouched."""
    assert row.card.places is not None
    hand, thing = slice(*row.card.places.gripper), slice(*row.card.places.object)
    obs, frames, left = (np.stack(column) for column in zip(*seen, strict=True))
    free = np.linalg.norm(obs[:, thing] - untouched[thing], axis=1) < _MOVED
    if not free.any():
        raise DenseGymError(
            f"{row.card.id}: the object never stays where it stands; choose another task"
        )
    steps = left.astype(np.float64)
    return Survey(first, start, obs, obs[:, hand], frames, steps, free, untouched[thing])


def value(potential: Potential, seen: Survey, text: str = "") -> Float:
    """Return Φ (P,) of a hand that went from the start to each point."""
    count = len(seen.left)
    slot, told = np.arange(count), [dict[str, float]()] * count
    first = np.repeat(seen.first[None], count, axis=0)
    start = np.repeat(seen.start[None], count, axis=0)
    potential.value(Starts(slot, first, told, start, [text] * count))
    never, last = np.zeros(count, dtype=np.bool_), np.ones(count, dtype=np.bool_)
    zeros = np.zeros(count)
    steps = Steps(
        slot, slot * 0, first, None, seen.obs, zeros, never, last, told, frame=seen.frames
    )
    return potential.value(steps).phi


def measure(phi: Float, seen: Survey) -> dict[str, float]:
    """Return how well Φ (P,) leads the way.

    ``rank`` is Spearman's correlation of Φ with the steps that an expert needs, negated;
    ``distance`` the same with how far the hand is from the object; ``climbs`` the share of points
    from which steepest ascent over neighbours of the lattice ends within 20 cm of the object.
    """
    free = seen.free
    summit = _climb(np.where(free, phi, -np.inf))
    return {
        "rank": spearman(phi[free], -seen.left[free]),
        "distance": spearman(phi[free], -seen.distance[free]),
        "climbs": float((seen.distance[summit[free]] <= _ARRIVED).mean()),
    }


def _unseen(env: gym.Env[Any, Any], seed: int, places: Places) -> tuple[int, Float]:
    """Return the first seed from this one on whose placement is held out, and what is seen first.

    Where nothing is placed anew, all placements are one, and it serves.
    """
    for tried in range(seed, seed + _TRIES):
        first, _ = env.reset(seed=tried)
        if held_out_place(first, places):
            return tried, first
    return seed, env.reset(seed=seed)[0]


def _lattice(workspace: tuple[Point, Point]) -> Float:
    """Return the points (P, 3), z fastest."""
    shares = np.meshgrid(*(np.linspace(0.0, 1.0, count) for count in LATTICE), indexing="ij")
    low, high = np.array(workspace)
    points: Float = low + (high - low) * np.stack(shares, axis=-1).reshape(-1, 3)
    return points


def _climb(phi: Float) -> Int:
    """Return (P,) the point at which steepest ascent from each point ends."""
    place = np.arange(phi.size).reshape(LATTICE)
    around = np.pad(place, 1, constant_values=-1)
    moves = np.stack(
        [
            around[
                tuple(slice(step, step + size) for step, size in zip(move, LATTICE, strict=True))
            ]
            for move in np.ndindex(3, 3, 3)
        ]
    ).reshape(27, -1)
    heights = np.where(moves >= 0, phi[moves], -np.inf)
    step: Int = moves[np.argmax(heights, axis=0), np.arange(phi.size)]
    for _ in range(phi.size.bit_length()):  # every round doubles the way
        step = step[step]
    return step
