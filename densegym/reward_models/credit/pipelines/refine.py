"""Refinements of process rewards: what makes a learned step reward safe to add up.

Each is a pure function of the (T,) step rewards of one episode and its return; none is causal but
``clip`` and ``par``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from densegym.errors import RewardError, unknown
from densegym.reward_models.types import Float

Refinement: TypeAlias = Callable[[Float, float], Float]
"""From (T,) float64 step rewards and the episode's return to (T,) float64."""


def clip(steps: Float, total: float, *, eta: float = 0.0) -> Float:
    """Return min(p − η, 0): a repeated harmless step earns nothing (arXiv 2410.15115)."""
    clipped: Float = np.minimum(steps - eta, 0.0)
    return clipped


def delta(steps: Float, total: float, *, answer: bool = False) -> Float:
    """Return p_t − p_{t+1}, and p of the last step: the sum is the first p (arXiv 2410.15115).

    In the paper the last step is an answer that only its outcome pays: with ``answer`` the last
    step earns 0 and the one before it p. An agent that may answer whenever it likes then loses
    p by answering, and never does (``densegym bench hacking``).
    """
    differences: Float = steps - np.append(steps[1:], 0.0)
    if answer:
        differences[-2:-1] = steps[-2:-1]
        differences[-1] = 0.0
    return differences


def par(steps: Float, total: float, *, k: float = 1.0, reference: float = 0.0) -> Float:
    """Return σ(k (r − reference)), bounded by 0 and 1 (preference as reward, arXiv 2502.18770)."""
    scaled = k * (steps - reference)
    shrunk: Float = 0.5 * (1.0 + np.tanh(0.5 * scaled))  # σ that does not overflow
    return shrunk


def min_form(steps: Float, total: float, *, tau: float = 0.1) -> Float:
    """Return softmax(−r/τ) · r: the worst step decides (PURE, arXiv 2504.15275).

    The sum lies between the least reward and the mean, whatever is repeated.
    """
    if tau <= 0.0:
        raise RewardError(f"min-form takes tau above 0; given {tau}")
    weights = np.exp(-(steps - steps.min()) / tau)
    weighed: Float = weights / weights.sum() * steps
    return weighed


def renorm(steps: Float, total: float) -> Float:
    """Return r − mean(r) + R/T: process only moves the return, it adds none (after PPR)."""
    moved: Float = steps - steps.mean() + total / len(steps)
    return moved


REFINEMENTS: Mapping[str, Callable[..., Float]] = {
    "clip": clip,
    "delta": delta,
    "par": par,
    "min": min_form,
    "renorm": renorm,
}


def parse(stages: Sequence[str | Mapping[str, Any]]) -> list[tuple[str, Refinement]]:
    """Read refinements as written in a specification.

    Args:
        stages: names, or one-entry mappings of a name to its options, e.g. ``["delta",
            {"clip": {"eta": 0.1}}]``.

    Raises:
        UnknownNameError: an unknown refinement or option; names the closest.
        RewardError: something else than a list of these.
    """
    if isinstance(stages, str | Mapping) or not isinstance(stages, Sequence):
        raise RewardError(f'refine takes a list such as ["delta"]; given {stages!r}')
    return [_parse_one(stage) for stage in stages]


def _parse_one(stage: str | Mapping[str, Any]) -> tuple[str, Refinement]:
    named = {stage: {}} if isinstance(stage, str) else dict(stage)
    if len(named) != 1:
        raise RewardError(f'a refinement is a name or {{"name": {{options}}}}; given {stage!r}')
    (name, options), *_ = named.items()
    if name not in REFINEMENTS:
        raise unknown("refinement", str(name), REFINEMENTS)
    known = list(inspect.signature(REFINEMENTS[name]).parameters)[2:]
    for option in options:
        if option not in known:
            raise unknown(f'option of refinement "{name}"', option, known)
    return name, partial(REFINEMENTS[name], **options)


def ensemble(members: Float, how: str = "mean", *, spread: float = 1.0) -> Float:
    """Return one (T,) reward from (M, T) rewards of M models.

    Args:
        members: the models' rewards.
        how: ``"mean"``, ``"median"``, ``"min"``, or ``"cautious"``: mean − spread · std.
        spread: c of ``"cautious"``.

    Raises:
        UnknownNameError: another ``how``.
    """
    ways: dict[str, Callable[[], Any]] = {
        "mean": lambda: members.mean(axis=0),
        "median": lambda: np.median(members, axis=0),
        "min": lambda: members.min(axis=0),
        "cautious": lambda: members.mean(axis=0) - spread * members.std(axis=0),
    }
    if how not in ways:
        raise unknown("ensemble", how, ways)
    joined: Float = ways[how]()
    return joined
