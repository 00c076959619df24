"""The product of bonuses, such as an episodic and a global one (arXiv 2306.03236)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from densegym.errors import DenseGymError
from densegym.reward_models.batch import all_true
from densegym.reward_models.compose import Sum
from densegym.reward_models.types import Mode, RewardModel, Scores, Steps, TaskCard


class Product(Sum):
    """Multiplies the rewards of its parts; a row is valid only if every part spoke."""

    name = "intrinsic/product-v1"
    default_mode: Mode = "add"
    default_scale = 0.1

    def __init__(self, models: Sequence[RewardModel]) -> None:
        super().__init__(models)
        self.name = "intrinsic/product-v1"
        self.terms = tuple(self._labels)

    def score(self, steps: Steps) -> Scores:
        """Return the product; the terms are its factors."""
        total, valid = np.ones(len(steps.slot)), all_true(len(steps.slot))
        parts = {}
        for label, model in zip(self._labels, self.models, strict=True):
            scores = model.score(steps)
            parts[label] = scores.reward
            total = total * scores.reward
            if scores.valid is not valid:
                valid = valid & scores.valid
        return Scores(reward=np.where(valid, total, 0.0), valid=valid, parts=parts)


def build_product(
    *, task: TaskCard, seed: int = 0, parts: Sequence[Any] = ("intrinsic/e3b", "intrinsic/noveld")
) -> Product:
    """Return the product of several bonuses, each at scale 1 unless its part says another.

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
