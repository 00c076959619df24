"""Small policies of a reward model's own: how likely an action was, whatever its kind.

A reward model does not know the learner, so these stand in for its policy: a categorical one per
whole number, a diagonal Gaussian, or scores of the candidates that a choice was made from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import nn

from densegym.errors import RewardError
from densegym.reward_models.batch import map_leaves
from densegym.reward_models.credit.fitting.inputs import CHOICES, offered, states
from densegym.reward_models.credit.fitting.networks import mlp
from densegym.reward_models.types import Episode

Kind: TypeAlias = Literal["numbers", "vector", "choice"]
_LOG_STD = (-5.0, 2.0)


class Acts(NamedTuple):
    """B steps as a policy sees them.

    Attributes:
        states: (B, D) float32, what it acted on.
        taken: what it did: (B, k) int64 whole numbers, (B, k) float32, or (B, 1) int64, the place
            of the candidate that was chosen among those of its step.
        options: (M, F) float32, the candidates of all steps one after another, or None.
        counts: (B,) int64, how many of them belong to each step, or None.
    """

    states: Any
    taken: Any
    options: Any = None
    counts: Any = None

    @property
    def kind(self) -> Kind:
        """What was done: whole numbers, a vector, or a choice among candidates."""
        if self.options is not None:
            return "choice"
        return "numbers" if self.taken.dtype.kind == "i" else "vector"

    @property
    def size(self) -> int:
        """Numbers per action, or features per candidate."""
        return int((self.taken if self.options is None else self.options).shape[1])


def acts_of(episode: Episode) -> Acts:
    """Return the steps of an episode; see ``acts``."""
    return acts(map_leaves(lambda leaf: leaf[:-1], episode.obs), episode.action)


def acts(obs: Any, action: Any) -> Acts:
    """Return B steps as policies see them; whole numbers are taken modulo 128.

    Raises:
        RewardError: text actions, or observations that are too wide.
    """
    if isinstance(action, list):
        raise RewardError(
            "an action that is text has no probability under a small policy. Use the choice "
            'interface (DenseGym/ShopChoice-v0), or "credit/spa".'
        )
    taken = np.asarray(action).reshape(len(action), -1)
    if isinstance(obs, dict) and "cands" in obs:
        return _choices(obs, taken[:, 0].astype(np.int64))
    if taken.dtype.kind in "iub":
        return Acts(states(obs), taken.astype(np.int64) % CHOICES)
    return Acts(states(obs), taken.astype("f4"))


def _choices(obs: Any, taken: Any) -> Acts:
    rows, there = np.arange(len(taken)), offered(obs).copy()
    there[rows, taken] = True  # a masked candidate can be taken: an invalid step
    place = np.cumsum(there, axis=1)[rows, taken] - 1
    options = np.asarray(obs["cands"])[there].astype("f4")
    return Acts(states(obs), place[:, None], options, there.sum(axis=1))


def joined(parts: Sequence[Acts]) -> Acts:
    """Return the steps of several episodes, one after another."""
    columns: list[Any] = list(zip(*parts, strict=True))
    return Acts(*(None if c[0] is None else np.concatenate(c) for c in columns))


def told_by(episode: Episode) -> Any:
    """Return the agent's own (T,) log-probabilities, or None unless every step tells one.

    Raises:
        RewardError: one of them is NaN or infinite.
    """
    if not all("log_prob" in info for info in episode.info):
        return None
    told = torch.tensor([float(info["log_prob"]) for info in episode.info])
    if not torch.isfinite(told).all():
        step = int(torch.argmin(torch.isfinite(told).int()))
        raise RewardError(
            f'info["log_prob"] is {float(told[step])} in lane {episode.slot} at step {step}; it is '
            "the log-probability, or log-density, of the action as it was taken"
        )
    return told


def policy(kind: Kind, width: int, size: int, hidden: int) -> nn.Module:
    """Return a module from scaled states (B, D) and their ``Acts`` to (B,) log-probabilities."""
    made = {"numbers": NumbersPolicy, "vector": VectorPolicy, "choice": ChoicePolicy}[kind]
    return made(width, size, hidden)


class NumbersPolicy(nn.Module):
    """Independent categorical distributions over 128 whole numbers each."""

    def __init__(self, width: int, size: int, hidden: int) -> None:
        super().__init__()
        self.logits = mlp(width, hidden, size * CHOICES)

    def forward(self, rows: torch.Tensor, seen: Acts) -> torch.Tensor:
        """Return (B,) log-probabilities."""
        taken = torch.as_tensor(seen.taken)
        logits = self.logits(rows).view(*taken.shape, CHOICES).log_softmax(-1)
        chosen: torch.Tensor = logits.gather(-1, taken[..., None])[..., 0].sum(-1)
        return chosen


class VectorPolicy(nn.Module):
    """A Gaussian whose mean depends on the state; its deviations do not."""

    def __init__(self, width: int, size: int, hidden: int) -> None:
        super().__init__()
        self.mean = mlp(width, hidden, size)
        self.log_std = nn.Parameter(torch.zeros(size))

    def forward(self, rows: torch.Tensor, seen: Acts) -> torch.Tensor:
        """Return (B,) log-densities."""
        std = self.log_std.clamp(*_LOG_STD).exp()
        normal = torch.distributions.Normal(self.mean(rows), std, validate_args=False)
        density: torch.Tensor = normal.log_prob(torch.as_tensor(seen.taken)).sum(-1)  # type: ignore[no-untyped-call]
        return density


class ChoicePolicy(nn.Module):
    """Scores every candidate of a step with one network, so their order does not matter."""

    def __init__(self, width: int, size: int, hidden: int) -> None:
        super().__init__()
        self.around = nn.Linear(width, hidden)
        self.candidate = nn.Linear(size, hidden, bias=False)
        self.score = nn.Sequential(
            nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def forward(self, rows: torch.Tensor, seen: Acts) -> torch.Tensor:
        """Return (B,) log-probabilities of the chosen candidates."""
        counts = torch.as_tensor(seen.counts)
        lane = torch.arange(len(rows)).repeat_interleave(counts)
        place = torch.arange(len(lane)) - (counts.cumsum(0) - counts)[lane]
        scores = self.score(self.around(rows)[lane] + self.candidate(torch.as_tensor(seen.options)))
        logits = torch.full((len(rows), int(counts.max())), -torch.inf)
        logits = logits.index_put((lane, place), scores[:, 0]).log_softmax(-1)
        return logits.gather(-1, torch.as_tensor(seen.taken))[:, 0]
