"""A one-dimensional task for the screens: walk from 1 to 0, where the episode ends."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from densegym.reward_models.authored.programs.runner import Scored
from densegym.reward_models.authored.screening.bank import Bank, Trajectory
from densegym.reward_models.types import Feature, TaskCard

HORIZON = 60
CARD = TaskCard(
    id="Toy/Walk-v0",
    features=(
        Feature("walker_position", (1,), "m", "world", "where it is", columns=(0, 1)),
        Feature("goal_position", (1,), "m", "world", "where it should be", columns=(1, 2)),
        Feature("action", (1,), "1", "-", "velocity", "action"),
    ),
)


def trajectory(path, source: str, noise: float = float("nan"), goal: float = 0.0) -> Trajectory:
    """Return an episode from T + 1 positions; it ended if it came to the goal."""
    path = np.asarray(path, dtype=np.float64)
    success = bool(abs(path[-1] - goal) < 1e-9)
    rows = len(path) - 1
    ended = np.zeros(rows, dtype=np.bool_)
    ended[-1] = success
    goals = np.full((rows, 1), goal)
    features = {
        "walker_position": path[1:, None],
        "goal_position": goals,
        "action": np.diff(path)[:, None],
        "prev_walker_position": path[:-1, None],
        "prev_goal_position": goals.copy(),
        "terminated": ended,
    }
    return Trajectory(
        features=features, source=source, success=success, fitness=float(success), noise=noise
    )


def walk(steps: int) -> np.ndarray:
    return np.linspace(1.0, 0.0, steps + 1)


def swing(start: float, low: float, high: float, half: int) -> np.ndarray:
    """Return a path that goes to ``low``, back to ``high``, and on, for a whole episode."""
    turn = np.concatenate(
        [np.linspace(high, low, half + 1)[1:], np.linspace(low, high, half + 1)[1:]]
    )
    return np.concatenate([[start], np.resize(turn, HORIZON)])


def bank(*, gamma: float = 0.99, more: tuple[Trajectory, ...] = ()) -> Bank:
    """Return six experts of growing noise, six strollers, an idle one and an oscillator."""
    rng = np.random.default_rng(0)
    experts = [trajectory(walk(20 + i), "expert", 0.0) for i in range(6)]
    noisy = [trajectory(walk(35 + i), "noise", 0.5) for i in range(2)]
    lost = [
        trajectory(np.clip(1 + np.cumsum(rng.normal(0, 0.02, HORIZON + 1)), 0.3, 2), "noise", 1.0)
        for _ in range(6)
    ]
    idle = [trajectory(np.ones(HORIZON + 1), "idle")]
    circling = [trajectory(swing(1.0, 0.5, 1.0, 10), "exploit:oscillates")]
    return Bank(
        task=CARD.id,
        gamma=gamma,
        trajectories=(*experts, *noisy, *lost, *idle, *circling, *more),
    )


def scored(bank: Bank, reward: Callable[..., np.ndarray]) -> list[Scored]:
    """Score with ``reward(before, after)`` of the distances to the goal, each (T,)."""
    found = []
    for item in bank.trajectories:
        before, after = distances(item)
        total = np.asarray(reward(before, after), dtype=np.float64)
        found.append(Scored(total, {"term": total}))
    return found


def distances(item: Trajectory) -> tuple[np.ndarray, np.ndarray]:
    before = np.abs(item.features["prev_walker_position"] - item.features["goal_position"])[:, 0]
    after = np.abs(item.features["walker_position"] - item.features["goal_position"])[:, 0]
    return before, after


def shaped(bank: Bank, potential: Callable[[np.ndarray], np.ndarray]) -> list[Scored]:
    """Score as ``score_bank`` pays a potential: zero after termination, kept at truncation."""
    found = []
    for item in bank.trajectories:
        before, after = distances(item)
        phi = potential(after)
        left = np.where(item.features["terminated"], 0.0, phi)
        found.append(Scored(bank.gamma * left - potential(before), {"potential": phi}))
    return found
