"""Rewards made of potentials: shaping, and the unsafe sum that shows why shaping is needed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.model import Event, LaneValues, Potential, RewardModel, Truncation
from densegym.reward_models.traits import Promises, Traits
from densegym.reward_models.types import Scores, Starts, Steps, Values


class Paying(RewardModel):
    """What pays a potential; subclasses define ``_pay``.

    Args:
        potential: values states.

    Attributes:
        latest: Φ (B,) of the states entered last, as the potential said it, for displays.
    """

    traits: Traits
    latest: Values

    def __init__(self, potential: Potential) -> None:
        self.potential = potential
        self.children = (potential,)
        self.name = potential.name

    def begin(self, starts: Starts) -> None:
        """Let the potential see the first states."""
        self._begin(starts, self.potential.value(starts))

    def score(self, steps: Steps) -> Scores:
        """Return what the successors' Φ is worth."""
        return self._pay(steps, self.potential.value(steps))

    def score_many(self, events: Sequence[Event]) -> list[Scores]:
        """Return it for a whole rollout, the potential asked once."""
        scores = []
        for event, values in zip(events, self.potential.values(events), strict=True):
            if isinstance(event, Starts):
                self._begin(event, values)
            else:
                scores.append(self._pay(event, values))
        return scores

    def _begin(self, starts: Starts, values: Values) -> None:
        self.latest = values

    @abstractmethod
    def _pay(self, steps: Steps, values: Values) -> Scores:
        """Return what Φ of the successors is worth, and keep it as ``latest``."""


class Shaped(Paying):
    """Potential-based shaping F = γΦ(s') − Φ(s), which leaves the optimal policies as they were.

    Φ is evaluated when a state is entered and that number is subtracted later, so a potential
    that learns stays exact (Devlin & Kudenko 2012). Φ is 0 at true termination (Grzes 2017) and
    kept at truncation, because learners bootstrap there. On an abstention F is 0: the kept
    potential becomes Φ/γ, so the discounted sum still telescopes.

    Args:
        potential: values states.
        gamma: the learner's discount; training refuses another.
        truncation: ``"bootstrap"`` keeps Φ(s_T) at a time limit, ``"terminal"`` sets it to 0 and
            keeps learners from adding the value of the last state, so that the limit is an end;
            None is the potential's own.
    """

    def __init__(
        self,
        potential: Potential,
        *,
        gamma: float = 0.99,
        truncation: Truncation | None = None,
    ) -> None:
        truncation = truncation or potential.truncation
        if not 0.0 < gamma <= 1.0:
            raise RewardError(f"gamma is in (0, 1]; given {gamma}")
        if truncation not in ("bootstrap", "terminal"):
            raise RewardError(f'truncation is "bootstrap" or "terminal"; given {truncation!r}')
        super().__init__(potential)
        self.gamma = float(gamma)
        self.traits = potential.traits.replace(
            mode="shape",
            gamma=self.gamma,
            bootstraps=potential.traits.bootstraps and truncation == "bootstrap",
            terms=("shaping", *potential.traits.terms),
            promises=Promises(conserves="potential"),
        )
        self._terminal_truncation = truncation == "terminal"
        self._phi = LaneValues()
        self.memory = {"phi": self._phi}

    def _begin(self, starts: Starts, values: Values) -> None:
        """Keep Φ(s₀); an abstention counts zero."""
        self.latest = values
        self._phi.reset(starts.slot, np.where(values.valid, values.phi, 0.0))

    def _pay(self, steps: Steps, values: Values) -> Scores:
        """Return F for every row."""
        self.latest = values
        ended = steps.terminated
        if self._terminal_truncation:
            ended = ended | steps.truncated
        before = self._phi.values[steps.slot]
        after = np.where(values.valid, values.phi, before / self.gamma)
        after = np.where(ended, 0.0, after)
        shaping = self.gamma * after - before
        self._phi.values[steps.slot] = after
        spoke = values.valid | ended
        parts = {"shaping": shaping, **values.terms}
        return Scores(reward=np.where(spoke, shaping, 0.0), valid=spoke, parts=parts)


class AdditiveUnsafe(Paying):
    """Pays Φ(s') itself at every step, which an agent can exploit by standing still on a height.

    Exists only as the column that shows what that does; use ``Shaped``.
    """

    def __init__(self, potential: Potential) -> None:
        super().__init__(potential)
        self.traits = potential.traits.replace(
            mode="additive_unsafe", terms=("potential", *potential.traits.terms)
        )

    def _pay(self, steps: Steps, values: Values) -> Scores:
        """Return Φ of the successors."""
        self.latest = values
        phi, valid, terms = values
        return Scores(np.where(valid, phi, 0.0), valid, {"potential": phi, **terms})
