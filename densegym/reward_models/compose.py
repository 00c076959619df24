"""Reward models made of reward models: sums, scales, clips, gates and potential-based shaping."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any, Literal

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.base import BaseRewardModel, LaneValues
from densegym.reward_models.batch import all_true
from densegym.reward_models.types import (
    Bool,
    Episode,
    Float,
    Need,
    Pictures,
    PotentialModel,
    RewardModel,
    Scores,
    Starts,
    Steps,
)

COSTS = ("model_calls", "cost_usd")  # metrics that add up over parts


def short_name(name: str) -> str:
    """Return a name without family and version: ``"authored/reach-v2"`` becomes ``"reach"``."""
    stem = name.rsplit("/", 1)[-1]
    head, _, tail = stem.rpartition("-v")
    return head if head and tail.isdigit() else stem


def metrics_of(model: object) -> dict[str, float]:
    """Return the metrics of a model or potential, if it keeps any."""
    ask: Callable[[], dict[str, float]] | None = getattr(model, "metrics", None)
    return {} if ask is None else ask()


def close_model(model: object) -> None:
    """Close a model or potential, if it can be closed."""
    close: Callable[[], None] | None = getattr(model, "close", None)
    if close is not None:
        close()


def _agreed(values: Sequence[Any], what: str) -> Any:
    stated = {value for value in values if value is not None}
    if len(stated) > 1:
        raise RewardError(f"the parts of one reward disagree on {what}: {sorted(map(str, stated))}")
    return stated.pop() if stated else None


def _pictures(model: Any) -> Pictures | None:
    return getattr(model, "pictures", None)


class Wrapping(BaseRewardModel):
    """Forwards everything but the score to one inner model."""

    def __init__(self, model: RewardModel) -> None:
        self.model = model
        self.name = model.name
        self.needs = model.needs
        self.terms = model.terms
        self.gamma = getattr(model, "gamma", None)
        self.default_mode = getattr(model, "default_mode", "replace")
        self.stops_at_success = getattr(model, "stops_at_success", None)
        self.pictures = _pictures(model)

    def begin(self, starts: Starts) -> None:
        """Begin the inner model."""
        self.model.begin(starts)

    def finish(self, episodes: Sequence[Episode]) -> Sequence[Float | None]:
        """Return the inner model's credits, transformed like its rewards."""
        return [
            None if credit is None else self._transform(credit)
            for credit in self.model.finish(episodes)
        ]

    def estimate(self, prefix: Episode) -> Float | None:
        """Return the inner model's estimate, transformed like its rewards."""
        credit = self.model.estimate(prefix)
        return None if credit is None else self._transform(credit)

    def _transform(self, reward: Float) -> Float:
        return reward

    def metrics(self) -> dict[str, float]:
        """Return the inner model's metrics."""
        return metrics_of(self.model)

    def close(self) -> None:
        """Close the inner model."""
        close_model(self.model)

    def state_dict(self) -> dict[str, Any]:
        """Return the inner model's state."""
        return self.model.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the inner model's state."""
        self.model.load_state_dict(state)


class Scale(Wrapping):
    """Multiplies an inner model's reward, terms and credits by a constant."""

    def __init__(self, model: RewardModel, scale: float) -> None:
        super().__init__(model)
        self.scale = float(scale)

    def _transform(self, reward: Float) -> Float:
        return reward * self.scale

    def score(self, steps: Steps) -> Scores:
        """Return the scaled score."""
        scores = self.model.score(steps)
        parts = {term: part * self.scale for term, part in scores.parts.items()}
        return Scores(reward=self._transform(scores.reward), valid=scores.valid, parts=parts)


class Clip(Wrapping):
    """Bounds an inner model's reward and credits; its terms are shown as they were."""

    def __init__(self, model: RewardModel, low: float, high: float) -> None:
        if not low <= high:
            raise RewardError(f"clip takes [low, high] with low <= high; given [{low}, {high}]")
        super().__init__(model)
        self.low, self.high = float(low), float(high)

    def _transform(self, reward: Float) -> Float:
        return np.clip(reward, self.low, self.high)

    def score(self, steps: Steps) -> Scores:
        """Return the clipped score."""
        scores = self.model.score(steps)
        return Scores(reward=self._transform(scores.reward), valid=scores.valid, parts=scores.parts)


