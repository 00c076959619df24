"""Implicit process rewards: r_t = β (log π_φ(a_t|s_t) − log π_ref(a_t|s_t)), fitted to outcomes.

π_φ is a policy that learns which episodes came out well and is never acted with; what it makes
likelier than the reference is worth a reward. iStar's OPRL (arXiv 2509.19199) fits it by trajectory
DPO, PRIME (arXiv 2502.01456) by cross-entropy.

Departures. A reward model does not know the learner, so both policies are small networks of its
own, on states instead of histories. The reference, theirs a snapshot of the policy, is fitted by
maximum likelihood to the actions of recent episodes and held fixed while π_φ is fitted; an agent
that tells ``info["log_prob"]`` at every step of an episode has its own word taken instead. π_φ
starts as a copy of the reference. Rewards are held within ± 5 β, because densities have no bound.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from densegym.errors import RewardError
from densegym.reward_models.credit.fitting.fitted import descend
from densegym.reward_models.credit.fitting.judged import JudgedCredit, Judging
from densegym.reward_models.credit.fitting.policies import (
    Acts,
    Kind,
    acts,
    acts_of,
    joined,
    policy,
    told_by,
)
from densegym.reward_models.credit.fitting.scales import moments
from densegym.reward_models.credit.fitting.store import StoredEpisode
from densegym.reward_models.credit.outcomes import Ending, packed_ending, unpacked_ending
from densegym.reward_models.traits import Promises
from densegym.reward_models.types import Episode, Float, TaskCard

_BOUND = 5.0  # most of |r| / β
_FIRST = 200  # updates of the reference before π_φ becomes its copy
_IMITATED = 4  # episodes per update of the reference


class _Lesson(NamedTuple):
    """What is kept of an episode: its steps, the agent's own log-probabilities, its ending."""

    acts: Acts
    told: Any
    ending: Ending


@dataclass(frozen=True, slots=True, kw_only=True)
class ImplicitOptions(Judging):
    """Options of implicit rewards.

    Attributes:
        of: whose return stands in until there is something to compare, and is compared under
            ``success="return"``; None is the expert's where the task has an expert.
        hidden: width of both policies' two hidden layers.
        beta: β, what a unit of the log-ratio is worth; rewards are held within ± 5 β.
    """

    beta: float = 0.05


