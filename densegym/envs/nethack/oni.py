"""ONI's goal tasks (Zheng et al., arXiv 2410.23022): staircase, oracle, sober oracle.

They differ from NLE's tasks of similar names: success pays 50, there is no penalty for frozen
steps, and the agent has five keys more. The reference tells a descent by the line "You descend
the stairs", which NLE 1.3 does not print; here it is the key ``>`` pressed on stairs that led to
a level of the next number, so falling through a trap door does not count either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from nle import nethack
from nle.env.tasks import TASK_ACTIONS, NetHackOracle, NetHackStaircase

if TYPE_CHECKING:
    _Upstream = Any
else:
    _Upstream = object

REWARD = 50.0
ACTIONS = (
    *TASK_ACTIONS,
    nethack.Command.CAST,
    nethack.Command.QUAFF,
    nethack.Command.PRAY,
    nethack.Command.PICKUP,
    nethack.Command.PAY,
)
_STAIRS_DOWN, _IN_QUESTION = 4, 1  # entries of the internal observation
_PROMPTS = (b"What do you want to eat? [", b"What do you want to drink? [")
_YES, _ESCAPE = ord("y"), 27


class _Goal(_Upstream):  # type: ignore[misc]  # put in front of NLE's classes
    """Pays 50 for success and nothing else; answers what to eat or drink.

    At such a prompt the key ``y`` picks the first thing offered and any other key cancels.
    """

    actions: Any

    def step(self, action: int) -> Any:
        observation = self.last_observation
        if observation[self._internal_index][_IN_QUESTION]:
            message = observation[self._message_index].tobytes()
            if message.startswith(_PROMPTS):
                return self._answer(action, message)
        return super().step(action)

    def _answer(self, action: int, message: bytes) -> Any:
        offered = message[message.index(b"[") + 1]
        key = offered if self.actions[action] == _YES else _ESCAPE
        actions, self.actions = self.actions, {action: key}
        try:
            return super().step(action)
        finally:
            self.actions = actions

    def _reward_fn(self, last_observation: Any, action: Any, observation: Any, status: Any) -> Any:
        del last_observation, action, observation
        return REWARD if status == 2 else 0.0

    def _perform_known_steps(self, observation: Any, done: bool, exceptions: bool = True) -> Any:
        asked = not done and observation[self._internal_index][_IN_QUESTION]
        message = observation[self._message_index].tobytes() if asked else b""
        if exceptions and message.startswith(_PROMPTS):
            return observation, done
        return super()._perform_known_steps(observation, done, exceptions)


class StaircaseLevel(_Goal, NetHackStaircase):  # type: ignore[misc]  # NLE ships no types
    """Take the stairs down to dungeon level ``level``.

    Args:
        level: the level number to arrive at.
        continual: pay every such arrival and play on.
    """

    def __init__(self, *args: Any, level: int = 2, continual: bool = False, **kwargs: Any) -> None:
        self._level, self._continual = level, continual
        self._on_stairs, self._arrived, self._from = False, False, 0
        super().__init__(*args, actions=ACTIONS, **kwargs)

    def step(self, action: int) -> Any:
        """Play one action, noting whether it can be a descent."""
        before = self.last_observation
        down = self.actions[action] == nethack.MiscDirection.DOWN
        self._on_stairs = down and bool(before[self._internal_index][_STAIRS_DOWN])
        self._from = int(before[self._blstats_index][nethack.NLE_BL_DLEVEL])
        return super().step(action)

    def _is_episode_end(self, observation: Any) -> Any:
        level = int(observation[self._blstats_index][nethack.NLE_BL_DLEVEL])
        self._arrived = self._on_stairs and self._from < level == self._level
        ended = self._arrived and not self._continual
        return self.StepStatus.TASK_SUCCESSFUL if ended else self.StepStatus.RUNNING

    def _reward_fn(self, last_observation: Any, action: Any, observation: Any, status: Any) -> Any:
        del last_observation, action, observation, status
        return REWARD if self._arrived else 0.0


class Oracle(_Goal, NetHackOracle):  # type: ignore[misc]  # NLE ships no types
    """Stand next to the Oracle.

    Args:
        sober: not while hallucinating. Without it agents learn to eat what makes every monster
            look like any other, the Oracle included.
    """

    def __init__(self, *args: Any, sober: bool = False, **kwargs: Any) -> None:
        self._sober = sober
        super().__init__(*args, actions=ACTIONS, **kwargs)

    def _is_episode_end(self, observation: Any) -> Any:
        condition = int(observation[self._blstats_index][nethack.NLE_BL_CONDITION])
        if self._sober and condition & nethack.BL_MASK_HALLU:
            return self.StepStatus.RUNNING
        column, row = observation[self._blstats_index][:2]
        around = observation[self._glyph_index][
            max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2
        ]
        met = bool(np.any(around == self.oracle_glyph))
        return self.StepStatus.TASK_SUCCESSFUL if met else self.StepStatus.RUNNING
