"""On-policy relabelling: rewards of a rollout are corrected before advantages are computed.

SB3 2.9 computes advantages inside ``collect_rollouts``, before any callback could change a reward,
and RecurrentPPO takes no buffer class of ours, so the class of a finished buffer is extended.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.running_mean_std import RunningMeanStd

from densegym.agents.extras.settings import cosine_rise
from densegym.errors import RewardError
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.pay import Late
from densegym.reward_models.types import Bool, Float, Int

_MOST_SILENT = 5  # rollouts in a row of which nothing is known


class RolloutBooks:
    """Reads from the engine's book what the rows of one rollout are worth to the learner.

    An episode whose first steps lie in an earlier rollout is credited over its full length, and
    only the rows of this rollout are paid. The tail of an unfinished episode gets the engine's
    provisional credits, never the zeros that were paid while its return was unknown.

    Args:
        engine: pays at step time and speaks of finished episodes.
        rows: steps of a rollout, per lane.
        gamma: the learner's discount.
        normalize: divide credits by the running deviation of their discounted return, in place of
            ``VecNormalize(norm_reward=True)``, whose scale would be that of the unpaid rewards.

    Attributes:
        dense: (rows, lanes) float64, what the rows of the last full rollout are worth.
        apart: (rows, lanes) float64, the part of it that was not known at step time.
        unpaid: share of the rows of the last full rollout whose credits nobody knew or estimated.
    """

    def __init__(self, engine: RewardEngine, rows: int, *, gamma: float, normalize: bool) -> None:
        self.engine = engine
        self.dense: Float = np.zeros((rows, engine.num_envs))
        self.apart: Float = np.zeros((rows, engine.num_envs))
        self._ticks: Int = np.zeros(rows, dtype=np.int64)
        self._handed: Float = np.zeros((rows, engine.num_envs))
        self.unpaid, self._silent = 0.0, 0
        if engine.reward.traits.when == "episode":
            engine.unpaid = lambda: self.unpaid
        self._keeps_apart = False
        self._fade_length = self._updates = 0
        self._gamma = gamma
        self._moments = RunningMeanStd(shape=()) if normalize else None
        self._return: Float = np.zeros(engine.num_envs)

    def note(self, row: int, handed: Float) -> None:
        """Take down the latest step as row ``row``.

        Args:
            row: of the rollout.
            handed: (lanes,) what the learner stores: the pay, and at a time limit the discounted
                value of the last state.
        """
        self._ticks[row], self._handed[row] = self.engine.pay.tick, handed

    def rewards(self, starts: Bool) -> Any:
        """Return the rewards of the full rollout, values of last states included.

        Shape (rows, lanes), float64 or float32.

        Args:
            starts: (rows, lanes), whether an episode begins at a row.

        Raises:
            RewardError: nothing was known of the credits of five rollouts in a row.
        """
        known = self.engine.late(provisional=True)
        if self.engine.unpaid is not None:
            self._note_unpaid(known)
        own, paid, self.dense = self.engine.pay.rows(self._ticks)
        self.engine.pay.forget(int(self._ticks[-1]) + 1)
        if self._fade_length:
            left = 1.0 - cosine_rise(self._updates, self._fade_length)
            self.dense = own + left * (self.dense - own)
        self._updates += 1
        self.apart = self.dense - paid
        worth = paid if self._keeps_apart else self.dense
        scaled = worth * self._scale(worth, starts)
        # SB3 adds values in float32; done likewise, pay known late is bit-equal to pay at once.
        values = (self._handed - paid).astype(np.float32)
        return np.where(scaled == paid, self._handed, scaled.astype(np.float32) + values)

    def _note_unpaid(self, known: Sequence[Late]) -> None:
        told = np.zeros(self._handed.shape, dtype=np.bool_)
        for late in known:
            row = np.searchsorted(self._ticks, late.tick).clip(max=len(told) - 1)
            mine = self._ticks[row] == late.tick
            told[row[mine], late.slot[mine]] = True
        self.unpaid = 1.0 - float(told.mean())
        self._silent = 0 if told.any() else self._silent + 1
        if self._silent == 1:
            warnings.warn(self._silence(), RuntimeWarning, stacklevel=2)
        if self._silent >= _MOST_SILENT:
            raise RewardError(f"{self._silent} rollouts in a row: {self._silence()}")

    def _silence(self) -> str:
        return (
            f'"{self.engine.reward.name}" paid zeros for a rollout of {len(self._ticks)} steps a '
            "lane, because no episode has ended yet. Write an n_steps of an episode's length "
            "(--set n_steps=...), or give the world a time limit (--set episode_steps=...)."
        )

    def keep_apart(self) -> None:
        """Leave rewards as they were paid at step time; ``apart`` joins the advantages instead."""
        self._keeps_apart = True

    def fade(self, updates: int) -> None:
        """Let what is paid on top of the world's reward fade to nothing along a cosine."""
        self._fade_length = updates

    def _scale(self, worth: Float, starts: Bool) -> float:
        if self._moments is None:
            return 1.0
        returns = np.empty_like(worth)
        for row, begun in enumerate(starts.astype(np.bool_)):
            self._return = np.where(begun, 0.0, self._return) * self._gamma + worth[row]
            returns[row] = self._return
        self._moments.update(returns.reshape(-1))
        return 1.0 / float(np.sqrt(self._moments.var + 1e-8))

    def state_dict(self) -> dict[str, Any]:
        """Return the update count and running moments; rows start afresh after a checkpoint."""
        names = () if self._moments is None else ("mean", "var", "count")
        moments = {name: float(getattr(self._moments, name)) for name in names}
        return {"updates": self._updates, "moments": moments}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the update count and running moments."""
        self._updates = int(state["updates"])
        for name, value in state["moments"].items():
            setattr(self._moments, name, np.float64(value))


@functools.cache
def relabelling(base: type[RolloutBuffer]) -> Any:
    """Return a rollout buffer class like ``base`` that corrects rewards before advantages.

    SB3 has put the value of the last state of truncated episodes into the rewards; that stays.
    """

    class Relabelling(base):  # type: ignore[misc,valid-type]  # a class known at run time
        books: RolloutBooks

        def add(self, *args: Any, **kwargs: Any) -> None:
            _, _, handed, *_ = args
            self.books.note(self.pos, handed)
            super().add(*args, **kwargs)

        def compute_returns_and_advantage(self, last_values: Any, dones: Any) -> None:
            self.rewards[:] = self.books.rewards(self.episode_starts)
            super().compute_returns_and_advantage(last_values, dones)

    Relabelling.__name__ = Relabelling.__qualname__ = f"Relabelling{base.__name__}"
    return Relabelling