class ImplicitCredit(JudgedCredit):
    """What OPRL and PRIME share: two policies and their log-ratio; subclasses fit it.

    An episode is paid before it is learned from, by the π_φ of the iteration before. Until π_φ
    has had something to compare, credits are R / T, held within the same bounds.

    Args:
        task: the task's card.
        options: see ``ImplicitOptions``.
        seed: of weights and draws.
        task_key: as of ``JudgedCredit``.
    """

    traits = JudgedCredit.traits.replace(markov=True)

    def __init__(
        self,
        task: TaskCard,
        options: ImplicitOptions,
        *,
        seed: int = 0,
        task_key: str | None = None,
    ) -> None:
        super().__init__(task, options, seed=seed, task_key=task_key)
        beta = options.beta
        if beta <= 0:
            raise RewardError(f'"{self.name}" takes beta above 0; given {beta}')
        self.beta = beta
        self._kind: Kind = "vector"
        self._size, self._copied, self._last_loss = 0, False, float("nan")
        self.bound = _BOUND * beta
        promises = Promises("episode", causal=True, bounds=(-self.bound, self.bound))
        self.traits = self.traits.replace(promises=promises)

    @abstractmethod
    def _lesson_loss(self, drawn: Sequence[StoredEpisode], sums: torch.Tensor) -> torch.Tensor:
        """Return the loss of π_φ for episodes whose rewards add up to ``sums`` (B,)."""

    def predict(self, obs: Any, action: Any, next_obs: Any) -> Float:
        """Return (B,) rewards of single steps, or the mean rate until they can be known."""
        if self.ready:
            return self._paid([(acts(obs, action), None)])[0]
        rates = [one.rate for one in self._store]
        return self._held(np.full(len(action), float(np.mean(rates)) if rates else 0.0))

    def estimate(self, prefix: Episode) -> Float | None:
        """Return the rewards of an unfinished episode, where π_φ can know them."""
        return self._paid([(acts_of(prefix), told_by(prefix))])[0] if self.ready else None

    def metrics(self) -> dict[str, float]:
        """Return whether π_φ is asked, and its last loss."""
        told = super().metrics()
        return told | ({"credit/loss": self._last_loss} if self._taught else {})

    def ratios(self, steps: Sequence[tuple[Acts, Any]]) -> list[torch.Tensor]:
        """Return (T,) rewards of each of some episodes, with the gradient of π_φ and unbounded.

        Args:
            steps: of each episode, and its (T,) told log-probabilities or None.
        """
        every = joined([one for one, _ in steps])
        rows, seen = self._scaled(every.states), self._standard(every)
        lengths = [len(one.states) for one, _ in steps]
        said = self._network["learnt"](rows, seen).split(lengths)
        with torch.no_grad():
            cloned = self._network["reference"](rows, seen).split(lengths)
        unit = float(np.log(self._moments["action_std"]).sum()) if every.kind == "vector" else 0.0
        return [
            self.beta * (new - (old if told is None else told + unit))
            for new, old, (_, told) in zip(said, cloned, steps, strict=True)
        ]

    def _paid(self, steps: Sequence[tuple[Acts, Any]]) -> list[Float]:
        with torch.no_grad():
            return [self._held(one.numpy()) for one in self.ratios(steps)]

    def _held(self, credit: Any) -> Float:
        return np.clip(np.asarray(credit, dtype=np.float64), -self.bound, self.bound)

    def _stored(self, episode: Episode) -> StoredEpisode:
        total, seen = float(self.rewards(episode).sum()), acts_of(episode)
        lesson = _Lesson(seen, told_by(episode), self._read(episode, total))
        return StoredEpisode(seen.states, total, lesson)

    def _spread(self, one: StoredEpisode) -> Float:
        return self._paid([one.more[:2]])[0]

    def _unready(self, one: StoredEpisode) -> Float:
        return self._held(super()._unready(one))

    def _standardise(self) -> None:
        super()._standardise()
        every = joined([one.more.acts for one in self._store])
        self._kind, self._size = every.kind, every.size
        if self._kind == "vector":
            self._moments["action_mean"], self._moments["action_std"] = moments(every.taken)

    def _standard(self, seen: Acts) -> Acts:
        """Return steps with actions of unit scale; ratios of densities do not depend on it."""
        if seen.kind != "vector":
            return seen
        taken = (seen.taken - self._moments["action_mean"]) / self._moments["action_std"]
        return seen._replace(taken=taken.astype("f4"))

    def _build(self, width: int) -> Any:
        made = {
            name: policy(self._kind, width, self._size, self._hidden)
            for name in ("learnt", "reference")
        }
        return nn.ModuleDict(made)

    def _begin(self) -> None:
        super()._begin()
        learnt, reference = self._network["learnt"], self._network["reference"]
        self._adam = torch.optim.Adam(learnt.parameters(), lr=self._lr)
        self._imitating = torch.optim.Adam(reference.parameters(), lr=self._lr)

    def _refit(self, updates: int) -> None:
        first = 0 if self._copied else _FIRST
        for _ in range(updates + first):
            drawn = self._store.draw(self._random, _IMITATED, by_length=True)
            seen = self._standard(joined([one.more.acts for one in drawn]))
            likely = self._network["reference"](self._scaled(seen.states), seen)
            descend(self._imitating, -likely.mean())
        if not self._copied:
            self._network["learnt"].load_state_dict(self._network["reference"].state_dict())
            self._copied = True
        super()._refit(updates)

    def _loss(self, drawn: Sequence[StoredEpisode]) -> torch.Tensor:
        sums = torch.stack([part.sum() for part in self.ratios([one.more[:2] for one in drawn])])
        loss = self._lesson_loss(drawn, sums)
        self._last_loss = loss.item()
        return loss

    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {**super()._optimisers(), "imitating": self._imitating}

    def _pack(self, more: Any) -> Any:
        told = None if more.told is None else more.told.numpy()
        return [list(more.acts), told, packed_ending(more.ending)]

    def _unpack(self, packed: Any) -> Any:
        seen, told, ending = packed
        known = None if told is None else torch.as_tensor(np.array(told))
        return _Lesson(Acts(*seen), known, unpacked_ending(ending))

    def state_dict(self) -> dict[str, Any]:
        """Return both policies and what else fitted models keep."""
        own = {"kind": self._kind, "size": self._size, "copied": self._copied}
        return {**super().state_dict(), **own, "last_loss": self._last_loss}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        self._kind, self._size = state["kind"], int(state["size"])
        self._copied, self._last_loss = bool(state["copied"]), float(state["last_loss"])
        super().load_state_dict(state)


@dataclass(frozen=True, slots=True, kw_only=True)
class OPRLOptions(ImplicitOptions):
    """Options of implicit rewards of compared episodes.

    Attributes:
        margin: None pairs successes with failures; a number pairs episodes whose outcomes differ
            by more than this, whatever the threshold.
        task_key: the info key that names a task; only episodes of one are paired. Where no step
            tells it, or with None, all are of one.
    """

    margin: float | None = None
    task_key: str | None = "goal_id"


