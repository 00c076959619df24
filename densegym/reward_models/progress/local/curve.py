"""By which curve Φ is bent: a rule that reads training data alone.

PPO is told the outcome through Φ's differences, so an error of Φ is noise of the reward. The rule:
at the start, where a policy spends its first episodes, the judge's own error may pay no more than a
step of delay costs. That bends Φ the more, the worse the judge knows the states around the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from densegym.reward_models.progress.demos import Demo
from densegym.reward_models.progress.local.fit import kept_back
from densegym.reward_models.progress.local.labels import ORIGIN, label
from densegym.reward_models.progress.potential import ProgressPotential
from densegym.reward_models.progress.protocol import shown, trace
from densegym.reward_models.types import Float

DELAY = 0.01
"""What a step of delay costs, in outcomes: 1 − γ for γ = 0.99."""
_CURVES = np.arange(0.0, 10.5, 0.5)
_AROUND = 0.15  # of Φ: labels so near the start's belong to the states around it


def choose_curve(
    build: Callable[[], ProgressPotential], demos: Sequence[Demo], text: str = ""
) -> float:
    """Return the least curve with which the judge's error at the start is worth ``DELAY``.

    The error is the root mean square of Φ minus its label, over pictures labelled within 0.15 of a
    start's Φ, in episodes of training that were not learnt from (``kept_back``), or in all of
    training where there are none. 10 where no curve is enough.

    Args:
        build: makes the potential, unbent.
        demos: demonstrations; those that are held out are not looked at.
        text: the task's sentence.
    """
    potential = build()
    chosen = kept_back(demos) or [demo for demo in demos if not demo.held_out]
    wrong: list[Float] = []
    for demo in chosen:
        rows = shown(potential, len(demo.pictures))
        truth = label(demo).phi[rows]
        off = trace(potential, demo.pictures, text) - truth
        wrong.append(off[np.abs(truth - ORIGIN) <= _AROUND])
    error = float(np.sqrt(np.mean(np.concatenate(wrong) ** 2)))
    enough = [curve for curve in _CURVES.tolist() if slope(curve, ORIGIN) * error <= DELAY]
    return min(enough, default=float(_CURVES[-1]))


def slope(curve: float, phi: float) -> float:
    """Return by how much bent Φ rises per Φ; see ``ProgressPotential.bend``."""
    if curve == 0.0:
        return 1.0
    return float(curve * np.exp(curve * phi) / np.expm1(curve))
