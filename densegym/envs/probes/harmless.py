"""A corridor in which looking around is never wrong, and never gets anybody anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from densegym.envs.copying import check_state
from densegym.envs.options import check_options
from densegym.errors import DenseGymError

Observation = npt.NDArray[np.float32]
WALK, LOOK, HAND_IN = 0, 1, 2
_STATE = ("_place", "_time", "_success", "_process")
_WALK_SCORE, _LOOK_SCORE, _WRONG_SCORE = 0.8, 0.6, 0.1


class HarmlessStep(gym.Env[Observation, np.int64]):
    """Walk, look around, or hand in; only handing in at the end pays.

    ``info["process"]`` is what a judge says of a step: 0.8 for a step forward, 0.6 for looking
    around, 0.1 for walking into the end, 1 for handing in at the end and 0 too early. Every single
    verdict is fair, and yet their sum is largest for an agent that looks around until the clock
    stops it.

    Args:
        length: steps to the end.
        max_steps: time limit.
        reward: belongs to the wrapper around the world; ignored.
        protocol: as well; the wrapper refuses what does not fit.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  # Gymnasium's own form

    def __init__(
        self, length: int = 4, max_steps: int = 24, reward: Any = None, protocol: Any = None
    ) -> None:
        self.observation_space = gym.spaces.Box(0.0, 1.0, (2,), np.float32)
        self.action_space = gym.spaces.Discrete(3)
        self._length, self._limit = length, max_steps
        self._place = self._time = 0
        self._success, self._process = False, 0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin at the start of the corridor, or go on from ``options={"state": state}``.

        Raises:
            UnknownNameError: another option.
        """
        check_options(self, options, ("state",))
        super().reset(seed=seed)
        if options and "state" in options:
            return self.set_state(options["state"])
        self._place, self._time, self._success = 0, 0, False
        return self._observe(), self._info(0.0)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Act; pays 1 for handing in at the end, else 0."""
        self._time += 1
        at_end = self._place == self._length
        handed_in = int(action) == HAND_IN
        process = _LOOK_SCORE
        if handed_in:
            self._success = at_end
            process = float(at_end)
        elif int(action) == WALK:
            process = _WRONG_SCORE if at_end else _WALK_SCORE
            self._place = min(self._place + 1, self._length)
        late = self._time >= self._limit and not handed_in
        return self._observe(), float(self._success), handed_in, late, self._info(process)

    def get_state(self) -> dict[str, Any]:
        """Return plain values from which ``set_state`` goes on."""
        own = {name: getattr(self, name) for name in _STATE}
        return {"world": "a corridor", "length": self._length, **own}

    def set_state(self, state: Mapping[str, Any]) -> tuple[Observation, dict[str, Any]]:
        """Go on from ``get_state`` of a corridor as long.

        Raises:
            DenseGymError: it is no state, or one of another corridor.
        """
        check_state(self, state, "a corridor")
        if state["length"] != self._length:
            raise DenseGymError(
                f"the state is of a corridor of {state['length']} steps, not {self._length}"
            )
        for name in _STATE:
            setattr(self, name, state[name])
        return self._observe(), self._info(self._process)

    def _observe(self) -> Observation:
        seen = [self._place / self._length, min(self._time / self._limit, 1.0)]
        return np.array(seen, dtype=np.float32)

    def _info(self, process: float) -> dict[str, Any]:
        self._process = process
        done = float(self._success)
        return {"process": process, "success_now": done, "is_success": done}
