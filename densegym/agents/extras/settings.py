"""Which extras a run uses, as typed after ``--set extra.<name>=...``; imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from densegym.errors import DenseGymError, unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraSettings:
    """Additions to PPO, A2C and MaskablePPO; every one is off at zero."""

    step_advantage: float = 0.0
    """α: credits join the advantages, standardised, instead of being paid as rewards (iStar)."""
    anchor_advantage: float = 0.0
    """ω: steps from one and the same observation are compared by what followed (GiGPO)."""
    anchor_gamma: float = 0.95
    """Discount of what followed an anchor."""
    entropy_modulation: float = 0.0
    """k: unsure steps learn less, and steps that lead to sure ones more (EMPG)."""
    entropy_future: float = 0.1
    """ζ: EMPG's bonus for steps that lead to sure ones."""
    entropy_smoothing: float = 0.0
    """β: keeps entropies near their mean over past updates, step by step (EPO)."""
    entropy_low: float = 0.5
    """EPO's lower bound, as a share of the past mean."""
    entropy_high: float = 2.0
    """EPO's upper bound, as a share of the past mean."""
    self_imitation: float = 0.0
    """Final weight of the loss that repeats the best recent episodes (SPEAR)."""
    self_imitation_updates: int = 200
    """Updates over which that weight rises, along a cosine."""
    fade_updates: int = 0
    """Updates over which whatever is paid on top of the world's reward fades, along a cosine."""

    @property
    def modulates(self) -> bool:
        """Whether advantages change after they were computed."""
        return bool(self.step_advantage or self.anchor_advantage or self.entropy_modulation)

    @property
    def notes_pay(self) -> bool:
        """Whether the pay of every step must be known in its parts."""
        return bool(self.step_advantage or self.fade_updates)


def extra_settings(given: Mapping[str, Any]) -> ExtraSettings:
    """Check and return the extras of a run.

    Raises:
        UnknownNameError: no such extra; names the closest.
        DenseGymError: a value of the wrong type or sign.
    """
    hints = get_type_hints(ExtraSettings)
    kept: dict[str, Any] = {}
    for key, value in given.items():
        if key not in hints:
            raise unknown("extra", key, [item.name for item in fields(ExtraSettings)])
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise DenseGymError(f"extra.{key} takes a number of at least 0; given {value!r}")
        if hints[key] is int and int(value) != value:
            raise DenseGymError(f"extra.{key} takes a whole number; given {value!r}")
        kept[key] = hints[key](value)
    settings = ExtraSettings(**kept)
    if settings.entropy_low > settings.entropy_high:
        raise DenseGymError(
            "extra.entropy_low is at most extra.entropy_high; given "
            f"{settings.entropy_low} and {settings.entropy_high}"
        )
    return settings


def cosine_rise(update: int, length: int) -> float:
    """Return 0 at update 0, rising along a cosine to 1 at ``length`` and after."""
    share = 1.0 if length <= 0 else min(update / length, 1.0)
    return 0.5 * (1.0 - math.cos(math.pi * share))
