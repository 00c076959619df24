"""What bonuses with networks share: built at the first batch, trained on the stream; torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from densegym.errors import DenseGymError
from densegym.reward_models.batch import all_true
from densegym.reward_models.intrinsic.novelty.encoder import RunningScale, restore, state_of
from densegym.reward_models.intrinsic.novelty.features import Features
from densegym.reward_models.intrinsic.text_net import seeded
from densegym.reward_models.model import RewardModel
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Float, Scores


class LearnedBonus(RewardModel):
    """A bonus whose networks learn every few vector steps, scaled by its deviation.

    Args:
        seed: of the networks.
        lr: learning rate of Adam.
        update_every: vector steps between two gradient steps, each on all rows since the last.
        normalize: divide the bonus by its running deviation.
    """

    traits = Traits(mode="add", scale=0.1)

    def __init__(
        self, *, seed: int = 0, lr: float = 5e-4, update_every: int = 8, normalize: bool = True
    ) -> None:
        if lr <= 0.0 or update_every < 1:
            raise DenseGymError(
                f"lr is positive and update_every at least 1; given {lr} and {update_every}"
            )
        self._seed, self._lr, self._update_every = seed, lr, update_every
        self._normalize = normalize
        self._modules: dict[str, nn.Module] = {}
        self._optimizer: torch.optim.Optimizer | None = None
        self._shape: tuple[int, int] | None = None
        self._scale = RunningScale()
        self._rows: list[tuple[Any, ...]] = []
        self._loss = float("nan")

    def metrics(self) -> dict[str, float]:
        """Return the loss of the last gradient step, once there was one."""
        return {} if np.isnan(self._loss) else {"loss": self._loss}

    def state_dict(self) -> dict[str, Any]:
        """Return networks, optimiser, scale and the rows not learned from yet."""
        if self._shape is None:
            return {}
        assert self._optimizer is not None
        return {
            "shape": list(self._shape),
            "networks": state_of(self._modules, self._optimizer),
            "scale": [self._scale.count, self._scale.mean, self._scale.square],
            "rows": [[np.asarray(part) for part in row] for row in self._rows],
            "loss": self._loss,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        if not state:
            return
        symbols, scalars = (int(size) for size in state["shape"])
        self._build(symbols, scalars)
        assert self._optimizer is not None
        restore(state["networks"], self._modules, self._optimizer)
        self._scale.count, self._scale.mean, self._scale.square = map(float, state["scale"])
        self._rows = [tuple(np.array(part) for part in row) for row in state["rows"]]
        self._loss = float(state["loss"])

    def _networks(self, symbols: int, scalars: int) -> dict[str, nn.Module]:
        """Make the networks; those whose name starts with ``fixed`` never learn."""
        raise NotImplementedError

    def _objective(self, rows: tuple[Any, ...]) -> Tensor:
        """Return the loss on rows as they were kept."""
        raise NotImplementedError

    def _ready(self, features: Features) -> None:
        """Build the networks for states of this shape, if there are none."""
        if self._shape is None:
            self._build(features.symbols.shape[1], features.scalars.shape[1])

    def _build(self, symbols: int, scalars: int) -> None:
        self._shape = symbols, scalars
        with seeded(self._seed):
            self._modules = self._networks(symbols, scalars)
        learning = [m for name, m in self._modules.items() if not name.startswith("fixed")]
        parameters = [p for module in learning for p in module.parameters()]
        self._optimizer = torch.optim.Adam(parameters, lr=self._lr)

    def _learn(self, *row: Any) -> None:
        """Keep one vector step; learn when there are enough."""
        self._rows.append(row)
        if len(self._rows) < self._update_every:
            return
        assert self._optimizer is not None
        joined = tuple(np.concatenate(parts) for parts in zip(*self._rows, strict=True))
        self._rows.clear()
        loss = self._objective(joined)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._optimizer.step()
        self._loss = loss.item()

    def _scores(self, bonus: Float) -> Scores:
        """Return a bonus (B,), scaled where asked for, as the only term."""
        if self._normalize:
            self._scale.update(bonus)
            bonus = bonus / self._scale.std
        return Scores(reward=bonus, valid=all_true(len(bonus)), parts={self.traits.terms[0]: bonus})
