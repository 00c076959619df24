"""Closed sub-paths of recorded episodes: what a reward pays for going in circles.

A loop is a stretch of an episode that ends in the state it began in, so it could be repeated for
ever. A sound reward pays less for that than for solving the task.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from densegym.reward_models.authored.screening.bank import Bank, Trajectory
from densegym.reward_models.types import Bool, Float, Int

CLOSED = 0.05  # a loop ends within this share of its own excursion
EXCURSION = 0.1  # standard deviations; smaller motion is no loop
OWN = 0.25  # and every number of the state within this share of its own excursion,
SLIGHT = 0.01  # or within this share of the whole one
STILL = 1e-4  # standard deviations; closer than this is no motion at all
SLOW = 1e-2  # standard deviations a step
SHORTEST = 2  # steps
_MOVES = 1e-6  # a number that varies less over the bank is no state
_OUTSIDE_STATE = ("action", "terminated")


class Loops(NamedTuple):
    """Every loop of one trajectory.

    Attributes:
        start: (L,) int64, the step whose end is the first state of the loop.
        stop: (L,) int64, the step whose end is its last; rewards ``start + 1 .. stop`` count.
    """

    start: Int
    stop: Int


class Circling(NamedTuple):
    """What a reward pays a policy that walks a recorded path up to a loop and never leaves it.

    Attributes:
        discounted: return of the path and the loop repeated up to the horizon.
        gain: undiscounted reward of the loop, walked once.
        length: of the loop, steps.
        trajectory: index in the bank.
    """

    discounted: float
    gain: float
    length: int
    trajectory: int


def state_names(trajectory: Trajectory) -> list[str]:
    """Return the features that make up the state: all but actions, twins and the ending.

    Positions that only ``info`` tells belong to it, so a healthy gait, which is somewhere else
    after every stride, closes no loop.
    """
    names = trajectory.features
    twins = {f"prev_{name}" for name in names}
    return [name for name in names if name not in _OUTSIDE_STATE and name not in twins]


def find_loops(bank: Bank) -> list[Loops]:
    """Return the loops of every trajectory of a bank.

    States are standardised over the bank; distances are Euclidean. A loop is at least two steps
    long and either ends within 5 % of how far it went, with no number of the state drifting, or
    never moved. The last step of an episode that the world ended is left out, because potentials
    are zero there.
    """
    return [
        _loops(state, bool(item.features["terminated"][-1]))
        for state, item in zip(_states(bank), bank.trajectories, strict=True)
    ]


def still_steps(bank: Bank) -> list[Bool]:
    """Return (T,) bool per trajectory: steps that changed the state by under 1 % of its spread.

    The first step of an episode never counts.
    """
    return [
        np.append(False, np.linalg.norm(np.diff(state, axis=0), axis=1) <= SLOW)
        for state in _states(bank)
    ]


def best_loop(
    loops: Sequence[Loops], paid: Sequence[Float], gamma: float, horizon: int
) -> Circling | None:
    """Return the circling that pays most, or None without any loop.

    Args:
        loops: of every trajectory.
        paid: (T,) rewards of every trajectory.
        gamma: discount.
        horizon: steps of an episode.
    """
    found = [
        _circling(i, loop, reward, gamma, horizon)
        for i, (loop, reward) in enumerate(zip(loops, paid, strict=True))
        if len(loop.start)
    ]
    return max(found, default=None)


def _circling(index: int, loops: Loops, reward: Float, gamma: float, horizon: int) -> Circling:
    first, last = loops.start + 1, loops.stop + 1
    steps = np.arange(max(horizon, len(reward)) + 1)
    weights = gamma**steps
    turned = np.concatenate([[0.0], np.cumsum(weights)])  # worth of a unit reward for so many steps
    ahead = np.zeros(len(reward) + 1)
    for t in range(len(reward) - 1, -1, -1):
        ahead[t] = reward[t] + gamma * ahead[t + 1]
    # The constant reward that is worth as much as one turn.
    rate = (ahead[first] - weights[last - first] * ahead[last]) / turned[last - first]
    walked = ahead[0] - weights[first] * ahead[first]
    value = walked + weights[first] * rate * turned[steps[-1] - first]
    k = int(value.argmax())
    gain = float(reward[first[k] : last[k]].sum())
    return Circling(float(value[k]), gain, int(last[k] - first[k]), index)


def _states(bank: Bank) -> list[Float]:
    """Return (T, D) per trajectory: what moves in the state, standardised over the bank."""
    if not bank.trajectories:
        return []
    names = state_names(bank.trajectories[0])
    states = [_matrix(item, names) for item in bank.trajectories]
    rows = np.concatenate(states)
    middle, spread = rows.mean(axis=0), rows.std(axis=0)
    moving = spread > _MOVES
    return [(state - middle)[:, moving] / spread[moving] for state in states]


def _matrix(trajectory: Trajectory, names: Sequence[str]) -> Float:
    rows = len(trajectory)
    columns = [np.reshape(trajectory.features[name], (rows, -1)) for name in names]
    return np.concatenate(columns, axis=1).astype(np.float64)


def _loops(state: Float, ended: bool) -> Loops:
    state = state[: len(state) - ended]
    square = np.square(state).sum(axis=1)
    apart = np.sqrt(np.maximum(square[:, None] + square - 2.0 * state @ state.T, 0.0))
    excursion = np.maximum.accumulate(np.triu(apart), axis=1)
    rested = np.triu(excursion <= STILL, k=SHORTEST)
    returned = np.triu((apart <= CLOSED * excursion) & (excursion >= EXCURSION), k=SHORTEST)
    for start, stop in np.argwhere(returned & ~rested).tolist():
        returned[start, stop] = not _drifts(state[start : stop + 1], excursion[start, stop])
    return Loops(*np.nonzero(returned | rested))


def _drifts(path: Float, excursion: float) -> bool:
    """Whether some number of the state went one way, as the position of a gait does."""
    moved = np.abs(path - path[0])
    allowed = np.maximum(OWN * moved.max(axis=0), SLIGHT * excursion)
    return bool((moved[-1] > allowed).any())
