"""What credits learned from whole returns share: episodes, when to fit, whom to trust, states."""

from __future__ import annotations

import copy
import warnings
from abc import abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from densegym.errors import RewardError
from densegym.generators import generator_state, restore_generator
from densegym.reward_models.credit.fitting.inputs import inputs_of
from densegym.reward_models.credit.fitting.networks import (
    optimiser_state,
    restore_optimiser,
    restore_weights,
    seeded,
    weights_of,
)
from densegym.reward_models.credit.fitting.returns import Of, ReturnCredit
from densegym.reward_models.credit.fitting.scales import moments, standard
from densegym.reward_models.credit.fitting.store import (
    EpisodeStore,
    StoredEpisode,
    packed,
    unpacked,
)
from densegym.reward_models.options import check_stated, stated
from densegym.reward_models.types import Episode, Float, Need, TaskCard

_EPSILON = 1e-6
_HELD_OUT = 5  # every fifth episode judges the model instead of teaching it
_JUDGES = 40  # episodes that judge
_SCALED = 50_000  # latest steps that inputs are standardised by


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """Options of every fitted credit.

    Attributes:
        of: whose return is spread; None is the expert's where the task has an expert.
        updates_per_step: gradient steps per environment step, taken when episodes end.
        min_episodes: episodes before the network is asked.
        learning_rate: of Adam.
        hidden: width of the network.
    """

    of: Of | None = None
    updates_per_step: float = 0.025
    min_episodes: int = 10
    learning_rate: float = 1e-3
    hidden: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Explaining(Learning):
    """Options of credits that may have to explain returns before they are trusted.

    Attributes:
        min_explained: share of the variance of held-out returns that the network must explain
            before it is asked; until then credits are uniform. None holds out nothing and trusts
            it at once.
    """

    min_explained: float | None = None


