"""What a model declares about itself: the one place that engines, learners and hosts read.

A combination declares what its parts agree on (``Traits.joined``), so nothing that a part needs or
promises is lost on the way to whoever pays. Field by field, of parts that are added up:

======================  =========================================================================
``needs``               the union
``when``                the latest: whole episodes after rollouts after steps
``mode``, ``scale``     the combination's own; those of parts are spent where parts are paid
``gamma``, ``pictures`` what all that name one agree on, else an error
``ends_at_success``     False where one part says so, else True where one does
``bootstraps``          only if all do
``markov``              only if everything that is paid at the end of an episode is
``terms``               named by the combination
``promises``            ``Promises.joined``
======================  =========================================================================
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from densegym.errors import RewardError
from densegym.reward_models.types import Mode, Need, Pictures

When: TypeAlias = Literal["step", "rollout", "episode"]
Level: TypeAlias = Literal["step", "episode"]
Conserves: TypeAlias = Literal["return", "potential", "none"]
Bounds: TypeAlias = tuple[float, float]
UNBOUNDED: Bounds = (-math.inf, math.inf)
_LATEST: tuple[When, ...] = ("step", "rollout", "episode")


@dataclass(frozen=True, slots=True)
class Promises:
    """A promise about the pay c of an episode of T steps.

    A term that uses what happened after step t cannot be paid at step t; a learner's returns
    change unless a term conserves them; sums that are bounded cannot be exploited without end.

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

    def joined(self, *others: Promises) -> Promises:
        """Return what the sum of several promises: bounds add up, and nothing is conserved."""
        if not others:
            return self
        every = (self, *others)
        return Promises(
            level="episode" if any(one.level == "episode" for one in every) else "step",
            causal=all(one.causal for one in every),
            bounds=(sum(one.bounds[0] for one in every), sum(one.bounds[1] for one in every)),
        )

    def scaled(self, scale: float) -> Promises:
        """Return what ``scale`` times it promises: a difference of values stays one."""
        if scale == 1.0:
            return self
        ends = sorted(0.0 if scale == 0.0 else scale * bound for bound in self.bounds)
        kept: Conserves = "potential" if self.conserves == "potential" else "none"
        return dataclasses.replace(self, conserves=kept, bounds=(ends[0], ends[1]))

    def clipped(self, low: float, high: float) -> Promises:
        """Return what it promises once it is held to [low, high]."""
        bounds = tuple(min(max(bound, low), high) for bound in self.bounds)
        return dataclasses.replace(self, conserves="none", bounds=(bounds[0], bounds[1]))

    def gated(self) -> Promises:
        """Return what it promises where a gate lets nothing through at some steps."""
        low, high = self.bounds
        return dataclasses.replace(self, conserves="none", bounds=(min(low, 0.0), max(high, 0.0)))


@dataclass(frozen=True, slots=True)
class Traits:
    """What a reward model or a potential declares.

    Attributes:
        needs: what the engine must collect.
        when: when its pay is known: at the ``"step"``, once a ``"rollout"`` has been played, or
            when the ``"episode"`` has ended (``finish``).
        mode: how it meets the world's reward unless the specification says so.
        scale: the factor it is paid with unless the specification says so.
        gamma: the discount it assumes, or None; training refuses a learner with another.
        pictures: which pictures it looks at, or None; belongs to ``Need.FRAME``.
        ends_at_success: True or False where training episodes should end, or not end, at the
            first success; None where that does not matter.
        bootstraps: whether learners may add the value of the last state at a time limit.
        markov: whether its credit of a step depends on the transition alone, so that ``predict``
            can be asked about any row of a replay buffer.
        terms: names of ``Scores.parts``, as far as they are known before the first step.
        promises: what it keeps, whatever it pays.
    """

    needs: Need = Need.OBS
    when: When = "step"
    mode: Mode = "replace"
    scale: float = 1.0
    gamma: float | None = None
    pictures: Pictures | None = None
    ends_at_success: bool | None = None
    bootstraps: bool = True
    markov: bool = False
    terms: tuple[str, ...] = ()
    promises: Promises = Promises()

    def replace(self, **changes: Any) -> Traits:
        """Return a copy with other values."""
        return dataclasses.replace(self, **changes)

    def joined(self, *others: Traits) -> Traits:
        """Return what a sum of parts declares; see the table of this module.

        Raises:
            RewardError: parts that disagree on their discount or on their pictures.
        """
        every = (self, *others)
        wishes = [one.ends_at_success for one in every]
        late = [one for one in every if one.when == "episode"]
        return Traits(
            needs=_union([one.needs for one in every]),
            when=max((one.when for one in every), key=_LATEST.index),
            gamma=_agreed([one.gamma for one in every], "gamma"),
            pictures=_agreed([one.pictures for one in every], "pictures"),
            ends_at_success=False if False in wishes else (True if True in wishes else None),
            bootstraps=all(one.bootstraps for one in every),
            markov=bool(late) and all(one.markov for one in late),
            promises=self.promises.joined(*(one.promises for one in others)),
        )


def _union(needs: Sequence[Need]) -> Need:
    union = Need.NOTHING
    for one in needs:
        union |= one
    return union


def _agreed(values: Sequence[Any], what: str) -> Any:
    stated = {value for value in values if value is not None}
    if len(stated) > 1:
        raise RewardError(f"the parts of one reward disagree on {what}: {sorted(map(str, stated))}")
    return stated.pop() if stated else None
