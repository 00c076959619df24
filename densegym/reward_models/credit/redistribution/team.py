"""Credit for teams: one return of all agents of a game, spread over agents and steps.

After the multi-agent part of LaRe (Qu et al. 2025, arXiv 2412.11120): authored factors of each
agent's step and one decoder that all agents share are fitted so that its sum over agents and steps
is the team's return. Lanes of one game find each other by ``info["team/game"]`` and
``info["team/size"]``. What is added: the part of the return that the decoder misses is spread
evenly, and the decoder is linear unless asked otherwise, with a ridge, because agents that act
alike make the columns of the fit alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from densegym.errors import RewardError
from densegym.reward_models.credit.fitting.fitted import FittedCredit, conserved
from densegym.reward_models.credit.fitting.returns import Of, ReturnCredit
from densegym.reward_models.credit.fitting.store import StoredEpisode
from densegym.reward_models.credit.redistribution.lare import LaReCredit, LaReOptions
from densegym.reward_models.credit.redistribution.rrd import RRDCredit, RRDOptions
from densegym.reward_models.traits import Promises
from densegym.reward_models.types import Episode, Float, TaskCard

_TEAM = Promises("episode", causal=False)
_LEAST = 1e-5  # deviation of team means below which a factor's worth cannot be told from returns


class Rolls:
    """Collects the episodes of a team until all its agents have ended theirs."""

    def __init__(self, reward: str) -> None:
        self._reward = reward
        self._open: dict[int, dict[int, Episode]] = {}

    def put(self, episode: Episode) -> list[Episode] | None:
        """Add an episode; return those of the whole team, by agent, once it is complete.

        Raises:
            RewardError: the world has one agent.
        """
        game, agent, size = self._place(episode)
        there = self._open.setdefault(game, {})
        if agent in there:  # a reset cut the others off
            there.clear()
        there[agent] = episode
        if len(there) < size:
            return None
        return [member for _, member in sorted(self._open.pop(game).items())]

    def _place(self, episode: Episode) -> tuple[int, int, int]:
        told = episode.info[-1]
        if "team/size" not in told:
            raise RewardError(
                f'"{self._reward}" spreads the return of a team, and this world has one agent. '
                'Use "credit/uniform", "credit/rrd" or "credit/lare".'
            )
        return int(told["team/game"]), int(told["team/agent"]), int(told["team/size"])


class UniformTeamCredit(ReturnCredit):
    """Every step of every agent earns R / (n T): ``reward="credit/uniform-team"``.

    R is the sum of all agents' returns. An agent that ends before its team earns nothing, and the
    rest is spread over those who are there when it ends.

    Args:
        task: the task's card.
        of: ``"env"`` or ``"expert"``, whose return is spread.
    """

    name = "credit/uniform-team"
    traits = ReturnCredit.traits.replace(promises=_TEAM)

    def __init__(self, task: TaskCard, of: Of | None = None) -> None:
        super().__init__(task, of)
        self._rolls = Rolls(self.name)

    def finish(self, episodes: Sequence[Episode]) -> Sequence[Float]:
        """Return the credits of every step of every agent."""
        credits: list[Float] = [np.zeros(len(one.env_reward)) for one in episodes]
        places = {id(one): i for i, one in enumerate(episodes)}
        for one in episodes:
            team = self._rolls.put(one)
            if team is None:
                continue
            total = sum(float(self.rewards(member).sum()) for member in team)
            present = [places[id(member)] for member in team if id(member) in places]
            steps = sum(len(credits[place]) for place in present)
            for place in present:
                credits[place][:] = total / steps
        return credits


class _Team(FittedCredit):
    """Fits and pays whole teams: the steps of all agents, one after another, are one episode."""

    _rolls: Rolls
    agent_part: bool

    def finish(self, episodes: Sequence[Episode]) -> Sequence[Float]:
        """Take in the teams that are complete, fit, and return credits for every step."""
        credits: list[Float] = [np.zeros(len(one.env_reward)) for one in episodes]
        places = {id(one): i for i, one in enumerate(episodes)}
        teams = [team for team in map(self._rolls.put, episodes) if team is not None]
        stored = [self._team(team) for team in teams]
        for one in stored:
            self._take_in(one)
        self._fit(sum(len(one.inputs) for one in stored))
        for team, one in zip(teams, stored, strict=True):
            shares = self._shares(team, one)
            for member, share in zip(team, shares, strict=True):
                if id(member) in places:
                    credits[places[id(member)]] = share
        return credits

    def judge(self, episodes: Sequence[Episode]) -> Sequence[Float]:
        """Return the credits of one whole team without learning from it."""
        return self._shares(episodes, self._team(episodes))

    def _team(self, team: Sequence[Episode]) -> StoredEpisode:
        total = sum(float(self.rewards(member).sum()) for member in team)
        rows = [self._inputs_of(member) for member in team]
        if not self.agent_part:
            return StoredEpisode(_mean_rows(rows), total)
        return StoredEpisode(np.concatenate(rows), total)

    def _shares(self, team: Sequence[Episode], one: StoredEpisode) -> list[Float]:
        """Return (T,) credits per agent, which add up to the team's return."""
        (credit,) = self._credits([one])
        credit = conserved(credit, one.total)
        lengths = [len(member.env_reward) for member in team]
        if self.agent_part:
            return np.split(credit, np.cumsum(lengths)[:-1])
        there = np.array([np.arange(len(credit)) < length for length in lengths]).sum(axis=0)
        return [(credit / there)[:length] for length in lengths]

    def estimate(self, prefix: Episode) -> Float | None:
        """Return credits of an agent's unfinished episode, where its own steps tell."""
        return super().estimate(prefix) if self.agent_part else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RRDTeamOptions(RRDOptions):
    """Options of team credits fitted on drawn steps.

    Attributes:
        agent_part: tell agents apart; False credits a step of all agents as one: the control.
    """

    agent_part: bool = True


