"""A small network on the characters of a caption; imports torch.

The ``paper`` size is the message encoder of Motif and ONI: embedding 256 to 32, six convolutions
with three poolings over 256 characters, 128, and an MLP 128-512-512. The ``small`` size costs a
tenth and is enough for some thousand captions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from densegym.errors import unknown
from densegym.reward_models.types import Float

Size = Literal["small", "paper"]
_LENGTH = {"small": 64, "paper": 256}


class TextNet:
    """Outputs per caption, trained by Adam, whose every number the seed decides.

    Args:
        outputs: K numbers per caption.
        size: ``"small"`` or ``"paper"``.
        seed: of the weights and of dropout; torch's own generators are left alone.
        lr: learning rate; 1e-4 in the papers.
        max_norm: bound on the gradient's norm, or None.
    """

    def __init__(
        self,
        outputs: int,
        *,
        size: Size = "small",
        seed: int = 0,
        lr: float = 1e-3,
        max_norm: float | None = None,
    ) -> None:
        if size not in _LENGTH:
            raise unknown("size", size, _LENGTH)
        self._length, self._seed, self._max_norm = _LENGTH[size], seed, max_norm
        self._steps = 0
        with seeded(seed):
            self.module = _small(outputs) if size == "small" else _paper(outputs)
        self._optimizer = torch.optim.Adam(self.module.parameters(), lr=lr)

    def __call__(self, captions: Sequence[str]) -> Float:
        """Return outputs (B, K) float64 without dropout."""
        self.module.eval()
        with torch.inference_mode():
            chunks = [
                self.module(self._encode(captions[start : start + 512])).double().numpy()
                for start in range(0, len(captions), 512)
            ]
        result: Float = np.concatenate(chunks)
        return result

    def step(self, captions: Sequence[str], loss: Callable[[Tensor], Tensor]) -> float:
        """Take one gradient step on a loss of the outputs (B, K); return the loss."""
        self.module.train()
        self._steps += 1
        with seeded(self._seed + self._steps):
            value = loss(self.module(self._encode(captions)))
            self._optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            if self._max_norm is not None:
                nn.utils.clip_grad_norm_(self.module.parameters(), self._max_norm)
            self._optimizer.step()
        return value.item()

    def state_dict(self) -> dict[str, Any]:
        """Return weights, moments and the step count as arrays and plain values."""
        return {
            "steps": self._steps,
            "weights": to_arrays(self.module.state_dict()),
            "optimizer": to_arrays(self._optimizer.state_dict()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        self._steps = int(state["steps"])
        self.module.load_state_dict(to_tensors(state["weights"]))
        self._optimizer.load_state_dict(to_tensors(state["optimizer"]))

    def _encode(self, captions: Sequence[str]) -> Tensor:
        return torch.stack([_bytes(caption, self._length) for caption in captions])


@functools.lru_cache(maxsize=1 << 14)
def _bytes(caption: str, length: int) -> Tensor:
    padded = np.zeros(length, dtype=np.int64)
    raw = caption.encode("latin-1", "replace")[:length]
    padded[: len(raw)] = np.frombuffer(raw, dtype=np.uint8)
    return torch.from_numpy(padded)


class _Channels(nn.Module):
    """Embeds characters (B, L) as channels (B, C, L)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.table = nn.Embedding(256, channels, padding_idx=0)

    def forward(self, characters: Tensor) -> Tensor:
        embedded: Tensor = self.table(characters)
        return embedded.transpose(1, 2)


def _small(outputs: int) -> nn.Module:
    return nn.Sequential(
        _Channels(16),
        nn.Conv1d(16, 32, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool1d(3),
        nn.Conv1d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveMaxPool1d(1),
        nn.Flatten(),
        nn.Linear(64, 64),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(64, outputs),
    )


def _paper(outputs: int) -> nn.Module:
    return nn.Sequential(
        _Channels(32),
        nn.Conv1d(32, 64, 7),
        nn.ReLU(),
        nn.MaxPool1d(3, 3),
        nn.Conv1d(64, 64, 7),
        nn.ReLU(),
        nn.MaxPool1d(3),
        *(layer for _ in range(4) for layer in (nn.Conv1d(64, 64, 3), nn.ReLU())),
        nn.MaxPool1d(3),
        nn.Flatten(),
        nn.Linear(5 * 64, 128),
        nn.ReLU(),
        nn.Linear(128, 512),
        nn.ReLU(),
        nn.Linear(512, 512),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(512, outputs),
    )


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let torch draw from a seed, its own generator left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def to_arrays(value: Any) -> Any:
    """Return a nested state with tensors copied to arrays."""
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy().copy()
    if isinstance(value, Mapping):
        return {key: to_arrays(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_arrays(item) for item in value]
    return value


def to_tensors(value: Any) -> Any:
    """Return a nested state with arrays copied to tensors."""
    if isinstance(value, np.ndarray):
        return torch.as_tensor(value.copy())
    if isinstance(value, Mapping):
        return {key: to_tensors(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_tensors(item) for item in value]
    return value
