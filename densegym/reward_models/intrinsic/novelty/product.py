"""The product of bonuses, such as an episodic and a global one (arXiv 2306.03236)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from densegym.errors import DenseGymError
from densegym.reward_models.batch import all_true
from densegym.reward_models.model import CombinedModel, RewardModel, distinct, short_name
from densegym.reward_models.traits import Promises, Traits
from densegym.reward_models.types import Scores, Steps, TaskCard


class Product(CombinedModel):
    """Multiplies the rewards of its parts; a row is valid only if every part spoke.

    Args:
        models: the factors, each at the scale that its specification says.
    """

    name = "intrinsic/product-v1"
    traits: Traits

    def __init__(self, models: Sequence[RewardModel]) -> None:
        self.children = tuple(models)
        self._labels = distinct([short_name(model.name) for model in models])
        first, *others = (model.traits for model in models)
        self.traits = first.joined(*others).replace(
            mode="add", scale=0.1, terms=tuple(self._labels), promises=Promises()
        )

    def combine(self, steps: Steps, said: Sequence[Scores]) -> Scores:
        """Return the product; the terms are its factors."""
        total, valid = np.ones(len(steps.slot)), all_true(len(steps.slot))
        parts = {}
        for label, scores in zip(self._labels, said, strict=True):
            parts[label] = scores.reward
            total = total * scores.reward
            if scores.valid is not valid:
                valid = valid & scores.valid
        return Scores(reward=np.where(valid, total, 0.0), valid=valid, parts=parts)


def build_product(
    *, task: TaskCard, seed: int = 0, parts: Sequence[Any] = ("intrinsic/e3b", "intrinsic/noveld")
) -> Product:
    """Return the product of several bonuses.

    Args:
        task: the task's card.
        seed: of every part.
        parts: two or more specifications, each at scale 1 unless it says another.

    Raises:
        DenseGymError: fewer than two parts.
    """
    from densegym.reward_models.spec import build_reward

    if isinstance(parts, str) or len(parts) < 2:
        raise DenseGymError(
            'a product has several parts: {"model": "intrinsic/product", '
            f'"parts": ["intrinsic/e3b", "intrinsic/noveld"]}}; given {parts!r}'
        )
    plain = [{"model": part} if isinstance(part, str) else dict(part) for part in parts]
    return Product([build_reward({"scale": 1.0, **part}, task=task, seed=seed) for part in plain])
