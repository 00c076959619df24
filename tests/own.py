"""Environments that a user of another package would have, registered as a module is imported."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Errand(gym.Env):
    """A point that goes to a place; shows a Dict, draws itself, tells no success."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = spaces.Dict(
        {
            "place": spaces.Box(-2, 2, (2,), np.float32),
            "goal": spaces.Box(-2, 2, (2,), np.float32),
            "way": spaces.Discrete(3),
        }
    )
    action_space = spaces.Box(-1, 1, (2,), np.float32)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.goal = self.np_random.uniform(-1, 1, (2, 2)).astype(np.float32)
        return self._seen(), {"energy": 1.0}

    def step(self, action):
        self.place = np.clip(self.place + 0.2 * action, -2, 2).astype(np.float32)
        return self._seen(), 0.0, False, False, {"energy": 1.0}

    def render(self):
        picture = np.zeros((16, 16, 3), np.uint8)
        for point, colour in ((self.goal, 0), (self.place, 1)):
            row, column = np.clip((point + 2) * 4, 0, 15).astype(int)
            picture[row, column, colour] = 255
        return picture

    def _seen(self):
        return {"place": self.place.copy(), "goal": self.goal.copy(), "way": 1}


def act(obs):
    """Go to the goal."""
    return np.clip(5 * (obs["goal"] - obs["place"]), -1, 1).astype(np.float32)


gym.register("Own/Errand-v0", entry_point=Errand, max_episode_steps=40)