class Sum(BaseRewardModel):
    """Adds reward models; a row is valid only if every part spoke.

    Terms are called ``<part>.<term>``, or ``<part>`` where a part names none.
    """

    def __init__(self, models: Sequence[RewardModel]) -> None:
        self.models = tuple(models)
        self.name = " + ".join(model.name for model in self.models)
        self.needs = reduce(or_, (model.needs for model in self.models), Need.NOTHING)
        self._labels = _distinct([short_name(model.name) for model in self.models])
        self.terms = tuple(
            name
            for label, model in zip(self._labels, self.models, strict=True)
            for name in ([f"{label}.{term}" for term in model.terms] or [label])
        )
        self.gamma = _agreed([getattr(model, "gamma", None) for model in self.models], "gamma")
        self.pictures = _agreed([_pictures(model) for model in self.models], "pictures")
        wishes = [getattr(model, "stops_at_success", None) for model in self.models]
        self.stops_at_success = False if False in wishes else (True if True in wishes else None)

    def begin(self, starts: Starts) -> None:
        """Begin every part."""
        for model in self.models:
            model.begin(starts)

    def score(self, steps: Steps) -> Scores:
        """Return the sum; an abstaining part counts zero and makes its row invalid."""
        total, valid = np.zeros(len(steps.slot)), all_true(len(steps.slot))
        parts: dict[str, Float] = {}
        for label, model in zip(self._labels, self.models, strict=True):
            scores = model.score(steps)
            if scores.valid is not valid:
                total = total + np.where(scores.valid, scores.reward, 0.0)
                valid = valid & scores.valid
            else:
                total = total + scores.reward
            named = {f"{label}.{term}": part for term, part in scores.parts.items()}
            parts |= named or {label: scores.reward}
        return Scores(reward=total, valid=valid, parts=parts)

    def finish(self, episodes: Sequence[Episode]) -> Sequence[Float | None]:
        """Return the sum of the parts' credits where any part redistributes."""
        every = [model.finish(episodes) for model in self.models]
        return [_sum_credits(credits) for credits in zip(*every, strict=True)]

    def metrics(self) -> dict[str, float]:
        """Return every part's metrics: calls and cost added up, others under the part's name."""
        merged: dict[str, float] = {}
        for label, model in zip(self._labels, self.models, strict=True):
            for name, value in metrics_of(model).items():
                key = name if name in COSTS else f"{label}.{name}"
                merged[key] = merged.get(key, 0.0) + value
        return merged

    def close(self) -> None:
        """Close every part."""
        for model in self.models:
            close_model(model)

    def estimate(self, prefix: Episode) -> Float | None:
        """Return the sum of the estimates, or None unless every redistributing part has one."""
        parts = [model for model in self.models if Need.EPISODE in model.needs]
        credits = [model.estimate(prefix) for model in parts]
        return None if any(credit is None for credit in credits) else _sum_credits(credits)

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all parts, in order."""
        return {"parts": [model.state_dict() for model in self.models]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the states of all parts."""
        for model, part in zip(self.models, state["parts"], strict=True):
            model.load_state_dict(part)


def _distinct(labels: Sequence[str]) -> list[str]:
    seen: dict[str, int] = {}
    distinct = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        distinct.append(label if seen[label] == 1 else f"{label}-{seen[label]}")
    return distinct


def _sum_credits(credits: Sequence[Float | None]) -> Float | None:
    spoken = [credit for credit in credits if credit is not None]
    return np.sum(spoken, axis=0) if spoken else None


