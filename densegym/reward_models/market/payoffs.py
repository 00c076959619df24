"""Payoffs of a market by mode, and rewards that ask what would have been without an agent's act.

All of it is read from what the market tells in ``info``, so it is paid under any host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.batch import all_true
from densegym.reward_models.model import RewardModel
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Float, Info, Need, Scores, Steps

Instead = Literal["nothing", "baseline"]
_BINS = 11  # shares 0, 0.1 ... 1 of the endowment, for which markets tell the welfare


class ModeReward(RewardModel):
    """What one payoff mode pays, whatever mode the world is in.

    Args:
        mode: ``"private"``, ``"integrated"`` or ``"cooperative"``.
    """

    traits = Traits(needs=Need.NOTHING)

    def __init__(self, mode: str) -> None:
        self.name = f"market/{mode}"
        self._key = f"market/{mode}"

    def score(self, steps: Steps) -> Scores:
        """Return each agent's pay."""
        return Scores(column(steps.info, self._key), all_true(len(steps.slot)))


def build_private() -> ModeReward:
    """Build ``market/private``: what an agent keeps and earns by itself."""
    return ModeReward("private")


def build_integrated() -> ModeReward:
    """Build ``market/integrated``: private payoffs and what trust lets an agent care for."""
    return ModeReward("integrated")


def build_cooperative() -> ModeReward:
    """Build ``market/cooperative``: the mean of integrated utilities, to everybody."""
    return ModeReward("cooperative")


class DifferenceReward(RewardModel):
    """D_i = G(a) − G(a with a_i := c), where G is the sum of private payoffs: exact.

    Wolpert & Tumer's difference reward: what serves the agent serves G, and the noise of the
    others' acts cancels. The D_i do not add up to G; never read their sum as a return. G leaves out
    the modifiers of TR-3 and TR-4.

    Args:
        instead: c, ``"nothing"`` or ``"baseline"``.

    Raises:
        RewardError: another ``instead``.
    """

    name = "market/difference"
    traits = Traits(needs=Need.NOTHING)

    def __init__(self, instead: Instead = "nothing") -> None:
        if instead not in ("nothing", "baseline"):
            raise RewardError(f'instead is "nothing" or "baseline"; given {instead!r}')
        self._column = 0 if instead == "nothing" else _BINS

    def score(self, steps: Steps) -> Scores:
        """Return each agent's share in what there is."""
        without = _instead(steps.info)[:, self._column]
        difference = column(steps.info, "market/welfare") - without
        return Scores(difference, all_true(len(difference)))


class ComaReward(RewardModel):
    """A_i = G(a) − Σ_k π_i(k) G(a with a_i := k): COMA with the exact one-step G for a critic.

    π_i is how often each slot chose each of 11 shares of its endowment lately, a running mean that
    starts uniform; COMA reads it from the policy, which a reward does not see.

    Args:
        memory: steps over which a choice's weight falls to 1/e.

    Raises:
        RewardError: a memory below 1.
    """

    name = "market/coma"
    traits = Traits(needs=Need.NOTHING)

    def __init__(self, memory: float = 200.0) -> None:
        if memory < 1.0:
            raise RewardError(f"memory is at least 1 step; given {memory}")
        self._rate = 1.0 / memory
        self._chosen: Float = np.zeros((0, _BINS))

    def score(self, steps: Steps) -> Scores:
        """Return each agent's advantage over what it usually does; then note what it did."""
        missing = int(steps.slot.max(initial=-1)) + 1 - len(self._chosen)
        if missing > 0:
            self._chosen = np.concatenate([self._chosen, np.full((missing, _BINS), 1.0 / _BINS)])
        usual = self._chosen[steps.slot]
        expected = (usual * _instead(steps.info)[:, :_BINS]).sum(axis=1)
        advantage = column(steps.info, "market/welfare") - expected
        nearest = np.rint(column(steps.info, "market/effort") * (_BINS - 1)).astype(np.int64)
        taken = np.eye(_BINS)[np.clip(nearest, 0, _BINS - 1)]
        self._chosen[steps.slot] = usual + self._rate * (taken - usual)
        return Scores(advantage, all_true(len(advantage)))

    def state_dict(self) -> dict[str, Any]:
        """Return how often each slot chose what."""
        return {"chosen": self._chosen.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore how often each slot chose what."""
        left = dict(state)
        self._chosen = np.array(left.pop("chosen"), dtype=np.float64).reshape(-1, _BINS)
        super().load_state_dict(left)


def column(infos: Any, key: str) -> Float:
    """Return (B,) what markets tell under a key.

    Raises:
        RewardError: the world is no market.
    """
    return np.array([_read(info, key) for info in infos], dtype=np.float64)


def _instead(infos: Any) -> Float:
    """Return (B, 12) the welfare had each agent done something else."""
    return np.array([_read(info, "market/welfare-instead") for info in infos], dtype=np.float64)


def _read(info: Info, key: str) -> Any:
    if key not in info:
        raise RewardError(
            f'this reward reads info["{key}"], which the environment does not give. '
            "Use a DenseGym/Market world."
        )
    return info[key]
