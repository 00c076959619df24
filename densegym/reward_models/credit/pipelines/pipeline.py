"""Redistribute, refine, gate: a reward of whole episodes made of stages that say what they keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.credit.pipelines.gates import HindsightGate
from densegym.reward_models.credit.pipelines.gates import parse as parse_gate
from densegym.reward_models.credit.pipelines.joined import JoinedCredit
from densegym.reward_models.credit.pipelines.refine import Refinement, ensemble
from densegym.reward_models.credit.pipelines.refine import parse as parse_refinements
from densegym.reward_models.model import RewardModel
from densegym.reward_models.traits import UNBOUNDED, Promises
from densegym.reward_models.types import Episode, Float, TaskCard


class CreditPipeline(JoinedCredit):
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

    def __init__(
        self,
        bases: Sequence[RewardModel],
        *,
        gate: HindsightGate | None = None,
        refine: Sequence[tuple[str, Refinement]] = (),
        how: str = "mean",
        spread: float = 1.0,
    ) -> None:
        if not bases:
            raise RewardError('credit/pipeline needs a "base" reward, e.g. "credit/spa"')
        self._gate, self._refine, self._how, self._spread = gate, tuple(refine), how, spread
        stages = [*(name for name, _ in refine), *(["gate"] if gate else [])]
        name = "+".join([model.name for model in bases]) + "".join(f" > {s}" for s in stages)
        super().__init__(bases, name, _promise([model.traits.promises for model in bases], stages))

    def join(self, credits: Sequence[Float], episode: Episode) -> Float:
        """Return redistributed, refined and gated credits."""
        joined = credits[0]
        if len(credits) > 1:
            joined = ensemble(np.stack(credits), self._how, spread=self._spread)
        for _, stage in self._refine:
            joined = stage(joined, float(episode.env_reward.sum()))
        return joined if self._gate is None else self._gate(joined, episode)


_BOUNDS = {"clip": (-np.inf, 0.0), "par": (0.0, 1.0)}


def _promise(bases: Sequence[Promises], stages: Sequence[str]) -> Promises:
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
    return Promises("episode", causal=False, conserves=conserves, bounds=bounds)


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
        hindsight_gate: a threshold on the world's return, or a mapping of
            ``gates.HindsightGate``; it acts last.
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
