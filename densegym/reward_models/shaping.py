"""Rewards made of potentials: shaping, and the unsafe sum that shows why shaping is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.base import (
    BaseRewardModel,
    LaneValues,
    close_model,
    metrics_of,
    pictures_of,
)
from densegym.reward_models.deferral import one_by_one
from densegym.reward_models.types import Bool, Float, PotentialModel, Scores, Starts, Steps


class Shaped(BaseRewardModel):
    """Potential-based shaping F = γΦ(s') − Φ(s), which leaves the optimal policies as they were.

    Φ is evaluated when a state is entered and that number is subtracted later, so a potential
    that learns stays exact (Devlin & Kudenko 2012). Φ is 0 at true termination (Grzes 2017) and
    kept at truncation, because learners bootstrap there. On an abstention F is 0: the kept
    potential becomes Φ/γ, so the discounted sum still telescopes.

    Args:
        potential: values states.
        gamma: the learner's discount; training refuses another.
        truncation: ``"bootstrap"`` keeps Φ(s_T) at a time limit, ``"terminal"`` sets it to 0 for
            learners that treat the limit as an end.

    Attributes:
        seen: Φ (B,) of the states entered last, as the potential told it, and its validity (B,).
    """

    default_mode = "shape"
    seen: tuple[Float, Bool]

    def __init__(
        self,
        potential: PotentialModel,
        *,
        gamma: float = 0.99,
        truncation: Literal["bootstrap", "terminal"] = "bootstrap",
    ) -> None:
        if not 0.0 < gamma <= 1.0:
            raise RewardError(f"gamma is in (0, 1]; given {gamma}")
        if truncation not in ("bootstrap", "terminal"):
            raise RewardError(f'truncation is "bootstrap" or "terminal"; given {truncation!r}')
        self.potential = potential
        self.name = potential.name
        self.needs = potential.needs
        self.pictures = pictures_of(potential)
        self.terms = ("shaping", *getattr(potential, "terms", ()))
        self.gamma = float(gamma)
        self.stops_at_success = getattr(potential, "stops_at_success", None)
        self._terminal_truncation = truncation == "terminal"
        self._phi = LaneValues()

    def begin(self, starts: Starts) -> None:
        """Keep Φ(s₀); an abstention counts zero."""
        self.seen = phi, valid = self.potential.initial(starts)
        self._phi.reset(starts.slot, np.where(valid, phi, 0.0))

    def score(self, steps: Steps) -> Scores:
        """Return F for every row."""
        self.seen = phi, valid = self.potential.after(steps)
        return self._shape(steps, phi, valid, getattr(self.potential, "told", {}))

    def replay(self, events: Sequence[Starts | Steps]) -> list[Scores]:
        """Return F for what was kept back, asking the potential once if it can answer at once.

        Such a potential defines ``replay(events)``, which returns (Φ, valid) per event and leaves
        what it tells of every ``Steps`` in ``told_many``.
        """
        if not hasattr(self.potential, "replay"):
            return one_by_one(self, events)
        values = self.potential.replay(events)
        told = iter(getattr(self.potential, "told_many", [{}] * len(events)))
        scores: list[Scores] = []
        for event, (phi, valid) in zip(events, values, strict=True):
            if isinstance(event, Starts):
                self._phi.reset(event.slot, np.where(valid, phi, 0.0))
            else:
                scores.append(self._shape(event, phi, valid, next(told)))
        return scores

    def _shape(self, steps: Steps, phi: Float, valid: Bool, told: Mapping[str, Float]) -> Scores:
        assert self.gamma is not None
        ended = steps.terminated
        if self._terminal_truncation:
            ended = ended | steps.truncated
        before = self._phi.values[steps.slot]
        after = np.where(valid, phi, before / self.gamma)
        after = np.where(ended, 0.0, after)
        shaping = self.gamma * after - before
        self._phi.values[steps.slot] = after
        spoke = valid | ended
        parts = {"shaping": shaping, **told}
        return Scores(reward=np.where(spoke, shaping, 0.0), valid=spoke, parts=parts)

    def metrics(self) -> dict[str, float]:
        """Return the potential's metrics."""
        return metrics_of(self.potential)

    def close(self) -> None:
        """Close the potential."""
        close_model(self.potential)

    def state_dict(self) -> dict[str, Any]:
        """Return the kept potentials and the potential's own state."""
        return {"phi": self._phi.values.copy(), "potential": self.potential.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the kept potentials and the potential's own state."""
        self._phi.values = np.asarray(state["phi"], dtype=np.float64).copy()
        self.potential.load_state_dict(state["potential"])


class AdditiveUnsafe(BaseRewardModel):
    """Pays Φ(s') itself at every step, which an agent can farm by standing still on a height.

    Exists only as the column that shows what farming does; use ``Shaped``.
    """

    default_mode = "additive_unsafe"
    seen: tuple[Float, Bool]

    def __init__(self, potential: PotentialModel) -> None:
        self.potential = potential
        self.name = potential.name
        self.needs = potential.needs
        self.pictures = pictures_of(potential)
        self.terms = ("potential", *getattr(potential, "terms", ()))

    def begin(self, starts: Starts) -> None:
        """Let the potential see the first states."""
        self.seen = self.potential.initial(starts)

    def score(self, steps: Steps) -> Scores:
        """Return Φ of the successor."""
        self.seen = phi, valid = self.potential.after(steps)
        parts = {"potential": phi, **getattr(self.potential, "told", {})}
        return Scores(reward=np.where(valid, phi, 0.0), valid=valid, parts=parts)

    def metrics(self) -> dict[str, float]:
        """Return the potential's metrics."""
        return metrics_of(self.potential)

    def state_dict(self) -> dict[str, Any]:
        """Return the potential's own state."""
        return self.potential.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the potential's own state."""
        self.potential.load_state_dict(state)
