"""Randomized return decomposition: a network whose mean over an episode is the episode's R / T.

Ren et al. 2022, arXiv 2111.13485. Episodes are drawn in proportion to their length and inputs are
[s, a, s − s'], as theirs; inputs and returns are standardised, which they are not there, and the
network is fitted when episodes end instead of once per critic update.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from densegym.errors import RewardError
from densegym.reward_models.credit.returns import Of, ReturnCredit
from densegym.reward_models.types import Episode, Float, Need, TaskCard

_STORED = 1_000_000  # steps
_DRAWN = 4  # episodes per update
_EPSILON = 1e-6


class Stored(NamedTuple):
    """One episode of T steps: inputs (T, D) float32 and R / T."""

    inputs: Any
    rate: float


class RRDCredit(ReturnCredit):
    """Credits are predictions of a network of one step: ``reward="credit/rrd"``.

    The network is Markov, so off-policy learners ask it at every sample and no label is stale.
    Credits do not add up to the return; until ``min_episodes`` have ended they are uniform.

    Args:
        task: the task's card.
        of: whose return is spread.
        unbiased: take the variance of the drawn steps off the loss, so that it estimates that of
            whole episodes (RRD-L(RD) of the paper).
        subset: K, steps drawn per episode.
        updates_per_step: gradient steps per environment step, taken when episodes end.
        min_episodes: episodes before the network is asked.
        learning_rate: of Adam.
        hidden: width of the two hidden layers.
        seed: of weights and draws.
    """

    name = "credit/rrd"
    needs = Need.EPISODE | Need.OBS
    markov = True

    def __init__(
        self,
        task: TaskCard,
        of: Of | None = None,
        *,
        unbiased: bool = False,
        subset: int = 64,
        updates_per_step: float = 0.025,
        min_episodes: int = 10,
        learning_rate: float = 3e-4,
        hidden: int = 256,
        seed: int = 0,
    ) -> None:
        super().__init__(task, of)
        self.unbiased, self.subset, self.min_episodes = unbiased, subset, min_episodes
        self._rate, self._lr, self._hidden, self._seed = (
            updates_per_step,
            learning_rate,
            hidden,
            seed,
        )
        self._random = np.random.default_rng(seed)
        self._episodes: deque[Stored] = deque()
        self._steps = self._seen = 0
        self._owed = 0.0
        self._network: Any = None
        self._moments: dict[str, Float] = {}

    def finish(self, episodes: Sequence[Episode]) -> Sequence[Float]:
        """Take in the episodes, fit, and return credits for every step."""
        stored = [Stored(self._inputs_of(one), float(self.rewards(one).mean())) for one in episodes]
        for one in stored:
            self._store(one)
        self._fit(sum(len(one.inputs) for one in stored))
        if not self.ready:
            return [np.full(len(one.inputs), one.rate) for one in stored]
        return [self._ask(one.inputs) for one in stored]

    def estimate(self, prefix: Episode) -> Float | None:
        """Return predictions for an unfinished episode, once there are any."""
        return self._ask(self._inputs_of(prefix)) if self.ready else None

    def predict(self, obs: Any, action: Any, next_obs: Any) -> Float:
        """Return (B,) predictions, or the mean rate of what has ended until they are good."""
        inputs = _inputs(obs, action, next_obs)
        if self.ready:
            return self._ask(inputs)
        rates = [one.rate for one in self._episodes]
        return np.full(len(action), float(np.mean(rates)) if rates else 0.0)

    @property
    def ready(self) -> bool:
        """Whether enough episodes have ended."""
        return self._seen >= self.min_episodes and self._network is not None

    def _inputs_of(self, episode: Episode) -> Any:
        obs = episode.obs
        if isinstance(obs, dict):
            before = {key: leaf[:-1] for key, leaf in obs.items()}
            return _inputs(before, episode.action, {key: leaf[1:] for key, leaf in obs.items()})
        return _inputs(obs[:-1], episode.action, obs[1:])

    def _store(self, one: Stored) -> None:
        self._episodes.append(one)
        self._steps += len(one.inputs)
        self._seen += 1
        while self._steps > _STORED and len(self._episodes) > 1:
            self._steps -= len(self._episodes.popleft().inputs)

    def _fit(self, steps: int) -> None:
        self._owed += steps * self._rate
        updates = int(self._owed)
        if self._seen < self.min_episodes or not updates:
            return
        self._owed -= updates
        if self._network is None:
            self._begin(self._episodes[0].inputs.shape[1])
        lengths = np.array([len(one.inputs) for one in self._episodes], dtype=np.float64)
        for _ in range(updates):
            drawn = self._random.choice(len(lengths), _DRAWN, p=lengths / lengths.sum())
            self._update([self._episodes[i] for i in drawn.tolist()])

    def _begin(self, width: int) -> None:
        rows = np.concatenate([one.inputs for one in self._episodes])
        rates = np.array([one.rate for one in self._episodes])
        self._moments = {
            "input_mean": rows.mean(axis=0, dtype=np.float64),
            "input_std": rows.std(axis=0, dtype=np.float64) + _EPSILON,
            "rate_mean": np.array(rates.mean()),
            "rate_std": np.array(rates.std() + _EPSILON),
        }
        self._build(width)

    def _build(self, width: int) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(self._seed)
            self._network = nn.Sequential(
                nn.Linear(width, self._hidden),
                nn.ReLU(),
                nn.Linear(self._hidden, self._hidden),
                nn.ReLU(),
                nn.Linear(self._hidden, 1),
            )
        self._adam = torch.optim.Adam(self._network.parameters(), lr=self._lr)

    def _update(self, drawn: Sequence[Stored]) -> None:
        picked, kept = [], []
        for one in drawn:
            length = len(one.inputs)
            again = length < self.subset  # with replacement where an episode is too short
            rows = self._random.choice(length, self.subset, replace=again)
            picked.append(one.inputs[rows])
            kept.append(0.0 if length == 1 else (1.0 if again else 1.0 - self.subset / length))
        said = self._network(self._scaled(np.stack(picked)))[..., 0]
        mean, std = float(self._moments["rate_mean"]), float(self._moments["rate_std"])
        target = torch.tensor([(one.rate - mean) / std for one in drawn])
        loss = torch.square(target - said.mean(dim=1))
        if self.unbiased:
            loss = loss - torch.tensor(kept) * said.var(dim=1) / self.subset
        self._adam.zero_grad()
        torch.autograd.backward(loss.mean())
        self._adam.step()

    def _scaled(self, inputs: Any) -> torch.Tensor:
        scaled = (inputs - self._moments["input_mean"]) / self._moments["input_std"]
        return torch.as_tensor(scaled, dtype=torch.float32)

    def _ask(self, inputs: Any) -> Float:
        with torch.no_grad():
            said = self._network(self._scaled(inputs))[:, 0].numpy().astype(np.float64)
        credit: Float = self._moments["rate_mean"] + self._moments["rate_std"] * said
        return credit

    def state_dict(self) -> dict[str, Any]:
        """Return the network and its scales; episodes are gathered anew."""
        if self._network is None:
            return {"seen": self._seen}
        return {
            "seen": self._seen,
            "moments": copy.deepcopy(self._moments),
            "network": {k: v.numpy().copy() for k, v in self._network.state_dict().items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the network and its scales; the optimiser starts afresh."""
        self._seen = int(state["seen"])
        if "network" in state:
            self._moments = {k: np.asarray(v) for k, v in state["moments"].items()}
            self._build(len(self._moments["input_mean"]))
            weights = {k: torch.as_tensor(np.array(v)) for k, v in state["network"].items()}
            self._network.load_state_dict(weights)


def _inputs(obs: Any, action: Any, next_obs: Any) -> Any:
    """Return [s, a, s − s'] as (B, D) float32."""
    before, after, done = _flat(obs), _flat(next_obs), np.asarray(action)
    if done.dtype.kind != "f":
        raise RewardError(
            '"credit/rrd" reads continuous actions; given actions of type '
            f'{done.dtype}. Use "credit/uniform", or a world with a Box action space.'
        )
    return np.concatenate([before, done.reshape(len(done), -1), before - after], axis=1, dtype="f4")


def _flat(obs: Any) -> Any:
    leaves = list(obs.values()) if isinstance(obs, dict) else [obs]
    if not all(isinstance(leaf, np.ndarray) for leaf in leaves):
        raise RewardError('"credit/rrd" reads arrays of numbers, not text')
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1, dtype="f4")
