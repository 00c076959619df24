"""Synthetic run folders: what a finished training run leaves behind, without training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from densegym.agents.training.config import TrainConfig, to_toml
from densegym.agents.training.folders import slug
from densegym.agents.training.results import append_jsonl, write_json

BUTTON = "DenseGym/ButtonPress-v0"
AUTHORED = "authored/button-press-v1"


def meta(**changes: Any) -> dict[str, Any]:
    """Return what ``meta.json`` holds."""
    plain = {
        "schema": 1,
        "densegym": "0.1.0",
        "env": BUTTON,
        "reward": AUTHORED,
        "algo": "ppo",
        "seed": 0,
        "steps": 1000,
        "gamma": 0.99,
        "terminate_on_success": True,
        "family": "metaworld",
        "versions": {"python": "3.11.7", "gymnasium": "1.2.0", "mujoco": "3.3.0"},
        "git": None,
        "cpu": "Test CPU",
        "started": "2026-01-01T00:00:00+00:00",
        "wall_s": 12.0,
        "cpu_s": 10.0,
        "reward_s": 0.5,
        "abstention_rate": 0.0,
        "model_calls": 0,
        "cost_usd": 0.0,
        "fingerprint": "0" * 64,
    }
    return plain | changes


def write_run(
    root: Path,
    *,
    curve: Sequence[float] = (0.0, 0.5, 1.0, 1.0),
    final: float | None = None,
    episodes: int = 20,
    overshoot: int = 0,
    partial: bool = False,
    **changes: Any,
) -> Path:
    """Write a run folder and return it.

    Args:
        root: the results folder.
        curve: success rate of the evaluations, evenly spaced over the steps.
        final: success rate of the final evaluation; the curve's last by default.
        episodes: episodes of every evaluation.
        overshoot: steps by which the last evaluation comes after ``steps``.
        partial: leave the run unfinished.
        **changes: entries of ``meta.json``.
    """
    about = meta(**changes)
    name = f"seed-{about['seed']}{'.partial' if partial else ''}"
    folder = root / slug(about["env"]) / slug(about["reward"]) / about["algo"] / name
    folder.mkdir(parents=True)
    config = TrainConfig(env=about["env"], reward=about["reward"], seed=about["seed"])
    (folder / "config.toml").write_text(to_toml(config.as_dict()), encoding="utf-8")
    for number, rate in enumerate(curve, start=1):
        last = overshoot if number == len(curve) else 0
        share = number / len(curve)
        line = {"step": round(about["steps"] * share) + last, "cpu_s": about["cpu_s"] * share}
        append_jsonl(folder / "eval.jsonl", {**line, "wall_s": 1.0, **outcome(rate, episodes)})
    if not curve:
        (folder / "eval.jsonl").touch()
    if not partial:
        end = outcome((*curve, 0.0)[len(curve) - 1] if final is None else final, episodes)
        write_json(folder / "meta.json", about)
        write_json(
            folder / "final.json",
            {"schema": 1, "episodes": episodes, "success_stochastic": end["success"], **end},
        )
    return folder


def outcome(rate: float, episodes: int) -> dict[str, list[float]]:
    """Return the lists of an evaluation in which ``rate`` of the episodes succeed."""
    wins = round(rate * episodes)
    success = [1.0] * wins + [0.0] * (episodes - wins)
    return {"success": success, "return_env": success, "length": [100.0] * episodes}


def change(path: Path, **entries: Any) -> None:
    """Overwrite entries of a JSON file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | entries), encoding="utf-8")