class Gate(Wrapping):
    """Pays ``model`` only while ``gate`` scores above a threshold, judged at the same step.

    Args:
        model: what is paid when the gate is open.
        gate: the reward model whose score opens the gate; an abstention leaves it as it was.
        threshold: the gate is open where its score exceeds this.
        latch: once open, stay open until the episode ends.
    """

    def __init__(
        self,
        model: RewardModel,
        gate: RewardModel,
        *,
        threshold: float = 0.0,
        latch: bool = False,
    ) -> None:
        if (Need.EPISODE in model.needs) or (Need.EPISODE in gate.needs):
            raise RewardError(
                f'Gate acts at step time, but "{model.name}" or "{gate.name}" speaks only at the '
                "end of an episode."
            )
        super().__init__(model)
        self.gate = gate
        self.needs = model.needs | gate.needs
        self.pictures = _agreed([_pictures(model), _pictures(gate)], "pictures")
        self.threshold, self.latch = float(threshold), latch
        self._open = LaneValues()

    def begin(self, starts: Starts) -> None:
        """Close the gate and begin both models."""
        self._open.reset(starts.slot)
        self.model.begin(starts)
        self.gate.begin(starts)

    def score(self, steps: Steps) -> Scores:
        """Return the inner score where the gate is open, else zero."""
        verdict, scores = self.gate.score(steps), self.model.score(steps)
        was_open = self._open.values[steps.slot] > 0.0
        is_open: Bool = np.where(verdict.valid, verdict.reward > self.threshold, was_open)
        if self.latch:
            is_open = is_open | was_open
        self._open.values[steps.slot] = is_open
        factor = is_open.astype(np.float64)
        parts = {term: part * factor for term, part in scores.parts.items()}
        valid = scores.valid | ~is_open
        return Scores(reward=np.where(is_open, scores.reward, 0.0), valid=valid, parts=parts)

    def close(self) -> None:
        """Close both models."""
        super().close()
        close_model(self.gate)

    def state_dict(self) -> dict[str, Any]:
        """Return which gates are open, and both models' states."""
        return {
            "open": self._open.values.copy(),
            "model": self.model.state_dict(),
            "gate": self.gate.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore which gates are open, and both models' states."""
        self._open.values = np.asarray(state["open"], dtype=np.float64).copy()
        self.model.load_state_dict(state["model"])
        self.gate.load_state_dict(state["gate"])


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
    """

    default_mode = "shape"

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
        self.pictures = _pictures(potential)
        self.terms = ("shaping", *getattr(potential, "terms", ()))
        self.gamma = float(gamma)
        self.stops_at_success = getattr(potential, "stops_at_success", None)
        self._terminal_truncation = truncation == "terminal"
        self._phi = LaneValues()

    def begin(self, starts: Starts) -> None:
        """Keep Φ(s₀); an abstention counts zero."""
        phi, valid = self.potential.initial(starts)
        self._phi.reset(starts.slot, np.where(valid, phi, 0.0))

    def score(self, steps: Steps) -> Scores:
        """Return F for every row."""
        assert self.gamma is not None
        phi, valid = self.potential.after(steps)
        ended = steps.terminated
        if self._terminal_truncation:
            ended = ended | steps.truncated
        before = self._phi.values[steps.slot]
        after = np.where(valid, phi, before / self.gamma)
        after = np.where(ended, 0.0, after)
        shaping = self.gamma * after - before
        self._phi.values[steps.slot] = after
        spoke = valid | ended
        parts = {"shaping": shaping, **getattr(self.potential, "told", {})}
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

    def __init__(self, potential: PotentialModel) -> None:
        self.potential = potential
        self.name = potential.name
        self.needs = potential.needs
        self.pictures = _pictures(potential)
        self.terms = ("potential", *getattr(potential, "terms", ()))

    def begin(self, starts: Starts) -> None:
        """Let the potential see the first states."""
        self.potential.initial(starts)

    def score(self, steps: Steps) -> Scores:
        """Return Φ of the successor."""
        phi, valid = self.potential.after(steps)
        parts = {"potential": phi, **getattr(self.potential, "told", {})}
        return Scores(reward=np.where(valid, phi, 0.0), valid=valid, parts=parts)

    def state_dict(self) -> dict[str, Any]:
        """Return the potential's own state."""
        return self.potential.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the potential's own state."""
        self.potential.load_state_dict(state)