class RRDTeamCredit(_Team, RRDCredit):
    """A network of an agent's step, fitted to team returns: ``reward="credit/rrd-team"``.

    Args:
        task: the task's card.
        options: see ``RRDTeamOptions``.
        seed: of weights and draws.
    """

    name = "credit/rrd-team"
    traits = RRDCredit.traits.replace(promises=_TEAM)

    def __init__(self, task: TaskCard, options: RRDTeamOptions, *, seed: int = 0) -> None:
        super().__init__(task, options, seed=seed)
        self._rolls, self.agent_part = Rolls(self.name), options.agent_part


@dataclass(frozen=True, slots=True, kw_only=True)
class LaReTeamOptions(LaReOptions):
    """Options of team credits decoded from factors.

    Attributes:
        agent_part: tell agents apart; False credits a step of all agents as one: the control.
        decoder: ``"linear"``, solved at once, or ``"mlp"``, LaRe's own, by gradient steps.
        ridge: of the linear decoder, in units of the columns' variance.
    """

    agent_part: bool = True
    decoder: Literal["linear", "mlp"] = "linear"
    ridge: float = 1e-3


class LaReTeamCredit(_Team, LaReCredit):
    """Credits of agents decoded from authored factors: ``reward="credit/lare-team"``.

    Args:
        task: the task's card.
        options: see ``LaReTeamOptions``.
        seed: of weights and draws.

    Raises:
        RewardError: another decoder, or a ridge that is not positive.
    """

    name = "credit/lare-team"
    traits = LaReCredit.traits.replace(promises=_TEAM)

    def __init__(self, task: TaskCard, options: LaReTeamOptions, *, seed: int = 0) -> None:
        super().__init__(task, options, seed=seed)
        if options.decoder not in ("linear", "mlp") or options.ridge <= 0:
            raise RewardError(
                f'"{self.name}" takes decoder="linear" or "mlp" and a ridge above 0; given '
                f"{options.decoder!r} and {options.ridge}"
            )
        self._rolls, self.agent_part = Rolls(self.name), options.agent_part
        self._linear, self._ridge = options.decoder == "linear", options.ridge

    def _build(self, width: int) -> Any:
        return nn.Linear(width, 1) if self._linear else super()._build(width)

    def _refit(self, updates: int) -> None:
        if not self._linear:
            super()._refit(updates)
            return
        rows = torch.stack([self._scaled(one.inputs).mean(dim=0) for one in self._store]).double()
        targets = torch.tensor([self._target(one) for one in self._store], dtype=torch.float64)
        # What adds up to nothing over a team, such as a lead over the others, has no worth to fit.
        centre, told = rows.mean(dim=0), rows.std(dim=0) > _LEAST
        spread = torch.where(told, rows.std(dim=0), 1.0)
        columns = torch.where(told, (rows - centre) / spread, 0.0)
        gram = columns.T @ columns / len(columns) + self._ridge * torch.eye(rows.shape[1])
        weights = torch.linalg.solve(gram, columns.T @ (targets - targets.mean()) / len(columns))
        weights = weights / spread
        with torch.no_grad():
            self._network.weight[0] = weights.float()
            self._network.bias[0] = (targets.mean() - weights @ centre).float()
        self._taught = True


def _mean_rows(rows: Sequence[Any]) -> Any:
    """Return (T, D) means over the agents that are there at each step."""
    longest = max(len(one) for one in rows)
    total, there = np.zeros((longest, rows[0].shape[1])), np.zeros((longest, 1))
    for one in rows:
        total[: len(one)] += one
        there[: len(one)] += 1.0
    return (total / there).astype("f4")
