"""Return decomposition: a network of one step whose mean over an episode is the episode's R / T.

RD is least squares over whole episodes (Efroni et al. 2021, arXiv 2007.12350, as the baseline of
RRD). RRD draws K steps of each (Ren et al. 2022, arXiv 2111.13485). Episodes are drawn in
proportion to their length and inputs are [s, a, s − s'], as theirs; inputs and returns are
standardised, which they are not there, and the network is fitted when episodes end instead of
once per critic update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from densegym.reward_models.credit.fitting.fitted import Explaining, FittedCredit
from densegym.reward_models.credit.fitting.inputs import inputs
from densegym.reward_models.credit.fitting.networks import mlp
from densegym.reward_models.credit.fitting.store import StoredEpisode
from densegym.reward_models.traits import Promises
from densegym.reward_models.types import Float, TaskCard


class MarkovCredit(FittedCredit):
    """Credits are what a network says of one step, whatever surrounds it.

    Off-policy learners ask it at every sample, so no label is stale.
    """

    traits = FittedCredit.traits.replace(markov=True, promises=Promises("episode", causal=True))

    def predict(self, obs: Any, action: Any, next_obs: Any) -> Float:
        """Return (B,) predictions, or the mean rate of what has ended until they are good."""
        if self.ready:
            return self._ask(self._inputs(obs, action, next_obs))
        rates = [one.rate for one in self._store]
        return np.full(len(action), float(np.mean(rates)) if rates else 0.0)

    def _inputs(self, obs: Any, action: Any, next_obs: Any) -> Any:
        return inputs(obs, action, next_obs)

    def _ask(self, rows: Any) -> Float:
        with torch.no_grad():
            return self._unscaled(self._network(self._scaled(rows))[:, 0])

    def _spread(self, one: StoredEpisode) -> Float:
        return self._ask(one.inputs)

    def _guess(self, inputs: Any) -> Float | None:
        return self._ask(inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class RDOptions(Explaining):
    """Options of credits fitted by least squares.

    Attributes:
        hidden: width of the network's two hidden layers.
    """

    learning_rate: float = 3e-4
    hidden: int = 128


class RDCredit(MarkovCredit):
    """Credits fitted on every step of each drawn episode: ``reward="credit/rd"``.

    Args:
        task: the task's card.
        options: see ``RDOptions``.
        seed: of weights and draws.
    """

    name = "credit/rd"

    def __init__(self, task: TaskCard, options: RDOptions, *, seed: int = 0) -> None:
        super().__init__(task, options, seed=seed, min_explained=options.min_explained)

    def _build(self, width: int) -> Any:
        return mlp(width, self._hidden)

    def _loss(self, drawn: Sequence[StoredEpisode]) -> torch.Tensor:
        said = self._network(self._scaled(np.concatenate([one.inputs for one in drawn])))[:, 0]
        means = torch.stack([part.mean() for part in said.split([len(o.inputs) for o in drawn])])
        return torch.square(torch.tensor([self._target(one) for one in drawn]) - means).mean()


@dataclass(frozen=True, slots=True, kw_only=True)
class RRDOptions(RDOptions):
    """Options of credits fitted on drawn steps.

    Attributes:
        unbiased: take the variance of the drawn steps off the loss, so that it estimates that of
            whole episodes (RRD-L(RD) of the paper).
        subset: K, steps drawn per episode; with replacement where an episode has fewer.
    """

    unbiased: bool = False
    subset: int = 64


class RRDCredit(RDCredit):
    """Credits fitted on K drawn steps of each episode: ``reward="credit/rrd"``.

    Credits do not add up to the return.

    Args:
        task: the task's card.
        options: see ``RRDOptions``.
        seed: of weights and draws.
    """

    name = "credit/rrd"
    by_length = True

    def __init__(self, task: TaskCard, options: RRDOptions, *, seed: int = 0) -> None:
        super().__init__(task, options, seed=seed)
        self.unbiased, self.subset = options.unbiased, options.subset

    def _loss(self, drawn: Sequence[StoredEpisode]) -> torch.Tensor:
        picked, kept = [], []
        for one in drawn:
            length = len(one.inputs)
            again = length < self.subset
            rows = self._random.choice(length, self.subset, replace=again)
            picked.append(one.inputs[rows])
            kept.append(0.0 if length == 1 else (1.0 if again else 1.0 - self.subset / length))
        said = self._network(self._scaled(np.stack(picked)))[..., 0]
        loss = torch.square(torch.tensor([self._target(one) for one in drawn]) - said.mean(dim=1))
        if self.unbiased:
            loss = loss - torch.tensor(kept) * said.var(dim=1) / self.subset
        return loss.mean()
