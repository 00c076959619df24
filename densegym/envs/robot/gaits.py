"""Scripted gaits: rhythm and a little feedback, enough to walk; experts for forward skills.

An action is ``clip(feedback @ obs + offset + sine * sin(w t) + cosine * cos(w t), -1, 1)``. The
coefficients in ``assets/tasks/gaits.toml`` were found by augmented random search (Mania et al.,
2018) on the forward gain of short episodes; ``scripts/find_gaits.py`` repeats the search. They
are no strong policies: they exist so that a trajectory bank holds successes.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from densegym import assets
from densegym.reward_models.types import Float

_FILE = "tasks/gaits.toml"


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The coefficients of one gait, for J joints and an observation of D numbers.

    Attributes:
        step: rad, how far the phase turns in a step.
        offset: (J,) float64.
        sine: (J,) float64.
        cosine: (J,) float64.
        feedback: (J, D) float64; zeros walk open loop.
    """

    step: float
    offset: Float
    sine: Float
    cosine: Float
    feedback: Float


class Gait:
    """Acts through one episode; the phase starts at zero.

    Args:
        rhythm: its coefficients.
    """

    def __init__(self, rhythm: Rhythm) -> None:
        self._rhythm = rhythm
        self._t = 0

    def __call__(self, obs: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        """Return the next action (J,) float32 in [-1, 1] from one observation (D,)."""
        rhythm, phase = self._rhythm, self._rhythm.step * self._t
        self._t += 1
        swing = rhythm.sine * np.sin(phase) + rhythm.cosine * np.cos(phase)
        torque = rhythm.feedback @ obs + rhythm.offset + swing
        action: npt.NDArray[np.float32] = np.clip(torque, -1.0, 1.0).astype(np.float32)
        return action


@lru_cache(maxsize=1)
def gaits() -> dict[str, Rhythm]:
    """Return the shipped gaits by environment id."""
    return {row["task"]: _rhythm(row) for row in tomllib.loads(assets.text(_FILE))["gait"]}


def _rhythm(row: dict[str, Any]) -> Rhythm:
    offset, sine, cosine = (np.array(row[key]) for key in ("offset", "sine", "cosine"))
    feedback = row.get("feedback", [[0.0] * row["observation"]] * len(offset))
    return Rhythm(row["step"], offset, sine, cosine, np.array(feedback))
