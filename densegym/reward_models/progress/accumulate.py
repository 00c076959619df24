"""From hops to Φ in [0, 1]: VLAC's accumulation and Robo-Dopamine's three views and their fusion.

All functions are vectorised and pure. Sources: VLAC (arXiv 2509.15937, repository
InternRobotics/VLAC), Robo-Dopamine (arXiv 2512.23703). Departures: VLAC's percent are fractions
here, its Φ is kept in [0, 1] and its division by zero at a hop of −1 is repaired.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from densegym.reward_models.types import Bool, Float

Fusion = Literal[
    "vlac", "vlac-mixed", "incremental", "forward", "backward", "mean", "consistency", "min"
]
View = Literal["step", "start", "goal"]
"""Which pair a hop judges: (last picture, this), (first picture, this) or (goal, this)."""

VIEWS: Mapping[Fusion, tuple[View, ...]] = {
    "vlac": ("step",),
    "vlac-mixed": ("step",),
    "incremental": ("step",),
    "forward": ("start",),
    "backward": ("goal",),
    "mean": ("step", "start", "goal"),
    "consistency": ("step", "start", "goal"),
    "min": ("step", "start", "goal"),
}
"""The views every fusion asks for."""

ALPHA, EPSILON = 1.0, 0.05  # of the consistency weight; the paper names none
_FLOOR = 0.1  # of VLAC's mixed rule


def vlac(phi: Float, hop: Float) -> Float:
    """Return VLAC's simple rule V + (1 − V)·c for both signs, kept in [0, 1]."""
    return np.clip(phi + (1.0 - phi) * hop, 0.0, 1.0)


def vlac_mixed(phi: Float, hop: Float) -> Float:
    """Return VLAC's mixed rule: forwards as ``vlac``, backwards so that a step undoes its reverse.

    Above one half a backward hop c gives max(0.1, 1 − max(1 − V, 0.01) / (1 + c)), below it
    V·(1 + c); c = −1 above one half, which divides by zero in the original, gives 0.1.
    """
    kept = 1.0 + hop
    left = np.maximum(1.0 - phi, 0.01)
    undone = 1.0 - np.divide(left, kept, out=np.full_like(left, np.inf), where=kept > 0)
    backwards = np.where(phi > 0.5, np.maximum(_FLOOR, undone), phi * kept)
    return np.clip(np.where(hop > 0, vlac(phi, hop), backwards), 0.0, 1.0)


def incremental(phi: Float, hop: Float) -> Float:
    """Return Φ + (1 − Φ)·H forwards and Φ + Φ·H backwards; in [0, 1] for every H in [−1, 1]."""
    return phi + np.where(hop >= 0, 1.0 - phi, phi) * hop


def forward(hop: Float, origin: float = 0.0) -> Float:
    """Return Φ after the hop from an episode's first picture, whose Φ is ``origin``."""
    return np.clip(incremental(np.full_like(hop, origin), hop), 0.0, 1.0)


def backward(hop: Float) -> Float:
    """Return Φ = 1 + H(goal, now), clamped."""
    return np.clip(1.0 + hop, 0.0, 1.0)


def consistency(
    phi: Float,
    step: Float,
    start: Float,
    goal: Float,
    *,
    origin: float = 0.0,
    alpha: float = ALPHA,
    epsilon: float = EPSILON,
) -> Float:
    """Return the fusion that trusts the two anchors as far as they agree.

    With F and B the forward and backward values, m their mean, d = |B − F| / (m + ε) and
    w = exp(−alpha·d²): Φ + (w / 2)·(m − Φ + ΔΦ), where ΔΦ is the incremental change.
    """
    ahead, behind = forward(start, origin), backward(goal)
    mean = (ahead + behind) / 2.0
    weight = np.exp(-alpha * np.square(np.abs(behind - ahead) / (mean + epsilon)))
    change = incremental(phi, step) - phi
    return np.clip(phi + weight / 2.0 * (mean - phi + change), 0.0, 1.0)


def fuse(
    fusion: Fusion,
    phi: Float,
    hops: Mapping[View, Float],
    heard: Mapping[View, Bool],
    origin: float = 0.0,
) -> tuple[Float, Bool]:
    """Return the new Φ (B,) and whether any view spoke, (B,) bool; silent rows keep their Φ.

    ``mean`` and ``min`` use the views that spoke; ``consistency`` needs both anchors.

    Args:
        fusion: the rule.
        phi: (B,) Φ after the last picture.
        hops: (B,) per view that the rule asks for.
        heard: (B,) bool per view, False where the judge abstained.
        origin: Φ of first pictures.
    """
    views = VIEWS[fusion]
    valid = np.stack([heard[view] for view in views])
    spoke: Bool = np.all(valid, axis=0) if fusion == "consistency" else np.any(valid, axis=0)
    if fusion == "consistency":
        fresh = consistency(phi, hops["step"], hops["start"], hops["goal"], origin=origin)
    else:
        values = np.stack([_value(fusion, view, phi, hops[view], origin) for view in views])
        fresh = _reduce(fusion, values, valid)
    return np.where(spoke, fresh, phi), spoke


def _value(fusion: Fusion, view: View, phi: Float, hop: Float, origin: float) -> Float:
    if view == "start":
        return forward(hop, origin)
    if view == "goal":
        return backward(hop)
    if fusion == "vlac":
        return vlac(phi, hop)
    return vlac_mixed(phi, hop) if fusion == "vlac-mixed" else incremental(phi, hop)


def _reduce(fusion: Fusion, values: Float, valid: Bool) -> Float:
    if fusion == "min":
        least: Float = np.where(valid, values, np.inf).min(axis=0)
        return least
    total = np.where(valid, values, 0.0).sum(axis=0)
    reduced: Float = total / np.maximum(valid.sum(axis=0), 1)
    return reduced
