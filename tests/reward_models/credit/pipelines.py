"""Every redistributor there is, fitted to small worlds, and every gate and refinement around it."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np
from hypothesis import strategies as st

from densegym.reward_models.credit.catalogue import CATALOGUE
from densegym.reward_models.credit.pipelines.refine import REFINEMENTS
from densegym.reward_models.spec import build_reward
from densegym.reward_models.types import TaskCard
from tests.reward_models.credit.worlds import PLAIN, played

SMALL = {"updates_per_step": 0.05, "min_episodes": 4, "hidden": 8}
BY_RETURN = {**SMALL, "success": "return", "threshold": 0.0}  # these worlds tell no success
OPTIONS: dict[str, dict[str, Any]] = {
    "credit/uniform": {},
    "credit/ircr": {},
    "credit/lare": {**SMALL, "factors": lambda steps: np.asarray(steps.next_obs, dtype="f4")},
    # Without grounding it keeps returns; both are trusted though these worlds are noise.
    "credit/spa": {**SMALL, "beta": 0.0, "min_explained": -1e9},
    "credit/rudder": {**SMALL, "min_explained": -1e9},
    "credit/oprl": BY_RETURN,
    "credit/prime": BY_RETURN,
    "credit/information-gain": BY_RETURN,
    "credit/siop": {**BY_RETURN, "group": 3},
}
SPREADERS = [  # of one agent's episodes; those of teams have tests of their own
    row.name
    for row in CATALOGUE
    if ".redistribution." in str(row.target) and "team" not in row.asks
]
GATES: dict[str, Any] = {
    "open": None,
    "hard": 0.0,
    "soft": {"threshold": 10.0, "soft": -10.0},
    "judged": {"threshold": 0.0, "on_truncation": "judge"},
    "punishing": {"threshold": 0.0, "gate_negatives": False},
}
STAGES = st.lists(st.sampled_from(sorted(REFINEMENTS)), max_size=2)


def made(name: str, seed: int = 0, task: TaskCard = PLAIN, **options: Any) -> Any:
    """Build a redistributor, small and quick."""
    spec = {"model": name, **OPTIONS.get(name, SMALL), **options}
    return build_reward(spec, task=task, seed=seed)


def resting(model: Any) -> Any:
    """Let a fitted credit judge without learning on."""
    if hasattr(model, "_rate"):
        model._rate = 0.0
    return model


@functools.cache
def _fitted(name: str, discrete: bool) -> Any:
    model, rng = made(name), np.random.default_rng(0)
    for k in range(3):
        lengths = rng.integers(1, 10, size=8)
        model.finish(
            [
                played(rng.normal(size=n).tolist(), seed=9 * k + i, slot=i, discrete=discrete)
                for i, n in enumerate(lengths.tolist())
            ]
        )
    return resting(model)


def rested(name: str, *, discrete: bool = False) -> Any:
    """Return a redistributor that was fitted once and does not learn on."""
    return copy.deepcopy(_fitted(name, discrete))


def pipeline(base: Any, gate: str = "open", stages: Any = ()) -> dict[str, Any]:
    """Return the specification of a pipeline around a redistributor."""
    spec = {"model": "credit/pipeline", "base": base, "refine": list(stages)}
    return spec if GATES[gate] is None else {**spec, "hindsight_gate": GATES[gate]}