class FittedCredit(ReturnCredit):
    """Stores episodes that end, fits a network to their returns, and credits them with it.

    Subclasses define ``_build``, ``_loss`` and ``_spread``. Inputs and returns are standardised
    by the latest episodes whenever their number has doubled. Until ``ready``, credits are uniform,
    and while all episodes paid the same per step there is nothing to fit.

    Args:
        task: the task's card.
        options: see ``Learning``.
        seed: of weights and draws.
        min_explained: see ``Explaining``.

    Attributes:
        drawn: episodes per update.
        pays_first: whether episodes are paid by the network as it was before it learned from them.
        by_length: whether they are drawn in proportion to their length.
    """

    traits = ReturnCredit.traits.replace(needs=Need.OBS)
    drawn = 4
    by_length = False
    pays_first = False
    options: Learning

    def __init__(
        self,
        task: TaskCard,
        options: Learning,
        *,
        seed: int = 0,
        min_explained: float | None = None,
    ) -> None:
        super().__init__(task, options.of)
        self.options = options
        self.min_episodes, self.min_explained = options.min_episodes, min_explained
        self._rate, self._lr = options.updates_per_step, options.learning_rate
        self._hidden, self._seed = options.hidden, seed
        if self.min_episodes < 1 or self._rate <= 0:
            raise RewardError(
                f'"{self.name}" takes min_episodes from 1 up and updates_per_step above 0; given '
                f"{self.min_episodes} and {self._rate}"
            )
        self._random = np.random.default_rng(self._seed)
        self._store = EpisodeStore()
        self._judges: deque[StoredEpisode] = deque(maxlen=_JUDGES)
        self._seen, self._owed = 0, 0.0
        self._scaled_at = 0  # episodes seen when moments were taken
        self._rates: set[float] = set()  # at most two
        self._explained = float("nan")
        self._unread = 0
        self._network: Any = None
        self._taught = False
        self._moments: dict[str, Float] = {}

    @abstractmethod
    def _build(self, width: int) -> Any:
        """Return the network for inputs of ``width`` columns, its weights drawn from torch."""

    @abstractmethod
    def _loss(self, drawn: Sequence[StoredEpisode]) -> torch.Tensor:
        """Return the loss on drawn episodes."""

    @abstractmethod
    def _spread(self, one: StoredEpisode) -> Float:
        """Return the (T,) credits of an episode whose return is known."""

    def _total(self, one: StoredEpisode) -> float:
        """Return what the network takes an episode's return for."""
        return float(self._spread(one).sum())

    def _guess(self, inputs: Any) -> Float | None:
        """Return (t,) credits of an unfinished episode, or None where its return must be known."""
        return None

    def finish(self, episodes: Sequence[Episode]) -> Sequence[Float]:
        """Take in the episodes, fit, and return credits for every step."""
        stored = [self._stored(one) for one in episodes]
        early = self._credits(stored) if self.pays_first else None
        for one in stored:
            self._take_in(one)
        self._fit(sum(len(one.inputs) for one in stored))
        return self._credits(stored) if early is None else early

    def judge(self, episodes: Sequence[Episode]) -> Sequence[Float]:
        """Return the network's credits without learning from the episodes."""
        return self._credits([self._stored(one) for one in episodes])

    def predicted_return(self, episode: Episode) -> float:
        """Return what the network takes the episode's return for; NaN until it is fitted."""
        one = self._stored(episode)
        return float("nan") if self._network is None else self._total(one)

    def estimate(self, prefix: Episode) -> Float | None:
        """Return credits of an unfinished episode, where the network can know them."""
        return self._guess(self._inputs_of(prefix)) if self.ready else None

    @property
    def ready(self) -> bool:
        """Whether the network has been fitted and is trusted."""
        if not self._taught or self._seen < self.min_episodes:
            return False
        return self.min_explained is None or self._explained >= self.min_explained

    def metrics(self) -> dict[str, float]:
        """Return whether the network is asked, and what it explains of held-out returns.

        ``credit/unread`` counts episodes in which something that was not finite was seen.
        """
        told = {"credit/ready": float(self.ready), "credit/unread": float(self._unread)}
        if self.min_explained is not None and np.isfinite(self._explained):
            told["credit/explained_variance"] = self._explained
        return told

    def _stored(self, episode: Episode) -> StoredEpisode:
        return StoredEpisode(self._inputs_of(episode), float(self.rewards(episode).sum()))

    def _credits(self, stored: Sequence[StoredEpisode]) -> list[Float]:
        spread = self._spread if self.ready else self._unready
        return [spread(one) for one in stored]

    def _unready(self, one: StoredEpisode) -> Float:
        """Return the (T,) credits of an episode until the network is trusted."""
        return np.full(len(one.inputs), one.rate)

    def _inputs_of(self, episode: Episode) -> Any:
        return inputs_of(episode)

    def _take_in(self, one: StoredEpisode) -> None:
        self._seen += 1
        if not np.isfinite(one.inputs).all():
            self._unread += 1
            if self._unread == 1:
                warnings.warn(
                    f'"{self.name}" saw numbers that are NaN or infinite and takes their means '
                    "instead; credit/unread counts such episodes. Mend what the world shows.",
                    stacklevel=2,
                )
        if self.min_explained is not None and self._seen % _HELD_OUT == 0:
            self._judges.append(one)
        else:
            self._store.put(one)
            if len(self._rates) < 2:
                self._rates.add(one.rate)

    def _differ(self) -> bool:
        """Return whether episodes differ in what is fitted to."""
        return len(self._rates) > 1

    def _fit(self, steps: int) -> None:
        self._owed += steps * self._rate
        updates = int(self._owed)
        if self._seen < self.min_episodes or not updates or not len(self._store):
            return
        self._owed -= updates
        if not self._differ():
            return
        if self._seen >= 2 * self._scaled_at:
            self._standardise()
            self._scaled_at = self._seen
        if self._network is None:
            self._begin()
        self._refit(updates)
        if self.min_explained is not None:
            self._explained = self._explain()

    def _refit(self, updates: int) -> None:
        for _ in range(updates):
            drawn = self._draw()
            if drawn:
                descend(self._adam, self._loss(drawn))
                self._taught = True

    def _draw(self) -> list[StoredEpisode]:
        """Return the episodes of one update; none where there is nothing to learn from."""
        return self._store.draw(self._random, self.drawn, by_length=self.by_length)

    def _explain(self) -> float:
        """Return the share of the variance of held-out returns that is explained; NaN unknown."""
        totals = np.array([one.total for one in self._judges])
        if len(totals) < 2 or totals.std() < _EPSILON:
            return float("nan")
        errors = totals - np.array([self._total(one) for one in self._judges])
        return 1.0 - float(errors.var() / totals.var())

    def _standardise(self) -> None:
        mean, std = moments(np.concatenate(self._store.latest(_SCALED)))
        rate_mean, rate_std = moments(np.array([one.rate for one in self._store]))
        self._moments = {
            "input_mean": mean,
            "input_std": std,
            "rate_mean": rate_mean,
            "rate_std": rate_std,
        }

    def _begin(self) -> None:
        width = len(self._moments["input_mean"])
        self._network = seeded(self._seed, lambda: self._build(width))
        self._adam = torch.optim.Adam(self._network.parameters(), lr=self._lr)

    def _scaled(self, inputs: Any) -> torch.Tensor:
        scaled = standard(inputs, self._moments["input_mean"], self._moments["input_std"])
        return torch.as_tensor(scaled)

    def _unscaled(self, said: torch.Tensor) -> Float:
        """Return rewards per step for outputs of unit scale."""
        rewards: Float = self._moments["rate_mean"] + self._moments["rate_std"] * said.numpy()
        return rewards

    def _target(self, one: StoredEpisode) -> float:
        """Return R / T in units of its deviation."""
        return float((one.rate - self._moments["rate_mean"]) / self._moments["rate_std"])

    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Return what descends, by name, once there is a network."""
        return {"adam": self._adam}

    def _pack(self, more: Any) -> Any:
        """Return what is kept of an episode besides its inputs as arrays and plain values."""
        return more

    def _unpack(self, packed: Any) -> Any:
        """Return what ``_pack`` was given."""
        return packed

    def state_dict(self) -> dict[str, Any]:
        """Return network, optimiser, scales, options, generator and the episodes learned from."""
        kept: dict[str, Any] = {
            "options": stated(self.options),
            "seen": self._seen,
            "owed": self._owed,
            "scaled_at": self._scaled_at,
            "rates": sorted(self._rates),
            "explained": self._explained,
            "unread": self._unread,
            "taught": self._taught,
            "random": generator_state(self._random),
            "store": packed(self._store, self._pack),
            "judges": packed(self._judges, self._pack),
        }
        if self._network is not None:
            kept["moments"] = copy.deepcopy(self._moments)
            kept["network"] = weights_of(self._network)
            kept["optimisers"] = {k: optimiser_state(v) for k, v in self._optimisers().items()}
        return kept

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned.

        Raises:
            RewardError: the network was fitted with other options.
        """
        check_stated(self.name, state.get("options", {}), self.options)
        self._seen, self._explained = int(state["seen"]), float(state["explained"])
        self._taught, self._scaled_at = bool(state["taught"]), int(state["scaled_at"])
        self._owed, self._rates = float(state["owed"]), set(state["rates"])
        self._unread = int(state["unread"])
        restore_generator(self._random, state["random"])
        for kept, put in (
            (state["store"], self._store.put),
            (state["judges"], self._judges.append),
        ):
            for one in unpacked(kept, self._unpack):
                put(one)
        if "network" in state:
            self._moments = {k: np.asarray(v) for k, v in state["moments"].items()}
            self._begin()
            restore_weights(self._network, state["network"])
            for name, optimiser in self._optimisers().items():
                restore_optimiser(optimiser, state["optimisers"][name])


def descend(adam: torch.optim.Adam, loss: torch.Tensor) -> None:
    """Take one step down a loss, its gradient's norm held to 10."""
    adam.zero_grad()
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(adam.param_groups[0]["params"], 10.0)
    adam.step()


def conserved(credit: Float, total: float) -> Float:
    """Return credits whose missing share of the return is spread evenly."""
    share: Float = credit + (total - credit.sum()) / len(credit)
    return share
