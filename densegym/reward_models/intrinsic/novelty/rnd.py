"""Random network distillation, and NovelD, which pays its increase at first visits; torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from densegym.errors import DenseGymError
from densegym.reward_models.intrinsic.novelty.counts import EpisodicCount
from densegym.reward_models.intrinsic.novelty.encoder import Encoder, tensors
from densegym.reward_models.intrinsic.novelty.features import Features, features_of
from densegym.reward_models.intrinsic.novelty.learned import LearnedBonus
from densegym.reward_models.types import Float, Scores, Starts, Steps, TaskCard

_CODE = 64


class RND(LearnedBonus):
    """Pays the distance between a learned and a fixed random code of the successor.

    Burda et al. 2018, as in arXiv 2306.03236: not squared. The prediction of a batch is taken
    before the networks learn from it, so the order of lanes plays no part. Arguments are those of
    ``LearnedBonus``.
    """

    name = "intrinsic/rnd-v1"
    traits = LearnedBonus.traits.replace(terms=("rnd",))

    def score(self, steps: Steps) -> Scores:
        """Pay the distance at every row's successor, and learn from it."""
        features = features_of(steps.next_obs)
        distance = self._distance(features)
        self._learn(features.symbols, features.scalars)
        return self._scores(distance)

    def _networks(self, symbols: int, scalars: int) -> dict[str, nn.Module]:
        return {
            "fixed": Encoder(symbols, scalars, _CODE),
            "predictor": Encoder(symbols, scalars, _CODE, layers=2),
        }

    def _gap(self, symbols: Tensor, scalars: Tensor) -> Tensor:
        with torch.no_grad():
            target = self._modules["fixed"](symbols, scalars)
        gap: Tensor = self._modules["predictor"](symbols, scalars) - target
        return gap

    def _objective(self, rows: tuple[Any, ...]) -> Tensor:
        return self._gap(*tensors(Features(*rows))).square().mean()

    def _distance(self, features: Features) -> Float:
        self._ready(features)
        with torch.no_grad():
            gap = self._gap(*tensors(features))
        distance: Float = gap.norm(dim=1).double().numpy()
        return distance


class NovelD(RND):
    """Pays max(0, RND(s') - alpha RND(s)) at the episode's first visit of s' (Zhang et al. 2021).

    Args:
        alpha: share of the distance at s that is taken off; 0.1 in arXiv 2306.03236.
        key: what counts as the same state; as of ``EpisodicCount``.
        task: the task's card.
        seed: of the networks.
        lr: learning rate of Adam.
        update_every: vector steps between gradient steps.
        normalize: divide by the running deviation.
    """

    name = "intrinsic/noveld-v1"
    traits = LearnedBonus.traits.replace(terms=("noveld",))

    def __init__(
        self,
        *,
        alpha: float = 0.1,
        key: str | None = None,
        task: TaskCard | None = None,
        seed: int = 0,
        lr: float = 5e-4,
        update_every: int = 8,
        normalize: bool = True,
    ) -> None:
        if not 0.0 <= alpha <= 1.0:
            raise DenseGymError(f"alpha is in [0, 1]; given {alpha}")
        super().__init__(seed=seed, lr=lr, update_every=update_every, normalize=normalize)
        self._alpha = alpha
        self._visits = EpisodicCount(key=key, task=task)

    def begin(self, starts: Starts) -> None:
        """Count the first states as visited."""
        self._visits.begin(starts)

    def score(self, steps: Steps) -> Scores:
        """Pay the increase at first visits, and learn from every successor."""
        features = features_of(steps.next_obs)
        here = features_of(steps.obs)
        symbols = np.concatenate([here.symbols, features.symbols])
        scalars = np.concatenate([here.scalars, features.scalars])
        distance = self._distance(Features(symbols, scalars))
        before, after = np.split(distance, 2)  # one pass costs little more than half of two
        first = self._visits.score(steps).reward
        self._learn(features.symbols, features.scalars)
        return self._scores(np.maximum(after - self._alpha * before, 0.0) * first)

    def state_dict(self) -> dict[str, Any]:
        """Return networks and visits."""
        return {"bonus": super().state_dict(), "visits": self._visits.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore networks and visits."""
        super().load_state_dict(state["bonus"])
        self._visits.load_state_dict(state["visits"])
