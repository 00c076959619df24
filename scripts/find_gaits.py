"""Finds the gaits of ``assets/tasks/gaits.toml`` by augmented random search; ten CPU minutes.

Run: python scripts/find_gaits.py > densegym/assets/tasks/gaits.toml
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np


class Search(NamedTuple):
    """One robot: how long it walks, how fast its rhythm is, whether it feels, how long we look."""

    task: str
    robot: str
    steps: int
    hertz: float
    feels: bool
    rounds: int
    seed: int = 0


SEARCHES = (
    Search("DenseGym/HalfCheetahForward-v0", "HalfCheetah-v5", 200, 2.5, False, 60),
    Search("DenseGym/AntForward-v0", "Ant-v5", 200, 1.5, False, 100),
    Search("DenseGym/HopperForward-v0", "Hopper-v5", 400, 2.0, True, 200, 2),
    Search("DenseGym/Walker2dForward-v0", "Walker2d-v5", 400, 1.5, True, 200),
)
DIRECTIONS, KEPT = 16, 8
STANDING = 3.0  # metres that staying on the feet is worth
LOOKING = 60  # rounds in which the scale of the observations is measured


def walk(env: Any, gait: Any, search: Search, seed: int, seen: list[Any]) -> tuple[float, int]:
    """Return metres gained and steps walked."""
    weights, mean, spread = gait
    turn = 2 * np.pi * search.hertz * env.dt
    obs, _ = env.reset(seed=seed)
    start = env.data.qpos[0]
    for t in range(search.steps):
        seen.append(obs)
        felt = (obs - mean) / spread * search.feels
        inputs = np.concatenate([[1.0, np.sin(turn * t), np.cos(turn * t)], felt])
        obs, _, fallen, _, _ = env.step(np.clip(weights @ inputs, -1.0, 1.0))
        if fallen:
            break
    return float(env.data.qpos[0] - start), t + 1


def find(search: Search) -> Any:
    """Return the weights, mean and spread that gained most on six held-out placements."""
    env: Any = gym.make(search.robot).unwrapped
    rng = np.random.default_rng(search.seed)
    inputs = env.observation_space.shape[0]
    mean, spread = np.zeros(inputs), np.ones(inputs)
    sums = np.zeros((3, inputs))  # count, sum and sum of squares of what was seen
    rate, noise = (0.03, 0.05) if search.feels else (0.1, 0.15)
    weights = np.zeros((env.action_space.shape[0], 3 + inputs))
    if not search.feels:
        weights[:, :3] = rng.normal(size=(len(weights), 3)) / 2
    best, found = -np.inf, None
    for turn in range(search.rounds):
        ways, seed = rng.normal(size=(DIRECTIONS, *weights.shape)), int(rng.integers(10**6))
        score, seen = np.zeros((DIRECTIONS, 2)), list[Any]()
        for (k, sign), _ in np.ndenumerate(score):
            step = (1 - 2 * sign) * noise * ways[k]
            gain, steps = walk(env, (weights + step, mean, spread), search, seed + k, seen)
            score[k, sign] = gain + STANDING * steps / search.steps
        kept = np.argsort(-score.max(axis=1))[:KEPT]
        slope = np.einsum("k,kij->ij", score[kept, 0] - score[kept, 1], ways[kept])
        weights = weights + rate / (KEPT * score[kept].std()) * slope
        if search.feels and turn < LOOKING:
            sums += [np.full(inputs, len(seen)), np.sum(seen, axis=0), np.square(seen).sum(axis=0)]
            mean = sums[1] / sums[0]
            spread = np.sqrt(np.maximum(sums[2] / sums[0] - np.square(mean), 1e-4))
        if turn % 10 == 9:
            trial = [walk(env, (weights, mean, spread), search, 900 + i, [])[0] for i in range(6)]
            if np.median(trial) > best:
                best, found = float(np.median(trial)), (weights.copy(), mean.copy(), spread.copy())
    return env.dt, found, best


def row(search: Search) -> str:
    """Return the gait as a TOML table, observations unscaled."""
    seconds, (weights, mean, spread), best = find(search)
    feedback = weights[:, 3:] / spread * search.feels
    columns = {
        "offset": weights[:, 0] - feedback @ mean,
        "sine": weights[:, 1],
        "cosine": weights[:, 2],
        **({"feedback": feedback} if search.feels else {}),
    }
    lines = [
        f"# median gain {best:.1f} m in {search.steps} steps",
        "[[gait]]",
        f'task = "{search.task}"',
        f"step = {2 * np.pi * search.hertz * seconds:.6f}",
        f"observation = {len(mean)}",
    ]
    for key, values in columns.items():
        lines.append(f"{key} = {np.round(values, 3).tolist()}".replace("], [", "],\n  ["))
    return "\n".join(lines)


if __name__ == "__main__":
    print("# Scripted gaits, see densegym/envs/robot/gaits.py; written by scripts/find_gaits.py.\n")
    for search in SEARCHES:
        print(row(search) + "\n", flush=True)
