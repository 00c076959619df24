"""What is paid: a sum of terms, each with its own factor, bounds, gate and fallback.

A specification is parsed into ``Term`` rows once; ``Reward`` pays them. It is a reward model
itself, so that a gate or a pipeline may hold a whole sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.batch import all_finite, all_true
from densegym.reward_models.model import (
    CombinedModel,
    LaneValues,
    RewardModel,
    distinct,
    short_name,
)
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Bool, Episode, Float, Mode, Scores, Starts, Steps

Fallback = Literal["zero", "env", "last", "raise"]
FALLBACKS: tuple[Fallback, ...] = ("zero", "env", "last", "raise")


@dataclass(frozen=True, slots=True)
class Term:
    """One summand of a reward. Bounds apply before the factor, and the gate after both.

    Attributes:
        model: what is paid.
        mode: how it meets the world's reward; ``Reward.adds_world`` says what a sum does.
        scale: a factor on its reward, parts and credits.
        clip: bounds on its reward and credits; its parts are shown as they were.
        gate: pays only while this reward is at least ``threshold`` at the same step, or None. A
            gate that abstains stays as it was. Its promises and its wishes about episodes do not
            count, because it is not paid.
        threshold: of the gate; None opens it for every reward above 0.
        latch: once open, the gate stays open until the episode ends.
        fallback: what its share is on rows where the model abstains: nothing, the world's reward,
            the slot's last valid share, or an error.
    """

    model: RewardModel
    mode: Mode = "replace"
    scale: float = 1.0
    clip: tuple[float, float] | None = None
    gate: RewardModel | None = None
    threshold: float | None = None
    latch: bool = False
    fallback: Fallback = "zero"

    def __post_init__(self) -> None:
        if self.fallback not in FALLBACKS:
            raise RewardError(f"fallback is one of {', '.join(FALLBACKS)}; given {self.fallback!r}")
        if self.fallback == "env" and self.mode != "replace":
            raise RewardError(
                f'"{self.model.name}" is paid on top of the world\'s reward, so fallback="env" '
                'would pay the world twice. Use fallback="zero".'
            )
        if self.clip is not None and not self.clip[0] <= self.clip[1]:
            raise RewardError(f"clip takes [low, high] with low <= high; given {list(self.clip)}")
        late = [m for m in (self.model, self.gate) if m is not None and m.traits.when == "episode"]
        if self.gate is not None and late:
            raise RewardError(
                f'a gate acts at step time, but "{late[0].name}" speaks only at the end of an '
                "episode. credit/pipeline gates whole episodes."
            )

    @property
    def plain(self) -> bool:
        """Whether it pays just what its model says."""
        return self == Term(self.model, self.mode)

    def traits(self) -> Traits:
        """Return what the model declares, through factor, bounds and gate."""
        own = self.model.traits
        promises = own.promises if self.clip is None else own.promises.clipped(*self.clip)
        own = own.replace(promises=promises.scaled(self.scale))
        if self.gate is None:
            return own
        gate = self.gate.traits.replace(ends_at_success=None, bootstraps=True)
        return own.joined(gate).replace(terms=own.terms, promises=own.promises.gated())

    def transformed(self, reward: Float) -> Float:
        """Return rewards or credits within their bounds and times the factor."""
        if self.clip is not None:
            reward = np.clip(reward, *self.clip)
        return reward if self.scale == 1.0 else reward * self.scale


class Reward(CombinedModel):
    """A sum of terms; a row is valid only if every term spoke.

    With one term, parts are called as its model calls them; with several ``<term>.<part>``, or
    ``<term>`` where a model names none.

    Args:
        terms: at least one.
        deferred: whether training may ask about whole rollouts at once.
        bootstraps: whether learners may add the value of the last state at a time limit; None
            where all terms' models let them.

    Attributes:
        terms: the summands.
        adds_world: whether the world's own reward is paid as well: not as soon as one term
            replaces it.

    Raises:
        RewardError: terms that disagree on their discount or on their pictures, or of which one is
            paid by whole episodes and another by rollouts.
    """

    traits: Traits

    def __init__(
        self, terms: Sequence[Term], *, deferred: bool = False, bootstraps: bool | None = None
    ) -> None:
        self.terms = tuple(terms)
        self.name = " + ".join(term.model.name for term in self.terms)
        self.children = tuple(
            model for term in self.terms for model in (term.gate, term.model) if model is not None
        )
        self.adds_world = all(term.mode != "replace" for term in self.terms)
        self._labels = distinct([short_name(term.model.name) for term in self.terms])
        self._open = [LaneValues() for _ in self.terms]
        self._last = [LaneValues() for _ in self.terms]
        self.memory = {"open": self._open, "last": self._last}
        first, *others = (term.traits() for term in self.terms)
        traits = first.joined(*others)
        if traits.when == "episode" and (
            deferred or any(term.model.traits.when == "rollout" for term in self.terms)
        ):
            raise RewardError(
                f'"{self.name}" is paid by whole episodes, so its steps cannot be judged by '
                'rollouts as well. Leave out "deferred" and "interpolate".'
            )
        self.traits = traits.replace(
            mode="add" if self.adds_world else "replace",
            when="rollout" if deferred and traits.when == "step" else traits.when,
            bootstraps=traits.bootstraps if bootstraps is None else bootstraps,
            terms=self._term_names(),
        )

    @classmethod
    def of(cls, model: RewardModel, **settings: Any) -> Reward:
        """Return a reward of one term with its model's own mode and scale; settings of ``Term``."""
        if isinstance(model, Reward) and not settings:
            return model
        own = {"mode": model.traits.mode, "scale": model.traits.scale}
        return cls([Term(model, **{**own, **settings})])

    def started(self, starts: Starts) -> None:
        """Close the gates."""
        for values in (*self._open, *self._last):
            values.reset(starts.slot)

    def combine(self, steps: Steps, said: Sequence[Scores]) -> Scores:
        """Return what the terms pay together.

        Raises:
            RewardError: a model returned a wrong shape or a non-finite reward, or abstained under
                ``fallback="raise"``.
        """
        if len(said) == 1:
            return self._share(0, said[0], None, steps)
        answers, rows = iter(said), len(steps.slot)
        total, valid = np.zeros(rows), all_true(rows)
        parts: dict[str, Float] = {}
        for index, (term, label) in enumerate(zip(self.terms, self._labels, strict=True)):
            gate = None if term.gate is None else next(answers)
            share = self._share(index, next(answers), gate, steps)
            if len(self.terms) == 1:
                return share
            total = total + share.reward
            valid = valid if share.valid is valid else valid & share.valid
            parts |= {f"{label}.{name}": part for name, part in share.parts.items()} or {
                label: share.reward
            }
        return Scores(total, valid, parts)

    def _share(self, index: int, said: Scores, gate: Scores | None, steps: Steps) -> Scores:
        """Return what one term pays for what its model and its gate said."""
        term = self.terms[index]
        reward, valid, parts = term.transformed(said.reward), said.valid, said.parts
        if reward.shape != steps.slot.shape or valid.shape != steps.slot.shape:
            _refuse_shape(term.model, said, steps)
        if term.scale != 1.0:
            parts = {name: part * term.scale for name, part in parts.items()}
        if gate is not None:
            is_open = self._opened(index, gate, steps)
            factor = is_open.astype(np.float64)
            parts = {name: part * factor for name, part in parts.items()}
            reward, valid = np.where(is_open, reward, 0.0), valid | ~is_open
        if not all_finite(reward):
            bad = ~np.isfinite(reward) & valid
            if bad.any():
                _refuse_non_finite(term.model, int(np.argmax(bad)), reward, parts, steps)
        silent = valid is not all_true(len(valid)) and not valid.all()
        if silent and not isinstance(term.model, Reward):  # whose terms have fallbacks of their own
            reward = np.where(valid, reward, self._stand_in(index, steps))
        if term.fallback == "last":
            self._last[index].values[steps.slot] = reward
        return Scores(reward, valid, parts)

    def _opened(self, index: int, gate: Scores, steps: Steps) -> Bool:
        term, kept = self.terms[index], self._open[index]
        was_open = kept.values[steps.slot] > 0.0
        least = term.threshold
        opens = gate.reward > 0.0 if least is None else gate.reward >= least
        is_open: Bool = np.where(gate.valid, opens, was_open)
        if term.latch:
            is_open = is_open | was_open
        kept.values[steps.slot] = is_open
        return is_open

    def _stand_in(self, index: int, steps: Steps) -> Float | float:
        term = self.terms[index]
        if term.fallback == "raise":
            raise RewardError(
                f'"{term.model.name}" abstained and fallback="raise" was asked for. '
                "Choose fallback zero, env or last to train on."
            )
        if term.fallback == "env":
            return steps.env_reward
        return self._last[index].values[steps.slot] if term.fallback == "last" else 0.0

    def finish(self, episodes: Sequence[Episode]) -> Sequence[Float | None]:
        """Return the sum of the terms' credits, None where no term has any."""
        every = [
            [None if c is None else term.transformed(c) for c in term.model.finish(episodes)]
            for term in self.terms
        ]
        return [_added(credits) for credits in zip(*every, strict=True)]

    def estimate(self, prefix: Episode) -> Float | None:
        """Return the sum of the estimates, or None unless every late term has one."""
        credits = []
        for term in self._late():
            credit = term.model.estimate(prefix)
            if credit is None:
                return None
            credits.append(term.transformed(credit))
        return _added(credits)

    def predict(self, obs: Any, action: Any, next_obs: Any) -> Float:
        """Return (B,) credits of single transitions, of terms that are paid late."""
        total: Float = np.zeros(len(action))
        for term in self._late():
            total = total + term.transformed(term.model.predict(obs, action, next_obs))
        return total

    def _late(self) -> Iterator[Term]:
        return (term for term in self.terms if term.model.traits.when == "episode")

    def _term_names(self) -> tuple[str, ...]:
        if len(self.terms) == 1:
            return self.terms[0].model.traits.terms
        pairs = zip(self._labels, self.terms, strict=True)
        every = ((label, term.model.traits.terms) for label, term in pairs)
        return tuple(
            name for label, names in every for name in ([f"{label}.{n}" for n in names] or [label])
        )


