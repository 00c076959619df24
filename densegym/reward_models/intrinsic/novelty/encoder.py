"""Small networks on ``Features``, and the state of networks and optimisers as arrays; torch."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from densegym.reward_models.intrinsic.novelty.features import SYMBOLS, Features
from densegym.reward_models.intrinsic.text_net import to_arrays, to_tensors

_EMBEDDING = 8
_HIDDEN = 128


class Encoder(nn.Module):
    """Maps features to (B, outputs): embedded symbols and scalars through an MLP.

    Args:
        symbols: number of symbols of a state.
        scalars: number of scalars.
        outputs: size of the code.
        layers: hidden layers.
    """

    def __init__(self, symbols: int, scalars: int, outputs: int, layers: int = 1) -> None:
        super().__init__()
        self.table = nn.Embedding(SYMBOLS, _EMBEDDING)
        widths = [symbols * _EMBEDDING + scalars, *[_HIDDEN] * layers]
        body: list[nn.Module] = []
        for width, following in pairwise(widths):
            body += [_orthogonal(nn.Linear(width, following)), nn.ReLU()]
        self.body = nn.Sequential(*body, _orthogonal(nn.Linear(widths[-1], outputs)))

    def forward(self, symbols: Tensor, scalars: Tensor) -> Tensor:
        """Return codes (B, outputs)."""
        embedded = self.table(symbols).flatten(1)
        codes: Tensor = self.body(torch.cat([embedded, scalars], dim=1))
        return codes


def _orthogonal(layer: nn.Linear) -> nn.Linear:
    nn.init.orthogonal_(layer.weight, gain=2**0.5)
    nn.init.zeros_(layer.bias)
    return layer


def tensors(features: Features) -> tuple[Tensor, Tensor]:
    """Return symbols and scalars as tensors."""
    return torch.from_numpy(features.symbols), torch.from_numpy(features.scalars)


def state_of(modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return networks and optimiser as arrays and plain values."""
    return {
        "modules": {name: to_arrays(module.state_dict()) for name, module in modules.items()},
        "optimizer": to_arrays(optimizer.state_dict()),
    }


def restore(
    state: Mapping[str, Any], modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> None:
    """Put a state back into networks and optimiser."""
    for name, module in modules.items():
        module.load_state_dict(to_tensors(state["modules"][name]))
    optimizer.load_state_dict(to_tensors(state["optimizer"]))


class RunningScale:
    """A running deviation of positive bonuses, merged batch by batch (Chan et al. 1979)."""

    def __init__(self) -> None:
        self.count, self.mean, self.square = 0.0, 0.0, 0.0

    def update(self, values: Any) -> None:
        """Take note of values (B,)."""
        added = len(values)
        if not added:
            return
        mean, square = float(np.mean(values)), float(np.var(values) * added)
        total, gap = self.count + added, mean - self.mean
        self.square += square + gap * gap * self.count * added / total
        self.mean += gap * added / total
        self.count = total

    @property
    def std(self) -> float:
        """Deviation so far, or 1 before there is any."""
        deviation = float(np.sqrt(self.square / self.count)) if self.count else 0.0
        return deviation if deviation > 1e-8 else 1.0
