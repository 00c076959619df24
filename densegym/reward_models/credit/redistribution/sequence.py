"""Credits of models that read an episode in order: SPA's progress estimator, RUDDER, Diaster.

Episodes are padded at the end and standardised; a GRU stands for the LSTM or language model of
the papers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from densegym.errors import RewardError
from densegym.reward_models.credit.fitting.fitted import Explaining, FittedCredit, conserved
from densegym.reward_models.credit.fitting.networks import (
    Encoder,
    Recurrent,
    check_encoder,
    mlp,
    padded,
    reader_of_prefixes,
)
from densegym.reward_models.credit.fitting.scales import moments
from densegym.reward_models.credit.fitting.store import StoredEpisode
from densegym.reward_models.credit.redistribution.rrd import MarkovCredit
from densegym.reward_models.traits import Promises
from densegym.reward_models.types import Episode, Float, TaskCard

BetaMode = Literal["share", "paper"]


class SequenceCredit(FittedCredit):
    """What SPA and RUDDER share: batches of whole episodes, and a test on held-out ones."""

    drawn = 8

    def _padded(self, drawn: Sequence[StoredEpisode]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (B, T, D) scaled inputs and (B, T) weights, 1 where a step was taken."""
        return padded([self._scaled(one.inputs) for one in drawn])

    def _prefixes(self, inputs: Any) -> torch.Tensor:
        """Return (T,) what the network says of each prefix."""
        with torch.no_grad():
            said: torch.Tensor = self._network(self._scaled(inputs)[None])[0]
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class SPAOptions(Explaining):
    """Options of contributions that add up to the return.

    Attributes:
        encoder: ``"gru"`` reads the episode so far, ``"mlp"`` one step, which makes it Markov.
        alpha: weight of contributions.
        beta: what all carried-out actions of an episode of ``max_steps`` earn together, or each
            of them under ``beta_mode="paper"``.
        beta_mode: ``"share"`` divides β by ``max_steps``; ``"paper"`` pays it at every step, a
            bonus for long episodes that can outweigh the return.
        max_steps: T_max of the task; None takes the longest episode seen so far.
        residual: whether credits are made to add up to the return.
    """

    encoder: Encoder = "gru"
    alpha: float = 1.0
    beta: float = 0.5
    beta_mode: BetaMode = "share"
    max_steps: int | None = None
    residual: bool = True
    min_explained: float | None = 0.2