class OPRLCredit(ImplicitCredit):
    """Implicit rewards of compared episodes: ``reward="credit/oprl"``.

    OPRL of iStar, Liu et al. 2025, arXiv 2509.19199: −log σ(Σ r(τ⁺) − Σ r(τ⁻)) over all pairs of
    a success and a failure of one task. Rewards are summed over steps, as in the paper; its
    reference code takes their mean and detaches them before the loss, so that nothing is learned.
    It gains most beside the advantages: ``["env", "credit/oprl"]`` with
    ``--set extra.step_advantage=1``.

    Args:
        task: the task's card.
        options: see ``OPRLOptions``.
        seed: of weights and draws.
    """

    name = "credit/oprl"

    def __init__(self, task: TaskCard, options: OPRLOptions, *, seed: int = 0) -> None:
        super().__init__(task, options, seed=seed, task_key=options.task_key)
        margin = options.margin
        if margin is not None and margin < 0:
            raise RewardError(f'"{self.name}" takes a margin of at least 0; given {margin}')
        self.margin = margin

    def pairs(self, episodes: Sequence[StoredEpisode]) -> Any:
        """Return (B, B) bool, whether the first is of the second's task and came out better."""
        values = np.array([self._value(one) for one in episodes])
        tasks = [one.more.ending.task for one in episodes]
        numbers = {task: k for k, task in enumerate(dict.fromkeys(tasks))}
        of_task = np.array([numbers[task] for task in tasks])
        better = values[:, None] - values[None, :] > (self.margin or 0.0)
        return better & (of_task[:, None] == of_task[None, :])

    def _value(self, one: StoredEpisode) -> float:
        ending: Ending = one.more.ending
        return float(ending.success) if self.margin is None else ending.value

    def _draw(self) -> list[StoredEpisode]:
        """Return episodes of tasks that have pairs, an extreme pair of each among them."""
        by_task: dict[Any, list[StoredEpisode]] = {}
        for one in self._store:
            by_task.setdefault(one.more.ending.task, []).append(one)
        groups = [group for group in by_task.values() if self._spreads(group)]
        picked: list[StoredEpisode] = []
        for k in self._random.permutation(len(groups)).tolist():
            if len(picked) + 2 > self.drawn:
                break
            picked += self._some(groups[k], self.drawn - len(picked))
        return picked

    def _spreads(self, group: Sequence[StoredEpisode]) -> bool:
        values = [self._value(one) for one in group]
        return max(values) - min(values) > (self.margin or 0.0)

    def _some(self, group: Sequence[StoredEpisode], most: int) -> list[StoredEpisode]:
        order = self._random.permutation(len(group)).tolist()
        order.sort(key=lambda i: self._value(group[i]))
        low, *between, high = order
        kept = self._random.permutation(between)[: most - 2].tolist()
        return [group[i] for i in (low, high, *kept)]

    def _lesson_loss(self, drawn: Sequence[StoredEpisode], sums: torch.Tensor) -> torch.Tensor:
        return pair_loss(sums, torch.as_tensor(self.pairs(drawn)))


class PRIMECredit(ImplicitCredit):
    """Implicit rewards whose sum is the log-odds of success: ``reward="credit/prime"``.

    PRIME, Cui et al. 2025, arXiv 2502.01456: binary cross-entropy of σ(Σ r) against success, so
    outcomes are 0 or 1. Departure: it learns whenever recent episodes hold both outcomes; the
    paper leaves out prompts that are nearly always, or nearly never, solved.

    Args:
        task: the task's card.
        options: see ``ImplicitOptions``.
        seed: of weights and draws.
    """

    name = "credit/prime"

    def __init__(self, task: TaskCard, options: ImplicitOptions, *, seed: int = 0) -> None:
        super().__init__(task, options, seed=seed)

    def _draw(self) -> list[StoredEpisode]:
        outcomes = {one.more.ending.success for one in self._store}
        return super()._draw() if len(outcomes) == 2 else []

    def _lesson_loss(self, drawn: Sequence[StoredEpisode], sums: torch.Tensor) -> torch.Tensor:
        successes = torch.tensor([float(one.more.ending.success) for one in drawn])
        return functional.binary_cross_entropy_with_logits(sums, successes)


def pair_loss(sums: torch.Tensor, better: torch.Tensor) -> torch.Tensor:
    """Return the mean of −log σ(Σ r(i) − Σ r(j)) where ``better[i, j]``; 0 where there is no pair.

    Args:
        sums: (B,) rewards of whole episodes.
        better: (B, B) bool.
    """
    if not better.any():
        return sums.sum() * 0.0
    return functional.softplus(sums[None, :] - sums[:, None])[better].mean()
