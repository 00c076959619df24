"""Self-imitation: the best recent episodes are repeated, with SPEAR's curriculum."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback

from densegym.agents.extras.settings import cosine_rise
from densegym.generators import generator_state, restore_generator
from densegym.reward_models.batch import map_leaves
from densegym.reward_models.types import Float


@dataclass(frozen=True, slots=True)
class Kept:
    """One finished episode of T steps, as the rollout buffer held it.

    Attributes:
        obs: T observations.
        rows: ``actions``, ``log_probs`` and, for maskable policies, ``action_masks``; (T, ...).
        total: undiscounted return of what was paid.
        born: update before which it was played.
    """

    obs: Any
    rows: dict[str, Any]
    total: float
    born: int

    def __len__(self) -> int:
        return len(self.rows["log_probs"])


class SelfImitation(BaseCallback):
    """SPEAR (arXiv 2509.22601): a second clipped loss on episodes far above the recent median.

    An episode's advantage is (R − median) / deviation over the last 10,240 returns, recomputed
    whenever it is repeated. Episodes enter above an advantage of 1, the newest 2,048 are kept for
    at most ``age`` updates, and the 2 % of steps that would move the entropy most are left out
    (clip-cov). The loss's weight rises along a cosine.

    Args:
        weight: final weight of the loss.
        rise: updates until it is reached.
        age: updates an episode is kept.
        threshold: advantage above which an episode is worth repeating.
        capacity: episodes.
        batches: gradient steps per update.
        clip: of the ratio between new and old probabilities.
        covariant: share of steps left out.
        seed: of the draws; None need not repeat.
    """

    def __init__(
        self,
        *,
        weight: float,
        rise: int = 200,
        age: int = 10,
        threshold: float = 1.0,
        capacity: int = 2048,
        batches: int = 4,
        clip: float = 0.2,
        covariant: float = 0.02,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.weight, self.rise, self.age, self.threshold = weight, rise, age, threshold
        self.batches, self.clip, self.covariant = batches, clip, covariant
        self.kept: deque[Kept] = deque(maxlen=capacity)
        self.returns: deque[float] = deque(maxlen=10_240)
        self._open: dict[int, list[Kept]] = {}
        self._random = np.random.default_rng(seed)

    def _on_training_start(self) -> None:
        learner: Any = self.model
        self._paid: Float = np.zeros((learner.n_steps, learner.n_envs))
        self._dones = np.zeros((learner.n_steps, learner.n_envs), dtype=np.bool_)
        self._row = 0

    def _on_step(self) -> bool:
        normalizer = self.model.get_vec_normalize_env()
        paid = self.locals["rewards"] if normalizer is None else normalizer.get_original_reward()
        self._paid[self._row], self._dones[self._row] = paid, self.locals["dones"]
        self._row += 1
        return True

    def _on_rollout_end(self) -> None:
        buffer = self.model.rollout_buffer  # type: ignore[attr-defined]  # on-policy only
        books = getattr(buffer, "books", None)
        paid = self._paid if books is None else books.dense
        for lane in range(paid.shape[1]):
            self._gather(buffer, lane, paid[:, lane])
        self._row = 0

    def _on_rollout_start(self) -> None:
        if self.updates and self.kept:
            self._imitate()

    def cut(self) -> None:
        """End open episodes, as at a time limit."""
        for parts in self._open.values():
            self._keep(_joined(parts))
        self._open.clear()

    def state_dict(self) -> dict[str, Any]:
        """Return kept episodes, recent returns and the generator."""
        return {
            "kept": [[one.obs, one.rows, one.total, one.born] for one in self.kept],
            "returns": list(self.returns),
            "random": generator_state(self._random),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        kept = (Kept(obs, rows, float(total), born) for obs, rows, total, born in state["kept"])
        self.kept = deque(kept, maxlen=self.kept.maxlen)
        self.returns = deque(map(float, state["returns"]), maxlen=self.returns.maxlen)
        restore_generator(self._random, state["random"])

    @property
    def updates(self) -> int:
        """Updates of the learner so far; survives a checkpoint."""
        learner: Any = self.model
        return int(learner._n_updates // max(getattr(learner, "n_epochs", 1), 1))

    def current_weight(self) -> float:
        """Return the weight of the loss at this update."""
        return self.weight * cosine_rise(self.updates, self.rise)

    def advantage(self, total: float) -> float:
        """Return (R − median) / deviation over recent returns; 0 where all are equal."""
        recent = np.array(self.returns)
        deviation = float(recent.std())
        return (total - float(np.median(recent))) / deviation if deviation > 1e-8 else 0.0

    def _gather(self, buffer: Any, lane: int, paid: Float) -> None:
        begin = 0
        for end in (np.flatnonzero(self._dones[:, lane]) + 1).tolist():
            parts = [*self._open.pop(lane, []), self._cut(buffer, lane, begin, end, paid)]
            self._keep(_joined(parts))
            begin = end
        if begin < len(paid):
            self._open.setdefault(lane, []).append(self._cut(buffer, lane, begin, len(paid), paid))

    def _cut(self, buffer: Any, lane: int, begin: int, end: int, paid: Float) -> Kept:
        names = ("actions", "log_probs", "action_masks")
        rows = {n: getattr(buffer, n)[begin:end, lane].copy() for n in names if hasattr(buffer, n)}
        obs = map_leaves(lambda leaf: leaf[begin:end, lane].copy(), buffer.observations)
        return Kept(obs, rows, float(paid[begin:end].sum()), self.updates)

    def _keep(self, episode: Kept) -> None:
        self.returns.append(episode.total)
        if self.advantage(episode.total) > self.threshold:
            self.kept.append(episode)

    def _imitate(self) -> None:
        oldest = self.updates - self.age
        scored = [(self.advantage(one.total), one) for one in self.kept if one.born >= oldest]
        scored = [(worth, one) for worth, one in scored if worth > self.threshold]
        self.kept = deque((one for _, one in scored), maxlen=self.kept.maxlen)
        weight = self.current_weight()
        if not scored or not weight:
            return
        policy: Any = self.model.policy
        policy.set_training_mode(True)
        losses = [self._step(scored, weight) for _ in range(self.batches)]
        self.logger.record("imitation/loss", float(np.mean(losses)))
        self.logger.record("imitation/weight", weight)
        self.logger.record("imitation/episodes", len(scored))

    def _step(self, scored: list[tuple[float, Kept]], weight: float) -> float:
        learner: Any = self.model
        obs, rows, advantage = self._draw(scored, learner.batch_size)
        policy, told = learner.policy, {}
        actions = torch.as_tensor(rows["actions"], device=learner.device)
        if isinstance(learner.action_space, spaces.Discrete):
            actions = actions.long().flatten()
        if "action_masks" in rows:
            told["action_masks"] = torch.as_tensor(rows["action_masks"], device=learner.device)
        _, log_prob, _ = policy.evaluate_actions(obs, actions, **told)
        old = torch.as_tensor(rows["log_probs"], device=learner.device)
        loss = weight * imitation_loss(log_prob, old, advantage, self.clip, self.covariant)
        policy.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), learner.max_grad_norm)
        policy.optimizer.step()
        return float(loss.detach())

    def _draw(self, scored: list[tuple[float, Kept]], count: int) -> tuple[Any, Any, Any]:
        lengths = np.array([len(one) for _, one in scored])
        picked = self._random.integers(0, lengths.sum(), count)
        which = np.searchsorted(np.cumsum(lengths), picked, side="right")
        at = picked - (np.cumsum(lengths) - lengths)[which]
        chosen = [scored[episode][1] for episode in which.tolist()]
        pairs = list(zip(chosen, at.tolist(), strict=True))
        seen = [map_leaves(lambda leaf, t=t: leaf[t], one.obs) for one, t in pairs]
        device = self.model.device
        obs = map_leaves(lambda *leaves: torch.as_tensor(np.stack(leaves), device=device), *seen)
        names = chosen[0].rows
        rows = {name: np.stack([one.rows[name][t] for one, t in pairs]) for name in names}
        worth = torch.tensor([scored[episode][0] for episode in which.tolist()], device=device)
        return obs, rows, worth


def imitation_loss(
    log_prob: Any, old_log_prob: Any, advantage: Any, clip: float, covariant: float
) -> Any:
    """Return PPO's clipped loss (scalar) without the most covariant share of steps."""
    ratio = torch.exp(log_prob - old_log_prob)
    gain = torch.min(ratio * advantage, torch.clamp(ratio, 1 - clip, 1 + clip) * advantage)
    left_out = int(covariant * len(gain))
    if left_out:
        with torch.no_grad():
            moved = (log_prob - log_prob.mean()) * (advantage - advantage.mean())
            bound = torch.topk(moved, left_out).values[-1]
            gain_kept = (moved < bound).to(gain.dtype)
        return -(gain * gain_kept).sum() / gain_kept.sum().clamp(min=1.0)
    return -gain.mean()


def _joined(parts: list[Kept]) -> Kept:
    if len(parts) == 1:
        return parts[0]
    obs = map_leaves(lambda *leaves: np.concatenate(leaves), *(part.obs for part in parts))
    rows = {name: np.concatenate([part.rows[name] for part in parts]) for name in parts[0].rows}
    return Kept(obs, rows, sum(part.total for part in parts), parts[-1].born)
