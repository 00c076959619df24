"""Redistribute, refine, gate: a reward of whole episodes made of stages that say what they keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.base import BaseRewardModel
from densegym.reward_models.batch import all_true
from densegym.reward_models.credit.pipelines.gates import Gate
from densegym.reward_models.credit.pipelines.gates import parse as parse_gate
from densegym.reward_models.credit.pipelines.refine import Refinement, ensemble
from densegym.reward_models.credit.pipelines.refine import parse as parse_refinements
from densegym.reward_models.credit.properties import UNBOUNDED, Properties, properties_of
from densegym.reward_models.types import (
    Episode,
    Float,
    Need,
    RewardModel,
    Scores,
    Starts,
    Steps,
    TaskCard,
)


class Hindsight:
    """A reward model's pay for whole episodes, whether it speaks at every step or at the end.

    Args:
        model: the reward model.
    """

    def __init__(self, model: RewardModel) -> None:
        self.model = model
        self._late = Need.EPISODE in model.needs
        self._paid: dict[int, list[float]] = {}

    def begin(self, starts: Starts) -> None:
        """Begin the model and forget what was not finished in these lanes."""
        self.model.begin(starts)
        for slot in starts.slot.tolist():
            self._paid[slot] = []

    def score(self, steps: Steps) -> None:
        """Keep what the model says of each step; an abstention counts 0."""
        scores = self.model.score(steps)
        if not self._late:
            worth = np.where(scores.valid, scores.reward, 0.0).tolist()
            for slot, reward in zip(steps.slot.tolist(), worth, strict=True):
                self._paid[slot].append(reward)

    def finish(self, episodes: Sequence[Episode]) -> list[Float]:
        """Return (T,) float64 of each finished episode; silence counts 0."""
        if self._late:
            credits = self.model.finish(episodes)
            pairs = zip(credits, episodes, strict=True)
            return [np.zeros(len(e.env_reward)) if c is None else c for c, e in pairs]
        return [np.array(self._paid.pop(one.slot)) for one in episodes]


class CreditPipeline(BaseRewardModel):
    """Pays a reward model in hindsight, refined and gated by the outcome: ``credit/pipeline``.

    The gate comes last, so that a closed one pays nothing, whatever the refinements make of 0. To
    refine what a gate lets through, take a gated pipeline for the base of another.

    Args:
        bases: the models to spread or to gate; more than one are an ensemble.
        gate: on whole episodes, or None.
        refine: refinements in the order they apply, by name.
        how: how several models are joined, see ``refine.ensemble``.
        spread: of a cautious ensemble.
    """

    name = "credit/pipeline"

    def __init__(
        self,
        bases: Sequence[RewardModel],
        *,
        gate: Gate | None = None,
        refine: Sequence[tuple[str, Refinement]] = (),
        how: str = "mean",
        spread: float = 1.0,
    ) -> None:
        if not bases:
            raise RewardError('credit/pipeline needs a "base" reward, e.g. "credit/spa"')
        self._bases = [Hindsight(model) for model in bases]
        self._gate, self._refine, self._how, self._spread = gate, tuple(refine), how, spread
        self.needs = Need.EPISODE
        for model in bases:
            self.needs |= model.needs
        stages = [*(name for name, _ in refine), *(["gate"] if gate else [])]
        self.name = "+".join([model.name for model in bases]) + "".join(f" > {s}" for s in stages)
        self.properties = _promise([properties_of(model) for model in bases], stages)

    def begin(self, starts: Starts) -> None:
        """Begin every base."""
        for base in self._bases:
            base.begin(starts)

    def score(self, steps: Steps) -> Scores:
        """Let the bases see the steps; nothing is paid until the episode has ended."""
        for base in self._bases:
            base.score(steps)
        return Scores(np.zeros(len(steps.slot)), all_true(len(steps.slot)))

    def finish(self, episodes: Sequence[Episode]) -> Sequence[Float]:
        """Return redistributed, refined and gated credits."""
        every = [base.finish(episodes) for base in self._bases]
        by_episode = zip(*every, strict=True)
        return [self._staged(said, one) for said, one in zip(by_episode, episodes, strict=True)]

    def _staged(self, credits: Sequence[Float], episode: Episode) -> Float:
        joined = credits[0]
        if len(credits) > 1:
            joined = ensemble(np.stack(credits), self._how, spread=self._spread)
        for _, stage in self._refine:
            joined = stage(joined, float(episode.env_reward.sum()))
        return joined if self._gate is None else self._gate(joined, episode)

    def state_dict(self) -> dict[str, Any]:
        """Return the bases' states, in order."""
        return {"bases": [base.model.state_dict() for base in self._bases]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the bases' states."""
        for base, kept in zip(self._bases, state["bases"], strict=True):
            base.model.load_state_dict(kept)

    def metrics(self) -> dict[str, float]:
        """Return what the bases tell."""
        told: dict[str, float] = {}
        for base in self._bases:
            told |= getattr(base.model, "metrics", dict)()
        return told

    def close(self) -> None:
        """Close the bases."""
        for base in self._bases:
            getattr(base.model, "close", lambda: None)()


_BOUNDS = {"clip": (-np.inf, 0.0), "par": (0.0, 1.0)}


def _promise(bases: Sequence[Properties], stages: Sequence[str]) -> Properties:
    """Return what is kept after all stages: the last one that decides decides."""
    *refined, last = stages or ["nothing"]
    conserves = bases[0].conserves if len(bases) == 1 and not stages else "none"
    bounds = bases[0].bounds if len(bases) == 1 and not stages else UNBOUNDED
    if last == "renorm":
        conserves = "return"
    if last == "gate":
        low, high = _promise(bases, refined).bounds
        bounds = (min(low, 0.0), max(high, 0.0))
    bounds = _BOUNDS.get(last, bounds)
    return Properties("episode", causal=False, conserves=conserves, bounds=bounds)


def build_pipeline(
    *,
    task: TaskCard,
    seed: int = 0,
    base: Any = "credit/uniform",
    hindsight_gate: Any = None,
    refine: Sequence[Any] = (),
    ensemble: str = "mean",
    spread: float = 1.0,
) -> CreditPipeline:
    """Build ``{"model": "credit/pipeline", "base": ..., "refine": [...], "hindsight_gate": ...}``.

    Args:
        task: the task's card.
        seed: of the bases.
        base: a reward specification; a list of several is an ensemble, not a sum.
        hindsight_gate: a threshold on the world's return, or a mapping of ``gates.Gate``; it acts
            last.
        refine: names of refinements in the order they apply, or mappings of a name to its options.
        ensemble: ``"mean"``, ``"median"``, ``"min"`` or ``"cautious"``.
        spread: standard deviations taken off by ``"cautious"``.

    Raises:
        RewardError: a stage that cannot be read; says what to write.
    """
    from densegym.reward_models.spec import build_reward

    specs = base if isinstance(base, list | tuple) else [base]
    models = [build_reward(spec, task=task, seed=seed + k) for k, spec in enumerate(specs)]
    return CreditPipeline(
        models,
        gate=None if hindsight_gate is None else parse_gate(hindsight_gate),
        refine=parse_refinements(refine),
        how=ensemble,
        spread=spread,
    )
