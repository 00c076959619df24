"""Made-up run folders, as a finished training run would leave them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_run(
    root: Path,
    *,
    env: str = "DenseGym/ButtonPress-v0",
    reward: str = "env",
    seed: int = 0,
    success: float = 1.0,
    curve: tuple[float, ...] = (0.0, 0.5, 1.0),
    **meta: Any,
) -> Path:
    """Write one finished run and return its folder."""
    folder = root / env.replace("/", ".") / reward.replace("/", ".") / "ppo" / f"seed-{seed}"
    folder.mkdir(parents=True)
    told = {
        "schema": 1,
        "densegym": "0.1.0",
        "env": env,
        "reward": reward,
        "algo": "ppo",
        "seed": seed,
        "steps": 3000,
        "terminate_on_success": True,
        "versions": {"gymnasium": "1.2.0", "python": "3.11.7"},
        "wall_s": 12.0,
        "cpu_s": 10.0 + seed,
        "cpu": "a processor",
        **meta,
    }
    (folder / "meta.json").write_text(json.dumps(told))
    (folder / "config.toml").write_text('env = "<b>&amp;"\n')
    lines = [
        {
            "step": 1000 * (i + 1),
            "cpu_s": 3.0 * (i + 1),
            "return_env": [p, p],
            "success": [p, p],
            "length": [5, 5],
        }
        for i, p in enumerate(curve)
    ]
    (folder / "eval.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    final = {
        "schema": 1,
        "episodes": 4,
        "return_env": [success] * 4,
        "success": [success] * 4,
        "length": [7] * 4,
        "success_stochastic": [success / 2] * 4,
    }
    (folder / "final.json").write_text(json.dumps(final))
    return folder
