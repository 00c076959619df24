"""ONI's classification and ranking heads, and Motif's preference model; import torch.

All learn from unique captions: a frequent message is one example, not thousands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from densegym.errors import DenseGymError
from densegym.generators import generator_state, restore_generator
from densegym.reward_models.intrinsic.annotation.table import HELPFUL
from densegym.reward_models.intrinsic.captions.heads import ClassificationOptions, RankingOptions
from densegym.reward_models.intrinsic.text_net import TextNet
from densegym.reward_models.types import Float, Int

_BATCH = 64  # ONI draws 256 from ten times as many captions
_MANY = 256
_MOST_LABELLED = 25_000  # from here on ONI stops learning
_FIRST_ROUNDS = 25  # a head that begins with a table learns this many times as long at first


class _Learned:
    """Takes some gradient steps each time labels arrive."""

    def __init__(self, net: TextNet, seed: int, steps: int) -> None:
        self._net = net
        self._rng = np.random.default_rng(seed)
        self._steps = steps
        self._rounds = 0
        self._loss = float("nan")

    def update(self, grades: Mapping[str, float]) -> None:
        """Learn from the labels known by now."""
        if len(grades) < 2 or (self._rounds and len(grades) > _MOST_LABELLED):
            return
        captions = list(grades)
        values = np.array([grades[caption] for caption in captions])
        rounds = _FIRST_ROUNDS if not self._rounds and len(captions) > _MANY else 1
        losses = [self._learn(captions, values) for _ in range(self._steps * rounds)]
        self._rounds += 1
        self._loss = float(np.mean(losses[-self._steps :]))

    def _learn(self, captions: Sequence[str], values: Float) -> float:
        raise NotImplementedError

    def _draw(self, count: int) -> Int:
        return self._rng.integers(count, size=min(_BATCH, max(16, count)))

    def moved(self, occurrences: Mapping[str, int], total: int) -> bool:
        """Depend on labels alone."""
        return False

    def metrics(self) -> dict[str, float]:
        """Return the loss of the last round, once there was one."""
        return {"head_loss": self._loss} if np.isfinite(self._loss) else {}

    def state_dict(self) -> dict[str, Any]:
        """Return the network, and where its draws stand."""
        return {
            "net": self._net.state_dict(),
            "rounds": self._rounds,
            "loss": self._loss,
            "rng": generator_state(self._rng),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        self._net.load_state_dict(state["net"])
        self._rounds, self._loss = int(state["rounds"]), float(state["loss"])
        restore_generator(self._rng, state["rng"])


class Classification(_Learned):
    """Values a caption 1 where the network's probability of a positive label exceeds a threshold.

    Args:
        options: see there.
        seed: of weights and draws.
    """

    def __init__(self, options: ClassificationOptions, *, seed: int = 0) -> None:
        if not 0.0 <= options.threshold <= 1.0:
            raise DenseGymError(f"threshold is a probability; given {options.threshold}")
        net = TextNet(2, size=options.size, seed=seed, lr=options.lr)
        super().__init__(net, seed, options.steps)
        self._threshold = options.threshold

    def values(self, captions: Sequence[str]) -> Float:
        """Return 0 or 1 for every caption (B,); 0 before any label arrived."""
        if not self._rounds:
            return np.zeros(len(captions))
        logits = self._net(captions)
        probability = 1.0 / (1.0 + np.exp(logits[:, 0] - logits[:, 1]))
        return (probability > self._threshold).astype(np.float64)

    def _learn(self, captions: Sequence[str], values: Float) -> float:
        rows = self._draw(len(captions))
        target = torch.from_numpy((values[rows] >= HELPFUL).astype(np.int64))
        return self._net.step(
            [captions[row] for row in rows],
            lambda logits: functional.cross_entropy(logits, target),
        )


class Ranking(_Learned):
    """Values a caption by a Bradley-Terry score, standardised, and 0 below a quantile.

    z = (r - mean) / std over the multiset of captions as they occurred, then z where it reaches
    the ``quantile`` of that multiset, else 0. ONI's released code mixes the raw score into the
    reward and keeps this unused; here it is what is paid.

    Args:
        options: see there.
        seed: of weights and draws.
    """

    def __init__(self, options: RankingOptions, *, seed: int = 0) -> None:
        if not 0.0 <= options.quantile < 1.0:
            raise DenseGymError(f"quantile is in [0, 1); given {options.quantile}")
        net = TextNet(1, size=options.size, seed=seed, lr=options.lr, max_norm=10.0)
        super().__init__(net, seed, options.steps)
        self._quantile = options.quantile
        self._moments = (0.0, 1.0, np.inf)  # mean, std, least z that is paid
        self._next_total = 1

    def values(self, captions: Sequence[str]) -> Float:
        """Return the thresholded z of every caption (B,); 0 before any label arrived."""
        if not self._rounds:
            return np.zeros(len(captions))
        mean, std, least = self._moments
        z = (self._net(captions)[:, 0] - mean) / std
        return np.where(z >= least, z, 0.0)

    def update(self, grades: Mapping[str, float]) -> None:
        """Learn, and measure the moments anew."""
        super().update(grades)
        self._next_total = 0

    def moved(self, occurrences: Mapping[str, int], total: int) -> bool:
        """Measure the moments anew after learning, and when occurrences have doubled."""
        if not self._rounds or not total or total < self._next_total:
            return False
        self._moments = moments(self._net(list(occurrences))[:, 0], occurrences, self._quantile)
        self._next_total = 2 * total
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the network and the moments."""
        return {
            **super().state_dict(),
            "moments": list(self._moments),
            "next_total": self._next_total,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        super().load_state_dict(state)
        mean, std, least = (float(value) for value in state["moments"])
        self._moments = (mean, std, least)
        self._next_total = int(state["next_total"])

    def _learn(self, captions: Sequence[str], values: Float) -> float:
        first, second = self._draw(len(captions)), self._draw(len(captions))
        preferred = (np.sign(values[second] - values[first]) + 1.0) / 2.0
        return bradley_terry_step(
            self._net, [captions[i] for i in first], [captions[i] for i in second], preferred
        )


def bradley_terry_step(
    net: TextNet, first: Sequence[str], second: Sequence[str], preferred: Float
) -> float:
    """Take one gradient step on pairs; return the loss.

    Args:
        net: one output per caption.
        first: P captions.
        second: P captions.
        preferred: (P,) 1 where the second is better, 0 the first, 0.5 for a tie.
    """
    target = torch.as_tensor(preferred, dtype=torch.float32)

    def loss(outputs: Tensor) -> Tensor:
        difference = outputs[len(first) :, 0] - outputs[: len(first), 0]
        return functional.binary_cross_entropy_with_logits(difference, target)

    return net.step([*first, *second], loss)


def moments(
    scores: Float, occurrences: Mapping[str, int], quantile: float
) -> tuple[float, float, float]:
    """Return mean, deviation and the quantile of z over captions as often as they occurred.

    Args:
        scores: (U,) of the captions in the order of ``occurrences``.
        occurrences: how often each was said.
        quantile: in [0, 1).
    """
    weights = np.array(list(occurrences.values()), dtype=np.float64)
    mean = float(np.average(scores, weights=weights))
    std = max(float(np.sqrt(np.average((scores - mean) ** 2, weights=weights))), 1e-8)
    z = (scores - mean) / std
    order = np.argsort(z, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    least = float(z[order][min(int(np.searchsorted(reached, quantile)), len(z) - 1)])
    return mean, std, least