def worth(model: RewardModel, scores: Scores) -> Float:
    """Return (B,) what scores are worth inside another reward: an abstention counts 0.

    A ``Reward`` has paid the fallbacks of its terms already.
    """
    if isinstance(model, Reward):
        return scores.reward
    spoken: Float = np.where(scores.valid, scores.reward, 0.0)
    return spoken


def _added(credits: Sequence[Float | None]) -> Float | None:
    spoken = [credit for credit in credits if credit is not None]
    return np.sum(spoken, axis=0) if spoken else None


def _refuse_shape(model: RewardModel, scores: Scores, steps: Steps) -> None:
    raise RewardError(
        f'"{model.name}" returned reward of shape {np.shape(scores.reward)} and valid '
        f"of shape {np.shape(scores.valid)} for a batch of {len(steps.slot)} steps; "
        f"expected {steps.slot.shape} for both, one number per row."
    )


def _refuse_non_finite(
    model: RewardModel, row: int, reward: Float, parts: Mapping[str, Float], steps: Steps
) -> None:
    terms = [name for name, part in parts.items() if not np.isfinite(part[row])]
    where = f" (term {', '.join(terms)})" if terms else ""
    raise RewardError(
        f'"{model.name}" returned {reward[row]}{where} in lane {steps.slot[row]} '
        f"at step {steps.t[row]}; rewards must be finite. To abstain on a row, return "
        "valid=False there and choose a fallback: zero, env or last."
    )
