"""How far two annotators agree on the same captions, ties of preferences counted apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from densegym.errors import DenseGymError
from densegym.reward_models.intrinsic.annotation.table import HELPFUL

LEAST = 2


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of two annotators.

    Attributes:
        captions: captions that both graded.
        positive: share of positive labels of the first and of the second.
        agree: share of captions with equal labels.
        kappa: Cohen's kappa of the labels; NaN where both gave one label throughout.
        pairs: drawn pairs of captions.
        prefer_same: share of pairs on which both prefer the same caption.
        prefer_other: share of pairs on which they prefer different ones.
        ties: share of pairs on which one of them, or both, prefer none.
    """

    captions: int
    positive: tuple[float, float]
    agree: float
    kappa: float
    pairs: int
    prefer_same: float
    prefer_other: float
    ties: float


def agreement(
    first: Mapping[str, float],
    second: Mapping[str, float],
    captions: Sequence[str],
    *,
    pairs: int = 5_000,
    seed: int = 0,
) -> Agreement:
    """Compare two annotators' grades.

    Args:
        first: grades by caption.
        second: grades by caption.
        captions: on which captions, where both know them.
        pairs: how many pairs to draw for preferences.
        seed: of the draws.

    Raises:
        DenseGymError: fewer than two captions are known to both.
    """
    known = [caption for caption in captions if caption in first and caption in second]
    if len(known) < LEAST:
        raise DenseGymError(f"both annotators know {len(known)} captions; at least {LEAST} needed")
    a, b = (np.array([grades[c] for c in known]) for grades in (first, second))
    one, other = a >= HELPFUL, b >= HELPFUL
    agree = float(np.mean(one == other))
    chance = float(one.mean() * other.mean() + (1 - one.mean()) * (1 - other.mean()))
    rng = np.random.default_rng(seed)
    i, j = rng.integers(len(known), size=(2, pairs))
    j = np.where(i == j, (j + 1) % len(known), j)
    preferred = np.sign(a[j] - a[i]) * np.sign(b[j] - b[i])
    return Agreement(
        captions=len(known),
        positive=(float(one.mean()), float(other.mean())),
        agree=agree,
        kappa=(agree - chance) / (1 - chance) if chance < 1.0 else float("nan"),
        pairs=pairs,
        prefer_same=float(np.mean(preferred > 0)),
        prefer_other=float(np.mean(preferred < 0)),
        ties=float(np.mean(preferred == 0)),
    )