class SPACredit(SequenceCredit):
    """Contributions that add up to the return, and a share for carried-out actions.

    ``reward="credit/spa"``: Wang et al. 2025, arXiv 2505.20732. An estimator says what each step
    contributed; the contributions of an episode add up to R̂, fitted to R by least squares. What
    the paper leaves open: the residual R − R̂ is spread evenly, so credits add up to R; while R̂
    explains less than ``min_explained`` of the variance of held-out returns, credits are uniform;
    and a step whose action the world carried out earns β on top, as the world's own flag says
    (``info["action_valid"]``, or an empty ``info["invalid"]``; worlds without either pay none).

    Args:
        task: the task's card.
        options: see ``SPAOptions``.
        seed: of weights and draws.
    """

    name = "credit/spa"

    def __init__(self, task: TaskCard, options: SPAOptions, *, seed: int = 0) -> None:
        super().__init__(task, options, seed=seed, min_explained=options.min_explained)
        check_encoder(self.name, options.encoder)
        if options.beta_mode not in ("share", "paper"):
            raise RewardError(
                f'"{self.name}" takes beta_mode="share" or "paper"; given {options.beta_mode!r}'
            )
        self._encoder: Encoder = options.encoder
        self._alpha, self._beta = options.alpha, options.beta
        self._beta_mode: BetaMode = options.beta_mode
        self._longest = options.max_steps or 0
        self._fixed, self._residual = options.max_steps is not None, options.residual
        self._grounded = self._paid = 0.0
        exact = self._residual and self._alpha == 1.0 and self._beta == 0.0
        promises = Promises("episode", causal=False, conserves="return" if exact else "none")
        self.traits = self.traits.replace(promises=promises)

    def finish(self, episodes: Sequence[Episode]) -> Sequence[Float]:
        """Return α times the contributions and β for every action that was carried out."""
        credits = super().finish(episodes)
        if not self._fixed:
            lengths = (len(one.env_reward) for one in episodes)
            self._longest = max(self._longest, *lengths, 1)
        paid = []
        for one, credit in zip(episodes, credits, strict=True):
            ground = self._ground(one)
            worth = self._alpha * credit + ground
            self._grounded += float(np.abs(ground).sum())
            self._paid += float(np.abs(worth).sum())
            paid.append(worth)
        return paid

    def estimate(self, prefix: Episode) -> Float | None:
        """Return contributions so far and their grounding; the residual is not known yet."""
        credit = super().estimate(prefix)
        return None if credit is None else self._alpha * credit + self._ground(prefix)

    def state_dict(self) -> dict[str, Any]:
        """Return what fitted models keep, the longest episode and what grounding paid."""
        own = {"longest": self._longest, "grounded": self._grounded, "paid": self._paid}
        return {**super().state_dict(), **own}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        self._longest = int(state["longest"])
        self._grounded, self._paid = float(state["grounded"]), float(state["paid"])
        super().load_state_dict(state)

    def metrics(self) -> dict[str, float]:
        """Return the grounding's share of what was paid, besides what fitted models tell."""
        share = self._grounded / self._paid if self._paid else 0.0
        return {**super().metrics(), "credit/grounding_share": share}

    def _ground(self, episode: Episode) -> Float:
        flags = np.array([_carried_out(info) for info in episode.info], dtype=np.float64)
        each = self._beta / max(self._longest, 1) if self._beta_mode == "share" else self._beta
        return each * flags

    def _build(self, width: int) -> Any:
        return reader_of_prefixes(self._encoder, width, self._hidden)

    def _loss(self, drawn: Sequence[StoredEpisode]) -> torch.Tensor:
        rows, real = self._padded(drawn)
        means = (self._network(rows) * real).sum(dim=1) / real.sum(dim=1)
        targets = torch.tensor([self._target(one) for one in drawn])
        # (R̂ − R)² in units of T² and of the deviation of R / T.
        return torch.square(means - targets).mean()

    def _guess(self, inputs: Any) -> Float | None:
        return self._unscaled(self._prefixes(inputs))

    def _spread(self, one: StoredEpisode) -> Float:
        credit = self._unscaled(self._prefixes(one.inputs))
        return conserved(credit, one.total) if self._residual else credit

    def _total(self, one: StoredEpisode) -> float:
        return float(self._unscaled(self._prefixes(one.inputs)).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class RudderOptions(Explaining):
    """Options of differences of predicted returns.

    Attributes:
        prefix_loss: weight of the loss on all prefixes beside that on whole episodes.
    """

    prefix_loss: float = 0.1
    min_explained: float | None = 0.2


class RudderCredit(SequenceCredit):
    """Differences of predicted returns: ``reward="credit/rudder"``.

    Arjona-Medina et al. 2019, arXiv 1806.07857: g predicts R from every prefix, a step's credit
    is g(τ_{0:t}) − g(τ_{0:t−1}) with g(∅) = 0, and R − g(τ) is spread evenly, so credits add up to
    R. The paper trusts an episode whose relative error is small; here a network is trusted while
    it explains ``min_explained`` of the variance of held-out returns, and credits are uniform
    before.

    Args:
        task: the task's card.
        options: see ``RudderOptions``.
        seed: of weights and draws.
    """

    name = "credit/rudder"
    traits = SequenceCredit.traits.replace(
        promises=Promises("episode", causal=False, conserves="return")
    )

    def __init__(self, task: TaskCard, options: RudderOptions, *, seed: int = 0) -> None:
        super().__init__(task, options, seed=seed, min_explained=options.min_explained)
        self._prefix_loss = options.prefix_loss

    def _build(self, width: int) -> Any:
        return Recurrent(width, self._hidden)

    def _standardise(self) -> None:
        super()._standardise()
        mean, std = moments(np.array([one.total for one in self._store]))
        self._moments |= {"mean": mean, "std": std}

    def _loss(self, drawn: Sequence[StoredEpisode]) -> torch.Tensor:
        rows, real = self._padded(drawn)
        mean, std = float(self._moments["mean"]), float(self._moments["std"])
        targets = torch.tensor([(one.total - mean) / std for one in drawn])
        errors = torch.square(self._network(rows) - targets[:, None])
        last = real.sum(dim=1).long() - 1
        whole = errors.gather(1, last[:, None]).mean()
        return whole + self._prefix_loss * (errors * real).sum() / real.sum()

    def _values(self, inputs: Any) -> Float:
        said = self._prefixes(inputs).numpy()
        values: Float = self._moments["mean"] + self._moments["std"] * said
        return values

    def _guess(self, inputs: Any) -> Float | None:
        return np.diff(self._values(inputs), prepend=0.0)

    def _spread(self, one: StoredEpisode) -> Float:
        return conserved(np.diff(self._values(one.inputs), prepend=0.0), one.total)

    def _total(self, one: StoredEpisode) -> float:
        return float(self._values(one.inputs)[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class DiasterOptions(Explaining):
    """Options of differences of sub-trajectory rewards.

    Attributes:
        hidden: width of the GRU; the network of one step is four times as wide.
    """


class DiasterCredit(MarkovCredit):
    """Differences of sub-trajectory rewards, handed on to one step: ``reward="credit/diaster"``.

    Lin et al. 2024, arXiv 2312.10642: R_sub judges sub-trajectories so that, at a random cut,
    R_sub of both halves adds up to R; a step is worth R_sub(τ_{0:t}) − R_sub(τ_{0:t−1}), the last
    prefix being worth the true R; a network of one step is fitted to that. Departures: R_sub is a
    number instead of a Gaussian, inputs are standardised, returns are divided by their deviation
    (the paper: by a constant of the task), and the cut leaves at least one step before it.

    Args:
        task: the task's card.
        options: see ``DiasterOptions``.
        seed: of weights and draws.
    """

    name = "credit/diaster"
    drawn = 8

    def __init__(self, task: TaskCard, options: DiasterOptions, *, seed: int = 0) -> None:
        super().__init__(task, options, seed=seed, min_explained=options.min_explained)

    def _standardise(self) -> None:
        super()._standardise()
        _, std = moments(np.array([one.total for one in self._store]))
        length = np.array(np.mean([len(one.inputs) for one in self._store]))
        self._moments |= {"total_std": std, "length": length}

    def _build(self, width: int) -> Any:
        parts = {"whole": Recurrent(width, self._hidden), "step": mlp(width, 4 * self._hidden)}
        return nn.ModuleDict(parts)

    def _loss(self, drawn: Sequence[StoredEpisode]) -> torch.Tensor:
        cuts = [int(self._random.integers(1, len(one.inputs) + 1)) for one in drawn]
        rows = [self._scaled(one.inputs) for one in drawn]
        pad = nn.utils.rnn.pad_sequence
        heads = pad([row[:cut] for row, cut in zip(rows, cuts, strict=True)], batch_first=True)
        tails = [row[cut:] for row, cut in zip(rows, cuts, strict=True)]
        prefixes = self._network["whole"](heads)
        head = prefixes.gather(1, torch.tensor(cuts)[:, None] - 1)[:, 0]
        tail = self._tails(tails)
        lengths = torch.tensor([len(one.inputs) for one in drawn])
        totals = np.array([one.total for one in drawn]) / self._moments["total_std"]
        targets = torch.as_tensor(totals.astype("f4"))
        whole = torch.square(head + tail - targets).mean()
        return whole + self._step_loss(rows, targets, lengths)

    def _tails(self, tails: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return what each rest of an episode is worth; nothing is worth 0."""
        worth = torch.zeros(len(tails))
        filled = [i for i, tail in enumerate(tails) if len(tail)]
        if not filled:
            return worth
        whole = nn.utils.rnn.pad_sequence([tails[i] for i in filled], batch_first=True)
        last = torch.tensor([len(tails[i]) - 1 for i in filled])
        said = self._network["whole"](whole).gather(1, last[:, None])[:, 0]
        return worth.index_put((torch.tensor(filled),), said)

    def _step_loss(
        self, rows: Sequence[torch.Tensor], targets: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Return the squared distance of single steps from differences of prefixes."""
        with torch.no_grad():
            every = nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
            prefixes = self._network["whole"](every)
            prefixes.scatter_(1, lengths[:, None] - 1, targets[:, None])
            wanted = torch.diff(prefixes, dim=1, prepend=torch.zeros(len(prefixes), 1))
            wanted = wanted * float(self._moments["length"])  # to unit scale
        said = self._network["step"](every)[..., 0]
        real = torch.arange(every.shape[1])[None, :] < lengths[:, None]
        return torch.square(said - wanted)[real].mean()

    def _ask(self, rows: Any) -> Float:
        with torch.no_grad():
            said = self._network["step"](self._scaled(rows))[:, 0].numpy()
        worth: Float = said * (self._moments["total_std"] / self._moments["length"])
        return worth


def _carried_out(info: Any) -> bool:
    if "action_valid" in info:
        return bool(info["action_valid"])
    return "invalid" in info and not info["invalid"]
