"""Reward models made of reward models: sums, scales, clips and gates; shaping lives next door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.base import (
    BaseRewardModel,
    LaneValues,
    close_model,
    metrics_of,
    pictures_of,
)
from densegym.reward_models.batch import all_true
from densegym.reward_models.deferral import one_by_one, replay
from densegym.reward_models.shaping import AdditiveUnsafe as AdditiveUnsafe
from densegym.reward_models.shaping import Shaped as Shaped
from densegym.reward_models.types import (
    Bool,
    Episode,
    Float,
    Need,
    RewardModel,
    Scores,
    Starts,
    Steps,
)

Paying = Shaped | AdditiveUnsafe
"""What pays a potential."""
COSTS = ("model_calls", "cost_usd")  # metrics that add up over parts


def potentials_in(model: RewardModel) -> list[Paying]:
    """Return the parts of a reward that pay potentials, outermost first."""
    if isinstance(model, Paying):
        return [model]
    if isinstance(model, Sum):
        inside: Sequence[RewardModel] = model.models
    else:
        inside = [
            part for name in ("model", "gate") if (part := getattr(model, name, None)) is not None
        ]
    return [found for part in inside for found in potentials_in(part)]


def short_name(name: str) -> str:
    """Return a name without family and version: ``"authored/reach-v2"`` becomes ``"reach"``."""
    stem = name.rsplit("/", 1)[-1]
    head, _, tail = stem.rpartition("-v")
    return head if head and tail.isdigit() else stem


def _agreed(values: Sequence[Any], what: str) -> Any:
    stated = {value for value in values if value is not None}
    if len(stated) > 1:
        raise RewardError(f"the parts of one reward disagree on {what}: {sorted(map(str, stated))}")
    return stated.pop() if stated else None


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
        self.bootstraps = getattr(model, "bootstraps", True)
        self.deferred = getattr(model, "deferred", False)
        self.pictures = pictures_of(model)

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

    def score(self, steps: Steps) -> Scores:
        """Return the inner score, transformed."""
        return self._transform_scores(self.model.score(steps))

    def replay(self, events: Sequence[Starts | Steps]) -> list[Scores]:
        """Return the inner scores of what was kept back, transformed."""
        return [self._transform_scores(scores) for scores in replay(self.model, events)]

    def _transform_scores(self, scores: Scores) -> Scores:
        return scores._replace(reward=self._transform(scores.reward))

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

    def _transform_scores(self, scores: Scores) -> Scores:
        parts = {term: part * self.scale for term, part in scores.parts.items()}
        return Scores(self._transform(scores.reward), scores.valid, parts)


class Clip(Wrapping):
    """Bounds an inner model's reward and credits; its terms are shown as they were."""

    def __init__(self, model: RewardModel, low: float, high: float) -> None:
        if not low <= high:
            raise RewardError(f"clip takes [low, high] with low <= high; given [{low}, {high}]")
        super().__init__(model)
        self.low, self.high = float(low), float(high)

    def _transform(self, reward: Float) -> Float:
        return np.clip(reward, self.low, self.high)


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
        self.pictures = _agreed([pictures_of(model) for model in self.models], "pictures")
        wishes = [getattr(model, "stops_at_success", None) for model in self.models]
        self.stops_at_success = False if False in wishes else (True if True in wishes else None)

    def begin(self, starts: Starts) -> None:
        """Begin every part."""
        for model in self.models:
            model.begin(starts)

    def score(self, steps: Steps) -> Scores:
        """Return the sum; an abstaining part counts zero and makes its row invalid."""
        return self._add([model.score(steps) for model in self.models])

    def replay(self, events: Sequence[Starts | Steps]) -> list[Scores]:
        """Return the sums for what was kept back."""
        every = [replay(model, events) for model in self.models]
        return [self._add(scores) for scores in zip(*every, strict=True)]

    def _add(self, every: Sequence[Scores]) -> Scores:
        rows = len(every[0].reward)
        total, valid = np.zeros(rows), all_true(rows)
        parts: dict[str, Float] = {}
        for label, scores in zip(self._labels, every, strict=True):
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
        self.pictures = _agreed([pictures_of(model), pictures_of(gate)], "pictures")
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

    def replay(self, events: Sequence[Starts | Steps]) -> list[Scores]:
        """Judge what was kept back one by one, because the gate's state decides each."""
        return one_by_one(self, events)

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
