"""Renders each state once and hands the picture to everybody through ``info["frame"]``."""

from __future__ import annotations

from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from densegym.errors import RewardError
from densegym.reward_models.types import Frames


class FrameInInfo(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Puts ``info["frame"]``, (H, W, 3) uint8, into every step and reset.

    The picture is taken inside the step, so the last one of an episode shows its last state even
    under hosts that reset at once.

    Raises:
        RewardError: the env was not made with ``render_mode="rgb_array"``.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        if env.render_mode != "rgb_array":
            raise RewardError(
                "this reward looks at pictures, but the environment was made with "
                f'render_mode={env.render_mode!r}. Make it with render_mode="rgb_array".'
            )

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Reset and show the first state."""
        obs, info = self.env.reset(**kwargs)
        return obs, {**info, "frame": self._frame()}

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step and show the successor."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        return obs, reward, terminated, truncated, {**info, "frame": self._frame()}

    def _frame(self) -> Frames:
        picture: Any = self.env.render()
        return np.asarray(picture, dtype=np.uint8)
