"""On-policy relabelling: rewards of a rollout are corrected before advantages are computed.

SB3 2.9 computes advantages inside ``collect_rollouts``, before any callback could change a reward,
and RecurrentPPO takes no buffer class of ours, so the class of a finished buffer is extended.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.running_mean_std import RunningMeanStd

from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.types import Bool, Float


class RolloutBooks:
    """What the rows of one rollout were paid, and what is known of them in hindsight.

    An episode whose first steps lie in an earlier rollout is credited over its full length, and
    only the rows of this rollout are paid. The tail of an unfinished episode gets the engine's
    provisional credits, never the zeros that were paid while its return was unknown.

    Args:
        engine: pays at step time and speaks of finished episodes.
        rows: steps of a rollout, per lane.
        gamma: the learner's discount.
        normalize: divide credits by the running deviation of their discounted return, in place of
            ``VecNormalize(norm_reward=True)``, whose scale would be that of the unpaid rewards.
    """

    def __init__(self, engine: RewardEngine, rows: int, *, gamma: float, normalize: bool) -> None:
        self.engine = engine
        self._paid: Float = np.zeros((rows, engine.num_envs))
        self._dense: Float = np.zeros((rows, engine.num_envs))
        self._gamma = gamma
        self._moments = RunningMeanStd(shape=()) if normalize else None
        self._return: Float = np.zeros(engine.num_envs)

    def note(self, row: int) -> None:
        """Take down the latest step as row ``row``, and the credits of episodes that it ended."""
        told = self.engine.last
        self._paid[row] = self._dense[row] = told.reward
        for lane, credit in told.credits:
            self._put(lane, row + 1, credit)

    def correction(self, starts: Bool) -> Float:
        """Return what to add to the rewards of the full rollout, (rows, lanes) float64.

        Args:
            starts: (rows, lanes), whether an episode begins at a row.
        """
        for lane, credit in self.engine.open_credits():
            self._put(lane, len(self._paid), credit)
        return self._dense * self._scale(starts) - self._paid

    def _put(self, lane: int, end: int, credit: Float) -> None:
        rows = min(end, len(credit))
        self._dense[end - rows : end, lane] = credit[len(credit) - rows :]

    def _scale(self, starts: Bool) -> float:
        if self._moments is None:
            return 1.0
        returns = np.empty_like(self._dense)
        for row, begun in enumerate(starts.astype(np.bool_)):
            self._return = np.where(begun, 0.0, self._return) * self._gamma + self._dense[row]
            returns[row] = self._return
        self._moments.update(returns.reshape(-1))
        return 1.0 / float(np.sqrt(self._moments.var + 1e-8))

    def state_dict(self) -> dict[str, Any]:
        """Return the running moments; rows start afresh after a checkpoint."""
        if self._moments is None:
            return {}
        return {name: float(getattr(self._moments, name)) for name in ("mean", "var", "count")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the running moments."""
        for name, value in state.items():
            setattr(self._moments, name, np.float64(value))


@functools.cache
def relabelling(base: type[RolloutBuffer]) -> Any:
    """Return a rollout buffer class like ``base`` that corrects rewards before advantages.

    Rewards are added to, never assigned: SB3 has put the value of the last state of truncated
    episodes into them.
    """

    class Relabelling(base):  # type: ignore[misc,valid-type]  # a class known at run time
        books: RolloutBooks

        def add(self, *args: Any, **kwargs: Any) -> None:
            self.books.note(self.pos)
            super().add(*args, **kwargs)

        def compute_returns_and_advantage(self, last_values: Any, dones: Any) -> None:
            self.rewards += self.books.correction(self.episode_starts)
            super().compute_returns_and_advantage(last_values, dones)

    Relabelling.__name__ = Relabelling.__qualname__ = f"Relabelling{base.__name__}"
    return Relabelling
