"""Only the signs of a dense and a sparse term count: the scale constraint of Auto MC-Reward."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.model import CombinedModel, RewardModel
from densegym.reward_models.traits import Promises, Traits
from densegym.reward_models.types import Bool, Float, Scores, Steps

TERMS = ("dense", "sparse")
DENSE_SCALE = 0.1
SPARSE_SCALE = 1.0


class SignConstrained(CombinedModel):
    """Pays dense_scale · sgn(dense) + sparse_scale · sgn(sparse), with sgn(0) = 0.

    With the default scales a reward is one of 0, ±0.1, ±0.9, ±1.0, ±1.1, so no author has to
    balance magnitudes (Li et al. 2024, arXiv 2312.09238). Other terms are not paid.

    Args:
        model: a reward model with the terms ``dense`` and ``sparse``.
        dense_scale: what the sign of ``dense`` is worth.
        sparse_scale: what the sign of ``sparse`` is worth.

    Raises:
        RewardError: the model lacks one of the terms, or speaks only at the end of an episode.
    """

    traits: Traits

    def __init__(
        self,
        model: RewardModel,
        *,
        dense_scale: float = DENSE_SCALE,
        sparse_scale: float = SPARSE_SCALE,
    ) -> None:
        terms = model.traits.terms
        if model.traits.when == "episode" or not set(TERMS) <= set(terms):
            raise RewardError(
                f"SignConstrained takes a model that pays at every step and has the terms dense "
                f'and sparse; "{model.name}" has {", ".join(terms) or "none"}'
            )
        self.name = model.name
        self.children = (model,)
        self.scales = {"dense": float(dense_scale), "sparse": float(sparse_scale)}
        most = sum(abs(scale) for scale in self.scales.values())
        self.traits = model.traits.replace(terms=TERMS, promises=Promises(bounds=(-most, most)))

    def combine(self, steps: Steps, said: Sequence[Scores]) -> Scores:
        """Return the constrained score; rows on which the model abstains stay abstentions.

        Raises:
            RewardError: a term is NaN on a row on which the model does not abstain.
        """
        (scores,) = said
        parts = {
            term: scale * self._sign(term, scores.parts[term], scores.valid)
            for term, scale in self.scales.items()
        }
        return Scores(parts["dense"] + parts["sparse"], scores.valid, parts)

    def _sign(self, term: str, values: Float, valid: Bool) -> Float:
        missing = np.isnan(values)
        if (missing & valid).any():
            raise RewardError(
                f'the term {term} of "{self.name}" is NaN at row {int(np.argmax(missing & valid))} '
                f"of {len(values)}, and NaN has no sign; guard its divisions and logarithms"
            )
        return np.where(missing, 0.0, np.sign(values))
