"""Two ways to use the entropy of steps: EMPG scales advantages by it, EPO keeps it in bounds.

They pull in opposite directions on unsure steps, so neither is a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback

from densegym.agents.extras.two_level import standardized
from densegym.errors import DenseGymError
from densegym.reward_models.batch import map_leaves
from densegym.reward_models.types import Bool, Float, Int


class EntropyModulation:
    """EMPG (arXiv 2509.09265): A ← z(A) g(H_t) + ζ exp(−k H̃_{t+1}), then centred.

    H̃ is the entropy scaled to [0, 1] over the rollout and g = exp(−k H̃) / mean exp(−k H̃). The
    last step of an episode, or of the rollout, has no next step and earns no bonus. Where all
    entropies are equal, H̃ is 0 and only the standardised advantage remains.

    Args:
        model: the learner whose policy is asked.
        k: how strongly entropy weighs.
        future: ζ.
    """

    def __init__(self, model: BaseAlgorithm, *, k: float, future: float) -> None:
        if isinstance(model.action_space, spaces.Box):
            raise DenseGymError(
                "extra.entropy_modulation needs entropies that differ from step to step; those of "
                f"a Gaussian policy in {model.action_space} do not. Use a discrete action space."
            )
        self._model, self.k, self.future = model, k, future

    def __call__(self, buffer: RolloutBuffer, last_values: Any, dones: Bool) -> None:
        """Change the advantages of a full rollout."""
        entropy = step_entropies(self._model, buffer)
        buffer.advantages[:] = modulated(
            standardized(buffer.advantages),
            entropy,
            buffer.episode_starts.astype(np.bool_),
            k=self.k,
            future=self.future,
        )


def modulated(advantages: Float, entropy: Float, starts: Bool, *, k: float, future: float) -> Float:
    """Return EMPG's advantages; all arguments (rows, lanes), advantages standardised."""
    low, high = float(entropy.min()), float(entropy.max())
    scaled = (entropy - low) / (high - low) if high > low else np.zeros_like(entropy)
    certainty = np.exp(-k * scaled)
    bonus = np.zeros_like(certainty)
    bonus[:-1] = np.where(starts[1:], 0.0, certainty[1:])
    total: Float = advantages * certainty / certainty.mean() + future * bonus
    total -= total.mean()
    return total


def step_entropies(model: BaseAlgorithm, buffer: RolloutBuffer) -> Float:
    """Return the policy's entropy (rows, lanes) at every step of a full rollout."""
    policy: Any = model.policy
    shape = buffer.rewards.shape

    def flat(leaf: Any) -> Any:
        return torch.as_tensor(leaf.reshape(-1, *leaf.shape[2:]), device=model.device)

    masks = getattr(buffer, "action_masks", None)
    told = {} if masks is None else {"action_masks": masks.reshape(-1, masks.shape[-1])}
    with torch.no_grad():
        seen = map_leaves(flat, buffer.observations)
        entropy = policy.get_distribution(seen, **told).entropy()
    return np.asarray(entropy, dtype=np.float64).reshape(shape)


class EntropySmoothing(BaseCallback):
    """EPO (arXiv 2509.22576): H̄ − β max(0, κ_l H̄_t − H, H − κ_r H̄_t) takes the place of H̄.

    H̄_t is the mean entropy of past updates at the t-th step of an episode; PPO's ``ent_coef`` is
    EPO's λ, and without it the term has no weight. In the authors' code the penalty is a constant
    and has no gradient; here it has one. It acts from the second update on.

    Args:
        model: the learner; its policy's ``evaluate_actions`` is extended.
        beta: weight of the penalty inside the entropy term.
        low: κ_l.
        high: κ_r.
    """

    def __init__(self, model: BaseAlgorithm, *, beta: float, low: float, high: float) -> None:
        super().__init__()
        learner: Any = model
        if not learner.ent_coef:
            raise DenseGymError(
                "extra.entropy_smoothing acts inside the entropy term, whose weight is ent_coef=0. "
                "Write --set ent_coef=0.001."
            )
        self.beta, self.low, self.high = beta, low, high
        self._past: Float = np.zeros(0)
        self._bounds: Float = np.zeros(0)
        self._before: Int = np.full(learner.n_envs, -1)
        self._updates = 0
        self._evaluate = learner.policy.evaluate_actions
        self._buffer = learner.rollout_buffer
        learner.policy.evaluate_actions = self._evaluate_smoothly

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        buffer = self._buffer
        turns = turns_of(buffer.episode_starts, self._before)
        self._before = turns[-1]
        self._take_in(step_entropies(self.model, buffer), turns)
        # SB3 flattens lane by lane before it draws batches.
        self._flat_turns = turns.swapaxes(0, 1).reshape(-1)

    def state_dict(self) -> dict[str, Any]:
        """Return the entropies of past updates and their number."""
        return {"past": self._past.copy(), "updates": self._updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        self._past = np.array(state["past"], dtype=np.float64)
        self._updates = int(state["updates"])

    def _take_in(self, entropy: Float, turns: Int) -> None:
        size = np.bincount(turns.reshape(-1))
        mean = np.bincount(turns.reshape(-1), weights=entropy.reshape(-1)) / np.maximum(size, 1)
        self._bounds = self._past.copy()
        if len(size) > len(self._past):
            self._past = np.concatenate([self._past, np.full(len(size) - len(self._past), np.nan)])
        known = self._past[: len(size)]
        fresh = size > 0
        rate = 1.0 / (self._updates + 1)
        moved = np.where(np.isnan(known), mean, known + rate * (mean - known))
        self._past[: len(size)] = np.where(fresh, moved, known)
        self._updates += 1

    def _evaluate_smoothly(self, *args: Any, **kwargs: Any) -> Any:
        values, log_prob, entropy = self._evaluate(*args, **kwargs)
        rows = getattr(self._buffer, "drawn", None)
        if entropy is None or rows is None or self._updates < 2:
            return values, log_prob, entropy
        past = self._past_of(self._flat_turns[rows])
        return values, log_prob, smoothed(entropy, past, self.beta, self.low, self.high)

    def _past_of(self, turns: Int) -> Float:
        known = turns < len(self._bounds)
        past = np.full(len(turns), np.nan)
        past[known] = self._bounds[turns[known]]
        return past


def smoothed(entropy: Any, past: Float, beta: float, low: float, high: float) -> Any:
    """Return entropies (B,) less their distance from the bounds; without a past, as they were."""
    known = torch.as_tensor(~np.isnan(past), device=entropy.device)
    mean = torch.as_tensor(np.nan_to_num(past), dtype=entropy.dtype, device=entropy.device)
    outside = torch.relu(low * mean - entropy) + torch.relu(entropy - high * mean)
    return entropy - beta * outside * known


def turns_of(starts: Bool, before: Int) -> Int:
    """Return (rows, lanes) 0-based steps of an episode; ``before`` (lanes,) is the row before."""
    turns = np.empty(starts.shape, dtype=np.int64)
    for row, begun in enumerate(starts):
        before = turns[row] = np.where(begun, 0, before + 1)
    return turns
