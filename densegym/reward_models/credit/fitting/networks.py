"""Small networks of fitted credits: built from a seed, kept through checkpoints as arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import nn

from densegym.errors import RewardError

Encoder: TypeAlias = Literal["gru", "mlp"]


def mlp(inputs: int, hidden: int, outputs: int = 1) -> nn.Sequential:
    """Return inputs → hidden → hidden → outputs with ReLU, the networks of RD, RRD and LaRe."""
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, outputs),
    )


class Recurrent(nn.Module):
    """A GRU with one number per prefix: (B, T, D) float32 to (B, T)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU())
        self.gru = nn.GRU(hidden, hidden, batch_first=True)
        self.leave = nn.Linear(hidden, 1)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return what each prefix says."""
        states, _ = self.gru(self.enter(rows))
        said: torch.Tensor = self.leave(states)[..., 0]
        return said


def reader_of_prefixes(encoder: Encoder, inputs: int, hidden: int) -> nn.Module:
    """Return a network from (B, T, D) to (B, T): a GRU, or an MLP that sees one step at a time."""
    if encoder == "gru":
        return Recurrent(inputs, hidden)
    return nn.Sequential(mlp(inputs, hidden), nn.Flatten(-2))


def check_encoder(name: str, encoder: str) -> None:
    """Refuse what ``reader_of_prefixes`` cannot build.

    Raises:
        RewardError: another encoder than ``"gru"`` and ``"mlp"``.
    """
    if encoder not in get_args(Encoder):
        raise RewardError(f'"{name}" takes encoder="gru" or "mlp"; given {encoder!r}')


def padded(every: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return sequences (T, D) as one (B, T, D), and (B, T) weights, 1 where there was a row."""
    lengths = torch.tensor([len(rows) for rows in every])
    joined = nn.utils.rnn.pad_sequence(list(every), batch_first=True)
    real = torch.arange(joined.shape[1])[None, :] < lengths[:, None]
    return joined, real.to(torch.float32)


def seeded(seed: int, build: Callable[[], nn.Module]) -> Any:
    """Return a module whose weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def optimiser_state(adam: torch.optim.Optimizer) -> dict[str, Any]:
    """Return the moments of an optimiser as arrays."""
    moments = adam.state_dict()["state"]
    return {
        str(index): {name: value.numpy().copy() for name, value in kept.items()}
        for index, kept in moments.items()
    }


def restore_optimiser(adam: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Take on what ``optimiser_state`` returned; rates and groups stay as they are."""
    moments = {
        int(index): {name: torch.as_tensor(np.array(value)) for name, value in kept.items()}
        for index, kept in state.items()
    }
    adam.load_state_dict({**adam.state_dict(), "state": moments})


def weights_of(module: nn.Module) -> dict[str, Any]:
    """Return weights as arrays."""
    return {name: value.numpy().copy() for name, value in module.state_dict().items()}


def restore_weights(module: nn.Module, weights: Mapping[str, Any]) -> None:
    """Take on what ``weights_of`` returned."""
    module.load_state_dict({k: torch.as_tensor(np.array(v)) for k, v in weights.items()})
