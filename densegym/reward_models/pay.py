"""The one book of pay: what every row was worth to the world, at its step, and in the end.

A row is one sub-environment at one tick; a tick is one call of ``RewardEngine.advance``. Pay that
is known late overwrites what the row was paid at its step, so that returns, sums and monitors
agree with what learners learn from.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from densegym.reward_models.types import Float, Int

_SUM_EVERY = 32  # ticks between two additions to the running sums
_ROWS = 256  # ticks that are made room for at a time


class Late(NamedTuple):
    """What N rows are worth, known after their step.

    Attributes:
        tick: (N,) int64.
        slot: (N,) int64, the sub-environment.
        worth: (N,) float64, in place of what was paid at the step.
    """

    tick: Int
    slot: Int
    worth: Float


@dataclass(slots=True)
class Usage:
    """What a reward cost since the engine was made.

    Attributes:
        steps: rows scored.
        abstentions: rows on which a model abstained.
        seconds: wall seconds inside the models, whatever they were asked.
    """

    steps: int = 0
    abstentions: int = 0
    seconds: float = 0.0


class Pay:
    """Keeps returns and sums, and rows for as long as they may still be paid.

    Args:
        num_envs: number of slots.

    Attributes:
        tick: of the latest step; goes on counting after a checkpoint.
        keeps: whether rows are kept, because somebody pays late.
        began: (num_envs,) int64, the tick of the first step of every slot's episode.
        return_env: (num_envs,) float64, the world's running return of every slot's episode.
        return_dense: (num_envs,) float64, the running return of what was paid.
    """

    def __init__(self, num_envs: int) -> None:
        self.tick = -1
        self.keeps = False
        self.began: Int = np.zeros(num_envs, dtype=np.int64)
        self._before: Int = np.zeros(num_envs, dtype=np.int64)  # the same of the episode before
        self.return_env: Float = np.zeros(num_envs)
        self.return_dense: Float = np.zeros(num_envs)
        self._sums: dict[str, float] = {}
        self._keys: tuple[str, ...] = ()
        self._unsummed: list[Sequence[Any]] = []
        self._first = 0  # tick of the first row kept
        self._own, self._step, self._worth = (np.zeros((0, num_envs)) for _ in range(3))
        self._reports: list[tuple[int, int, int, MutableMapping[str, Any]]] = []

    def begin(self, slot: Int) -> None:
        """Open an episode in ``slot`` (B,), whose first step is the next tick."""
        # New arrays, because the latest outcome still shows the old ones.
        self.return_env, self.return_dense = self.return_env.copy(), self.return_dense.copy()
        self.return_env[slot] = self.return_dense[slot] = 0.0
        self._before[slot] = self.began[slot]
        self.began[slot] = self.tick + 1

    def keep_rows(self) -> None:
        """Keep the rows to come, because somebody pays late."""
        self.keeps, self._first = True, self.tick + 1

    def put(self, slot: Int, own: Float, paid: Float, every: bool) -> None:
        """Note a tick.

        Args:
            slot: (B,) the rows that stepped.
            own: (B,) the world's own reward.
            paid: (B,) at the step.
            every: whether ``slot`` is all slots, in order.
        """
        self.tick += 1
        if self.keeps:
            self._keep(slot, own, paid)
        if every:
            self.return_env = self.return_env + own
            self.return_dense = self.return_dense + paid
        else:
            self.return_env[slot] += own
            self.return_dense[slot] += paid

    def settle(self, late: Late) -> None:
        """Overwrite what rows are worth; rows no longer kept stay as they are."""
        rows = late.tick - self._first
        kept = (rows >= 0) & (rows < len(self._worth))
        at = rows[kept], late.slot[kept]
        gained = late.worth[kept] - self._worth[at]
        self._worth[at] = late.worth[kept]
        self.add_sum("reward/dense", float(gained.sum()))
        slot = late.slot[kept]
        unfinished = late.tick[kept] >= self.began[slot]
        self.return_dense = self.return_dense.copy()
        np.add.at(self.return_dense, slot[unfinished], gained[unfinished])
        self._tell_reports()

    def rows(self, ticks: Int) -> tuple[Float, Float, Float]:
        """Return (N, num_envs) the world's reward, pay at the step, and worth, of N ticks kept."""
        at = ticks - self._first
        return self._own[at], self._step[at], self._worth[at]

    @property
    def kept(self) -> int:
        """Number of ticks that there is room for."""
        return len(self._worth)

    def report(self, slot: int, episode: MutableMapping[str, Any]) -> None:
        """Keep ``episode["r"]`` equal to what the episode ending at this tick is worth."""
        again = self.began[slot] > self.tick  # under hosts that reset at once
        first = int(self._before[slot] if again else self.began[slot])
        self._reports.append((slot, first, self.tick, episode))
        self._tell_reports()

    def forget(self, before: int) -> None:
        """Let go of rows before a tick that belong to no unfinished episode."""
        self._reports = [one for one in self._reports if one[2] >= before]
        gone = min(before, int(self.began.min()), *(one[1] for one in self._reports), self.tick + 1)
        rows = gone - self._first
        if rows >= _ROWS:
            self._own, self._step, self._worth = (
                kept[rows:].copy() for kept in (self._own, self._step, self._worth)
            )
            self._first = gone

    def add_columns(self, keys: tuple[str, ...], columns: Sequence[Any]) -> None:
        """Add K columns (B,) to the sums of K keys."""
        if keys is not self._keys:
            self._add_up()
            self._keys = keys
        self._unsummed.append(columns)
        if len(self._unsummed) >= _SUM_EVERY:
            self._add_up()

    def add_sum(self, key: str, value: float) -> None:
        """Add a number to the sum of a key."""
        self._sums[key] = self._sums.get(key, 0.0) + value

    def pop_sums(self) -> dict[str, float]:
        """Return the sum over all rows of every key since the last call."""
        self._add_up()
        sums, self._sums = self._sums, dict.fromkeys(self._sums, 0.0)
        return sums

    def state_dict(self) -> Mapping[str, Any]:
        """Return the tick; rows start afresh after a checkpoint."""
        return {"tick": self.tick}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the tick."""
        self.tick = int(state["tick"])
        self._first = self.tick + 1
        self.began[:] = self.tick + 1

    def _keep(self, slot: Int, own: Float, paid: Float) -> None:
        row = self.tick - self._first
        if row >= len(self._worth):
            room = np.zeros((max(_ROWS, len(self._worth)), self._worth.shape[1]))
            self._own, self._step, self._worth = (
                np.concatenate([kept, room]) for kept in (self._own, self._step, self._worth)
            )
        self._own[row, slot] = own
        self._step[row, slot] = self._worth[row, slot] = paid

    def _add_up(self) -> None:
        if self._unsummed:
            for key, column in zip(self._keys, zip(*self._unsummed, strict=True), strict=True):
                self.add_sum(key, float(np.concatenate(column).sum()))
            self._unsummed.clear()

    def _tell_reports(self) -> None:
        for slot, first, last, episode in self._reports:
            rows = self._worth[max(first - self._first, 0) : last + 1 - self._first, slot]
            episode["r"] = float(rows.sum())
