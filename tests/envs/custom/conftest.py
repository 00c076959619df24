import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from densegym.envs.custom import registry

SOURCE = '''"""Environments of a stranger."""

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Corridor(gym.Env):
    """Walk to the goal."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = spaces.Dict(
        place=spaces.Box(-1, 1, (1,), np.float32), goal=spaces.Box(-1, 1, (1,), np.float32)
    )
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.goal = np.float32([-0.5]), np.float32(self.np_random.uniform(0.2, 0.9, 1))
        return self.seen(), {}

    def step(self, action):
        self.place = np.clip(self.place + 0.1 * np.clip(action, -1, 1), -1, 1).astype(np.float32)
        far = float(abs(self.place - self.goal)[0])
        return self.seen(), float(far < 0.1), far < 0.1, False, {"distance": far}

    def seen(self):
        return {"place": self.place.copy(), "goal": self.goal.copy()}

    def render(self):
        return np.full((64, 64, 3), int(127 * (1 + self.place[0])), np.uint8)


gym.register("Stranger/Corridor-v0", entry_point=Corridor, max_episode_steps=50)
'''


@pytest.fixture(autouse=True)
def own_tasks() -> Iterator[None]:
    """Leave no task of a test behind."""
    yield
    registry.forget_tasks()


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the name of a module in the current folder that registers ``Stranger/Corridor-v0``."""
    (tmp_path / "strange_envs.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield "strange_envs"
    sys.modules.pop("strange_envs", None)
    gym.registry.pop("Stranger/Corridor-v0", None)


class Told(gym.Env[np.ndarray, int]):
    """Tells success at the end, and nothing else."""

    observation_space = spaces.Box(-1, 1, (12,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(12, np.float32), {}

    def step(self, action):
        self.t += 1
        ended = self.t == 3
        info = {"is_success": bool(action)} if ended else {}
        return np.full(12, self.t / 10, np.float32), 0.0, ended, False, info


@pytest.fixture
def told() -> Iterator[str]:
    gym.register("Stranger/Told-v0", entry_point=Told)
    yield "Stranger/Told-v0"
    gym.registry.pop("Stranger/Told-v0")
