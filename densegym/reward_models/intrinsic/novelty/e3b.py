"""Elliptical episodic bonuses (E3B, arXiv 2210.05805), from the paper's formulas; torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from densegym.errors import DenseGymError, unknown
from densegym.reward_models.intrinsic.novelty.encoder import Encoder, tensors
from densegym.reward_models.intrinsic.novelty.features import Features, features_of
from densegym.reward_models.intrinsic.novelty.learned import LearnedBonus
from densegym.reward_models.types import Float, Int, Scores, Starts, Steps

_CODE = 64
_ACTIONS = 128  # most discrete actions; NetHack's keyboard has 121
CODES = ("inverse", "random")


class E3B(LearnedBonus):
    """Pays b = f(s')ᵀ C⁻¹ f(s'), C the ridge plus the codes of the episode so far.

    f learns to tell the action from the codes of s and s' (cross-entropy for discrete actions,
    squared error for others), so it keeps what the agent can influence; its loss is the metric
    ``loss``. C⁻¹ is carried by Sherman-Morrison, one matrix a lane, over rollouts and checkpoints.
    Departures from the released code: the bonus of a step is that of its successor, and the
    matrices do not start anew with every rollout.

    Args:
        ridge: lambda; 0.1 in the paper.
        codes: ``"inverse"`` dynamics, or ``"random"`` ones that never learn, as a control.
        seed: of the networks.
        lr: learning rate of Adam.
        update_every: vector steps between gradient steps.
        normalize: divide by the running deviation.
    """

    name = "intrinsic/e3b-v1"
    traits = LearnedBonus.traits.replace(terms=("e3b",))

    def __init__(
        self,
        *,
        ridge: float = 0.1,
        codes: Literal["inverse", "random"] = "inverse",
        seed: int = 0,
        lr: float = 5e-4,
        update_every: int = 8,
        normalize: bool = True,
    ) -> None:
        if ridge <= 0.0:
            raise DenseGymError(f"ridge is positive; given {ridge}")
        if codes not in CODES:
            raise unknown("kind of codes", codes, CODES)
        super().__init__(seed=seed, lr=lr, update_every=update_every, normalize=normalize)
        self._ridge, self._learns = ridge, codes == "inverse"
        self._inverse: Float = np.zeros((0, _CODE, _CODE))

    def begin(self, starts: Starts) -> None:
        """Start the lanes' matrices with the first state, which is never paid."""
        missing = int(starts.slot.max(initial=-1)) + 1 - len(self._inverse)
        if missing > 0:
            fresh = np.zeros((missing, _CODE, _CODE))
            self._inverse = np.concatenate([self._inverse, fresh])
        self._inverse[starts.slot] = np.eye(_CODE) / self._ridge
        self._visit(starts.slot, features_of(starts.obs))

    def score(self, steps: Steps) -> Scores:
        """Pay every row's successor and add it to its lane's matrix; learn from the step."""
        after = features_of(steps.next_obs)
        bonus = self._visit(steps.slot, after)
        if self._learns:
            self._learn(*features_of(steps.obs), *after, np.asarray(steps.action))
        return self._scores(bonus)

    def state_dict(self) -> dict[str, Any]:
        """Return networks and the lanes' matrices."""
        return {"bonus": super().state_dict(), "inverse": self._inverse.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore networks and the lanes' matrices."""
        super().load_state_dict(state["bonus"])
        self._inverse = np.array(state["inverse"], dtype=np.float64)

    def _visit(self, slot: Int, features: Features) -> Float:
        self._ready(features)
        with torch.no_grad():
            code = self._modules["encoder"](*tensors(features)).double().numpy()
        inverse = self._inverse[slot]
        u = np.einsum("bij,bj->bi", inverse, code)
        bonus: Float = np.einsum("bi,bi->b", code, u)
        update = np.einsum("bi,bj->bij", u, u) / (1.0 + bonus)[:, None, None]
        self._inverse[slot] = inverse - update
        return bonus

    def _networks(self, symbols: int, scalars: int) -> dict[str, nn.Module]:
        return {
            "encoder": Encoder(symbols, scalars, _CODE),
            "actor": nn.Sequential(nn.Linear(2 * _CODE, 256), nn.ReLU(), nn.Linear(256, _ACTIONS)),
        }

    def _objective(self, rows: tuple[Any, ...]) -> Tensor:
        action = rows[4]
        encoder = self._modules["encoder"]
        before, after = Features(*rows[:2]), Features(*rows[2:4])
        codes = torch.cat([encoder(*tensors(before)), encoder(*tensors(after))], dim=1)
        guess = self._modules["actor"](codes)
        if action.ndim == 1 and np.issubdtype(action.dtype, np.integer):
            if action.min() < 0 or action.max() >= _ACTIONS:
                raise DenseGymError(f"E3B tells up to {_ACTIONS} discrete actions apart")
            return functional.cross_entropy(guess, torch.from_numpy(action.astype(np.int64)))
        flat = torch.from_numpy(action.reshape(len(action), -1).astype(np.float32))
        return functional.mse_loss(guess[:, : flat.shape[1]], flat)
