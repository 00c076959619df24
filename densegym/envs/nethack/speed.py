"""How fast NetHack steps here: the layer and the batched core against upstream, in one process.

Everything is CPU time. Sides take turns at stretches of equal play, and of each stretch the
fastest round counts, because only a round that nothing disturbed tells what the code costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np

from densegym.envs.nethack.compatibility import import_minihack
from densegym.envs.nethack.core import LaneCore
from densegym.envs.nethack.layer import NetHackEnv

KEYS = ("glyphs", "blstats", "message")
MINIHACK_KEYS = ("chars_crop", "blstats", "message")
MINIHACK_TASKS = ("Room-5x5", "KeyRoom-S5", "Corridor-R3")
LANES = 8
_STRETCH = 100  # steps
_Side = tuple[Callable[[], Any], Callable[[Any], Any]]


def measure(rounds: int = 12) -> dict[str, float]:
    """Return steps per CPU second and their ratios to upstream's.

    ``layer_ratio`` is the repaired NetHackScore over NLE's, 3 keys each;
    ``core_ratio/<task>`` the batched core at 8 lanes over Gymnasium's ``SyncVectorEnv`` of raw
    MiniHack envs, with resets, captions and infos.
    """
    figures = {"layer_ratio": layer_speed(rounds=rounds)}
    for name in MINIHACK_TASKS:
        raw, ours = core_speed(f"MiniHack-{name}-v0", rounds=rounds)
        figures[f"raw_steps_per_cpu_s/{name}"] = raw
        figures[f"core_steps_per_cpu_s/{name}"] = ours
        figures[f"core_ratio/{name}"] = ours / raw
    return {name: round(value, 3) for name, value in figures.items()}


def layer_speed(*, rounds: int) -> float:
    """Return steps per CPU second of the layer over those of NLE's own NetHackScore."""
    ours = NetHackEnv("NetHackScore-v0", observation_keys=KEYS)
    raw: Any = gym.make(
        "NetHackScore-v0", fix_moon_phase=True, disable_env_checker=True, observation_keys=KEYS
    ).unwrapped
    seeds = np.random.default_rng(0).integers(2**62, size=2).tolist()

    def begin_raw() -> None:
        raw.seed(*seeds)
        raw.reset()

    actions = np.random.default_rng(0).integers(23, size=(10, _STRETCH)).tolist()
    slow, fast = _fastest(
        [(begin_raw, raw.step), (lambda: ours.reset(seed=0), ours.step)], actions, rounds
    )
    raw.close()
    ours.close()
    return slow / fast


def core_speed(task: str, *, rounds: int) -> tuple[float, float]:
    """Return steps per CPU second of raw MiniHack and of the batched core, 8 lanes each."""
    import_minihack()

    def make() -> Any:
        return gym.make(task, observation_keys=MINIHACK_KEYS, disable_env_checker=True)

    raw = gym.vector.SyncVectorEnv([make] * LANES)
    core = LaneCore(task, LANES, observation_keys=MINIHACK_KEYS)

    def begin_raw() -> None:
        for lane, env in enumerate(raw.envs):
            env.unwrapped.seed(lane, lane)  # type: ignore[attr-defined]  # NLE's
        raw.reset(options={"wizkit_items": None})

    def begin_core() -> None:
        for lane in range(LANES):
            core.seed(lane, lane)
            core.reset(lane)

    def step_core(row: Any) -> None:
        *_, terminated, truncated, _ = core.step(row.tolist())
        for lane in np.flatnonzero(terminated | truncated).tolist():
            core.reset(lane)

    count = int(core.action_space.n)  # type: ignore[attr-defined]  # Discrete
    actions = list(np.random.default_rng(0).integers(count, size=(6, _STRETCH, LANES)))
    with _options_for(raw):
        slow, fast = _fastest([(begin_raw, raw.step), (begin_core, step_core)], actions, rounds)
    raw.close()
    core.close()
    steps = 6 * _STRETCH * LANES
    return steps / slow, steps / fast


@contextmanager
def _options_for(raw: Any) -> Iterator[None]:
    """Let a SyncVectorEnv reset NLE by itself, which needs an entry in its options."""
    resets = [env.reset for env in raw.envs]
    for env, reset in zip(raw.envs, resets, strict=True):
        env.reset = lambda reset=reset, **_: reset(options={"wizkit_items": None})
    try:
        yield
    finally:
        for env, reset in zip(raw.envs, resets, strict=True):
            env.reset = reset


def _fastest(sides: Sequence[_Side], actions: Sequence[Any], rounds: int) -> list[float]:
    """Return CPU seconds of each side, stretch by stretch the fastest of all rounds."""
    best = np.full((len(sides), len(actions)), np.inf)
    for _ in range(rounds):
        for begin, _step in sides:
            begin()
        for k, stretch in enumerate(actions):
            for i, (_begin, step) in enumerate(sides):
                started = time.process_time()
                for action in stretch:
                    step(action)
                best[i, k] = min(best[i, k], time.process_time() - started)
    return [float(total) for total in best.sum(axis=1)]
