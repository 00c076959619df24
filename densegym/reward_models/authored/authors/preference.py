"""Ranked factors into one reward by preference: HERON's comparison and a Bradley-Terry fit.

Two trajectories are compared level by level: the first factor by rank whose difference exceeds
its margin decides; where none does, the pair is dropped (Bukharin et al. 2023, "Deep RL from
Hierarchical Weak Preference Feedback"). A small network is fitted to the verdicts.

Departures. The paper's network is 2 x 256 in PyTorch; ours is 2 x 16 with tanh in NumPy, because
its weights are printed into a reward program of at most 20 kB, and because tanh bounds the
reward. Trajectories are valued by the mean over their steps of factors and rewards, so that
episodes of different length compare; the paper retrains on fresh policy data, we fit once on the
trajectory bank.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from densegym.reward_models.types import Bool, Float, Int

HIDDEN = 16
STEPS = 32  # steps that stand for a trajectory while fitting
BATCH = 16  # trajectories, all pairs of which are compared
UPDATES = 600
HELD_OUT = 0.2  # share of the trajectories kept for the accuracy
_RATE, _BETA1, _BETA2, _EPSILON = 1e-2, 0.9, 0.999, 1e-8  # Adam


class Network(NamedTuple):
    """f(z) = tanh(tanh(z W₁ + b₁) W₂ + b₂) w₃ + b₃ of L standardised factors.

    Attributes:
        first: (L, 16).
        first_bias: (16,).
        second: (16, 16).
        second_bias: (16,).
        last: (16,).
        last_bias: ().
    """

    first: Float
    first_bias: Float
    second: Float
    second_bias: Float
    last: Float
    last_bias: Float

    def __call__(self, factors: Float) -> Float:
        """Return f, (...) for factors (..., L)."""
        hidden = np.tanh(factors @ self.first + self.first_bias)
        value: Float = np.tanh(hidden @ self.second + self.second_bias) @ self.last + self.last_bias
        return value


class Fit(NamedTuple):
    """A fitted preference.

    Attributes:
        network: of raw factors' standardised, directed values.
        mean: (L,) of every factor over all steps.
        scale: (L,) standard deviation, negative where smaller is better.
        decided: share of all pairs of trajectories that the ranking decides.
        accuracy: share of the decided pairs among trajectories kept out of the fit that the
            network orders alike; NaN where there are none.
    """

    network: Network
    mean: Float
    scale: Float
    decided: float
    accuracy: float


def compare(levels: Float, margins: Float) -> Int:
    """Return (n, n) verdicts: 1 where the row's trajectory is better, -1 worse, 0 undecided.

    Args:
        levels: (n, L), larger is better, most important first.
        margins: (L,), differences up to it decide nothing.
    """
    gaps = levels[:, None, :] - levels[None, :, :]
    decides = np.abs(gaps) > margins
    first = np.argmax(decides, axis=2)[..., None]
    gap = np.take_along_axis(gaps, first, axis=2)[..., 0]
    return np.where(decides.any(axis=2), np.sign(gap), 0.0).astype(np.int64)


def margins(levels: Float, binary: Bool, kappa: float) -> Float:
    """Return (L,) margins: kappa standard deviations over the trajectories, 0 for binary ones."""
    return np.where(binary, 0.0, kappa * levels.std(axis=0))


def fit_preference(
    factors: Float,
    lengths: Sequence[int],
    larger: Sequence[bool],
    rng: np.random.Generator,
    *,
    kappa: float,
) -> Fit:
    """Fit a network to the order that ranked factors give the trajectories of a bank.

    Args:
        factors: (sum of lengths, L) values at every step, most important first.
        lengths: of the trajectories.
        larger: whether the larger value of a factor is better.
        rng: of the split, the initial weights and the batches.
        kappa: margin in standard deviations.
    """
    mean, spread = factors.mean(axis=0), np.maximum(factors.std(axis=0), _EPSILON)
    scale = np.where(larger, spread, -spread)
    standard = (factors - mean) / scale
    trajectories = np.split(standard, np.cumsum(lengths)[:-1])
    levels = np.stack([steps.mean(axis=0) for steps in trajectories])
    binary = np.array([len(np.unique(column)) <= 2 for column in factors.T])
    verdicts = compare(levels, margins(levels, binary, kappa))
    order = rng.permutation(len(lengths))
    kept, tried = np.split(order, [len(order) - int(HELD_OUT * len(order))])
    network = _fit(np.stack([_thinned(steps) for steps in trajectories]), verdicts, kept, rng)
    values = np.array([network(steps).mean() for steps in trajectories])
    pairs = len(lengths) * (len(lengths) - 1)
    return Fit(
        network=_standardised(network, standard),
        mean=mean,
        scale=scale,
        decided=float(np.count_nonzero(verdicts) / pairs) if pairs else 0.0,
        accuracy=_accuracy(values[tried], verdicts[np.ix_(tried, tried)]),
    )


def _thinned(steps: Float) -> Float:
    return steps[np.linspace(0, len(steps) - 1, STEPS).astype(np.int64)]


def _accuracy(values: Float, verdicts: Int) -> float:
    decided = verdicts != 0
    if not decided.any():
        return float("nan")
    return float(np.mean((np.sign(values[:, None] - values[None, :]) == verdicts)[decided]))


def _standardised(network: Network, steps: Float) -> Network:
    """Return the network with mean 0 and standard deviation 1 over the steps."""
    values = network(steps)
    scale = max(float(values.std()), _EPSILON)
    bias = (network.last_bias - values.mean()) / scale
    return network._replace(last=network.last / scale, last_bias=bias)


def _fit(steps: Float, verdicts: Int, kept: Int, rng: np.random.Generator) -> Network:
    """Minimise the mean of −log σ(rᵢ − rⱼ) over decided pairs with i better than j.

    Args:
        steps: (n, STEPS, L).
        verdicts: (n, n).
        kept: trajectories to fit on.
        rng: of the initial weights and the batches.
    """
    network = _initial(steps.shape[2], rng)
    moments = [(np.zeros_like(weights), np.zeros_like(weights)) for weights in network]
    for update in range(1, UPDATES + 1):
        batch = rng.choice(kept, size=min(BATCH, len(kept)), replace=False)
        gradients = _gradients(network, steps[batch], verdicts[np.ix_(batch, batch)])
        moved = []
        for index, (weights, gradient) in enumerate(zip(network, gradients, strict=True)):
            first, second = moments[index]
            first = _BETA1 * first + (1.0 - _BETA1) * gradient
            second = _BETA2 * second + (1.0 - _BETA2) * np.square(gradient)
            moments[index] = (first, second)
            slope = first / (1.0 - _BETA1**update)
            size = np.sqrt(second / (1.0 - _BETA2**update))
            moved.append(weights - _RATE * slope / (size + _EPSILON))
        network = Network(*moved)
    return network


def _initial(inputs: int, rng: np.random.Generator) -> Network:
    return Network(
        first=rng.normal(size=(inputs, HIDDEN)) / np.sqrt(inputs),
        first_bias=np.zeros(HIDDEN),
        second=rng.normal(size=(HIDDEN, HIDDEN)) / np.sqrt(HIDDEN),
        second_bias=np.zeros(HIDDEN),
        last=rng.normal(size=HIDDEN) / np.sqrt(HIDDEN),
        last_bias=np.zeros(()),
    )


def _gradients(network: Network, steps: Float, verdicts: Int) -> Network:
    """Return the gradient of the loss of a batch of trajectories (n, STEPS, L)."""
    hidden = np.tanh(steps @ network.first + network.first_bias)
    top = np.tanh(hidden @ network.second + network.second_bias)
    values = (top @ network.last + network.last_bias).mean(axis=1)
    gaps = verdicts * (values[:, None] - values[None, :])
    pairs = max(np.count_nonzero(verdicts), 1)
    # Every pair stands twice in the verdicts, once with each sign.
    pull = -2.0 * (verdicts * 0.5 * (1.0 - np.tanh(0.5 * gaps))).sum(axis=1) / pairs
    slope = np.broadcast_to((pull / steps.shape[1])[:, None], steps.shape[:2])
    to_top = slope[..., None] * network.last * (1.0 - np.square(top))
    to_hidden = (to_top @ network.second.T) * (1.0 - np.square(hidden))
    return Network(
        first=_summed(steps, to_hidden),
        first_bias=to_hidden.sum(axis=(0, 1)),
        second=_summed(hidden, to_top),
        second_bias=to_top.sum(axis=(0, 1)),
        last=(top * slope[..., None]).sum(axis=(0, 1)),
        last_bias=np.asarray(slope.sum()),
    )


def _summed(inputs: Float, outputs: Float) -> Float:
    """Return the sum over all steps of the outer products, (inputs, outputs)."""
    flat: Float = inputs.reshape(-1, inputs.shape[-1]).T @ outputs.reshape(-1, outputs.shape[-1])
    return flat
