"""Who acts in a demonstration: scripted experts of human pace and noise, and those who fail."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from densegym.agents.collecting import behaviours
from densegym.envs.experts import capability, new_expert
from densegym.envs.tasks import worlds
from densegym.envs.world import Act, World
from densegym.reward_models.progress.demos import EXPERT, FAILURES, RANDOM, STALL
from densegym.reward_models.types import Float, Places

STALL_STEPS = (25, 50)  # an expert that stalls acts for so many; one that a user brings, for less
OFFSET = (0.04, 0.20)  # metres by which a near miss is off
WANDER, WRONG_TASK, NEAR_MISS = "wander", "wrong-task", "near-miss"
_PACE, _NOISE = (0.6, 1.0), (0.05, 0.25)
_BEYOND = 1 / 6  # of the room on every side, from where points are moved to the nearest wall
_BEGIN = {WANDER: (10, 90)}  # steps after which experts take over
_SOON = (5, 60)


class Demonstrators:
    """Everybody who can act in a world's demonstrations.

    Args:
        world: offers a scripted expert.
        space: of its actions.
        stall: an expert that stalls acts for so many steps, from the first to below the second.
    """

    def __init__(self, world: World, space: Any, stall: tuple[int, int] = STALL_STEPS) -> None:
        self._world, self._space, self._stall = world, space, stall
        self._others = _neighbours(world)
        self._reach, self._places = capability(world, "reach"), world.card.places
        # An arm's first three numbers move its gripper; the others open and turn it.
        self._moves = slice(3) if self._reach is not None else slice(None)

    @property
    def failures(self) -> tuple[str, ...]:
        """The kinds of failure that can be played here."""
        needs = {WRONG_TASK: bool(self._others), NEAR_MISS: self._places is not None}
        return tuple(kind for kind in FAILURES if needs.get(kind, True))

    def act(self, kind: str, rng: np.random.Generator, stray: str | None = None) -> tuple[Act, int]:
        """Return how to act in one episode, and the step from which the expert does.

        Args:
            kind: of demonstration.
            rng: of the episode.
            stray: what an expert takes over from, or None.
        """
        if kind == EXPERT:
            expert = self._human(self._world, rng)
            if stray is None:
                return expert, 0
            begin = int(rng.integers(*_BEGIN.get(stray, _SOON)))
            before, _ = self.act(stray, rng)
            return _takes_over(expert, before, begin), begin
        if kind == RANDOM:
            return self._random(rng), 0
        if kind == WANDER:
            return self._wander(rng), 0
        if kind == STALL:
            return _stalls(new_expert(self._world), self._space, rng, self._stall), 0
        if kind == WRONG_TASK:
            other = self._others[str(rng.choice(list(self._others)))]
            return self._human(other, rng), 0
        assert self._places is not None
        return near_miss(self._human(self._world, rng), self._places, rng), 0

    def _human(self, world: World, rng: np.random.Generator) -> Act:
        """Return a world's expert with random pace and noise."""
        expert, space, moves = new_expert(world), self._space, self._moves
        pace, noise = rng.uniform(*_PACE), rng.uniform(*_NOISE)
        if not isinstance(space, spaces.Box):  # a choice has no pace, and only its share is noise
            return behaviours.noisy(lambda _: expert, space, noise)(rng)

        def act(obs: Any) -> Any:
            meant = np.array(expert(obs))
            meant[moves] = pace * meant[moves] + rng.normal(0.0, noise, len(meant[moves]))
            return np.clip(meant, space.low, space.high)

        return act

    def _random(self, rng: np.random.Generator) -> Act:
        """Return random actions, kept for a while or not, or one place that a gripper goes to."""
        holds = [1, behaviours.HOLD] if self._reach is None else [0, 1, behaviours.HOLD]
        hold = int(rng.choice(holds))
        return behaviours.random(self._space, hold=hold)(rng) if hold else self._wander(rng)

    def _wander(self, rng: np.random.Generator) -> Act:
        workspace = self._world.capabilities.workspace
        if self._reach is None or workspace is None:
            return self._random(rng)
        act: Act = self._reach(somewhere(np.array(workspace), rng), self._space)
        return act


def somewhere(room: Float, rng: np.random.Generator) -> Float:
    """Return a random point of a room (2, 3), often at a wall.

    A policy that has not found the object yet drifts until a wall stops it.
    """
    low, high = room
    beyond = _BEYOND * (high - low)
    point: Float = np.clip(rng.uniform(low - beyond, high + beyond), low, high)
    return point


def near_miss(act: Act, places: Places, rng: np.random.Generator) -> Act:
    """Return an expert that believes the object (and the goal) to stand beside its place."""
    direction = rng.normal(size=3)
    off = rng.uniform(*OFFSET) * direction / np.linalg.norm(direction)

    def missing(obs: Any) -> Any:
        believed = np.array(obs)
        believed[slice(*places.object)] += off
        believed[slice(*places.goal)] += off
        return act(believed)

    return missing


def _takes_over(expert: Act, stray: Act, begin: int) -> Act:
    """Return an expert that acts from step ``begin`` on; until then another does."""
    t = 0

    def act(obs: Any) -> Any:
        nonlocal t
        t += 1
        return stray(obs) if t <= begin else expert(obs)

    return act


def _stalls(expert: Act, space: Any, rng: np.random.Generator, steps: tuple[int, int]) -> Act:
    stray, left = behaviours.random(space)(rng), int(rng.integers(*steps))

    def act(obs: Any) -> Any:
        nonlocal left
        left -= 1
        return expert(obs) if left >= 0 else stray(obs)

    return act


def _neighbours(world: World) -> dict[str, World]:
    """Return the other tasks of the same suite whose experts act in this one, too."""
    if not world.card.family:
        return {}
    suite = (world.card.family, world.owner)
    return {
        row.card.id: row
        for row in worlds()
        if (row.card.family, row.owner) == suite and row.card.id != world.card.id
        if "demos" in row.capabilities.offered()
    }
