"""How fast the shop is: steps, resets, searches in CPU time of one core; start-up and memory."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from densegym.envs.shop.environments.text import ShopEnv
from densegym.envs.shop.environments.vector import ShopVectorEnv
from densegym.envs.shop.session.stores import find_store, shared_store

_RESETS = 5_000
_QUERIES = 300
_LANES, _CHOICE_STEPS = 64, 1_000
_FRESH = r"""
import json, sys, time
began = time.perf_counter()
from densegym.envs.shop.environments.text import ShopEnv
env = ShopEnv(store=sys.argv[1], split="all", goals=sys.argv[2])
_, info = env.reset(seed=0)
ready = time.perf_counter() - began
for _ in range(200):
    _, _, terminated, truncated, info = env.step(info["valid_actions"][0])
    if terminated or truncated:
        _, info = env.reset()
from densegym.envs.shop.speed import _peak_mb
print(json.dumps({"start_s": ready, "peak_mb": _peak_mb()}))
"""


def measure(
    store: str | Path = "synthetic-1k", *, goals: str = "auto", steps: int = 30_000
) -> dict[str, Any]:
    """Measure the text environment on a store.

    Args:
        store: see ``stores.find_store``; built before the clock runs.
        goals: style of the goals.
        steps: of random valid play.

    Returns:
        ``steps_per_cpu_s`` (resets included); ``choice_steps_per_cpu_s`` of 64 lanes at random
        choices once pages and features of this play are cached; ``reset_ms``; ``start_s`` and
        ``peak_mb`` of a fresh process (imports included); ``query_ms`` of searches never made
        before; ``products``.
    """
    folder = find_store(store)
    env = ShopEnv(store=folder, split="all", goals=goals)
    return {
        "store": str(store),
        "products": len(shared_store(folder)),
        "steps_per_cpu_s": _steps(env, steps),
        "reset_ms": _resets(env),
        "query_ms": _queries(env),
        "choice_steps_per_cpu_s": _choice_steps(folder, goals),
        **_fresh(folder, goals),
    }


def measure_searches(store: str | Path) -> dict[str, Any]:
    """Measure a store without its goals, which take minutes to list for a million products.

    Returns:
        ``open_s``; ``query_ms``, mean CPU time of searches for titles never asked for before;
        ``found``, the share that finds its product among the first fifty; ``peak_mb`` of this
        process; ``products``.
    """
    began = time.perf_counter()
    opened = shared_store(find_store(store))
    open_s = time.perf_counter() - began
    rng = random.Random(1)
    wanted = [rng.randrange(len(opened)) for _ in range(_QUERIES)]
    texts = [opened.product(index).title[:80] for index in wanted]
    began = time.process_time()
    found = [opened.search.search(text) for text in texts]
    query_ms = (time.process_time() - began) * 1e3 / _QUERIES
    hits = sum(index in listed for index, listed in zip(wanted, found, strict=True))
    return {
        "store": str(store),
        "products": len(opened),
        "open_s": open_s,
        "query_ms": query_ms,
        "found": hits / _QUERIES,
        "peak_mb": _peak_mb(),
    }


def _peak_mb() -> float:
    """Return the most memory this process held; not ru_maxrss, which a parent's fork counts in."""
    told = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+)", told)
    assert found is not None
    return int(found[1]) / 1024


def _steps(env: ShopEnv, steps: int) -> float:
    rng = random.Random(0)
    _, info = env.reset(seed=0)
    began = time.process_time()
    for _ in range(steps):
        _, _, terminated, truncated, info = env.step(rng.choice(info["valid_actions"]))
        if terminated or truncated:
            _, info = env.reset()
    return steps / (time.process_time() - began)


def _resets(env: ShopEnv) -> float:
    began = time.process_time()
    for _ in range(_RESETS):
        env.reset()
    return (time.process_time() - began) * 1e3 / _RESETS


def _queries(env: ShopEnv) -> float:
    """Return the mean time of searches for pairs of words that nobody asked for before."""
    goals, search = env.world.goals, env.world.shop.store.search
    rng = random.Random(1)
    texts = [
        f"{rng.choice(goals).instruction[:60]} {rng.choice(goals).name[:40]}"
        for _ in range(_QUERIES)
    ]
    began = time.process_time()
    for words in texts:
        search.scores(words)
    return (time.process_time() - began) * 1e3 / _QUERIES


def _choice_steps(folder: Path, goals: str) -> float:
    """Return the steps of 64 lanes, in the second of two equal plays."""
    env = ShopVectorEnv(_LANES, store=folder, split="all", goals=goals)
    speed = 0.0
    for _ in range(2):
        rng = np.random.default_rng(0)
        env.reset(seed=0)
        began = time.process_time()
        for _ in range(_CHOICE_STEPS):
            mask = env.action_masks()
            env.step((rng.random(mask.shape) * mask).argmax(axis=1))
        speed = _LANES * _CHOICE_STEPS / (time.process_time() - began)
    return speed


def _fresh(folder: Path, goals: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", _FRESH, str(folder), goals],
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told
