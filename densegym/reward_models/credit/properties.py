"""What a credit model or a stage of a pipeline promises, so that nothing is paid out of place.

A term that uses what happened after step t cannot be paid at step t; a learner's returns change
unless a term conserves them; sums that are bounded cannot be farmed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Level: TypeAlias = Literal["step", "episode"]
Conserves: TypeAlias = Literal["return", "potential", "none"]
Bounds: TypeAlias = tuple[float, float]
UNBOUNDED: Bounds = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Properties:
    """A promise about the credits c of an episode of T steps.

    Attributes:
        level: where it acts: ``"step"`` while the episode runs, ``"episode"`` when it has ended.
        causal: whether c_t uses nothing after t; what is not causal acts on whole episodes.
        conserves: ``"return"``: c adds up to the return; ``"potential"``: c adds up to a
            difference of two values, whatever happens between; ``"none"``.
        bounds: of one c_t.
    """

    level: Level = "step"
    causal: bool = True
    conserves: Conserves = "none"
    bounds: Bounds = UNBOUNDED

    def __post_init__(self) -> None:
        if self.level == "step" and not self.causal:
            raise ValueError("what is not causal cannot act at step time")


def properties_of(model: Any) -> Properties:
    """Return what a model declares; whatever declares nothing is a free step reward."""
    declared: Properties = getattr(model, "properties", Properties())
    return declared
