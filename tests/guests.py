"""What another package might bring: two worlds with scripted experts, and learners."""

from __future__ import annotations

import copy

import gymnasium as gym
import numpy as np

from densegym import Capabilities, Feature, Places, TaskCard, World

SIZE = 64


class _Guest(gym.Env):
    """Success ends the episode; the constructor knows no ``terminate_on_success``."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def _told(self) -> dict[str, float]:
        done = float(self._solved())
        return {"is_success": done, "success_now": done}

    def render(self):
        shade = np.uint8(np.clip(128 + 100 * self._observed()[0], 0, 255))
        return np.full((SIZE, SIZE, 3), shade, dtype=np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._place()
        return self._observed(), self._told()

    def step(self, action):
        self._move(np.clip(np.asarray(action, dtype=np.float64), -1, 1))
        told = self._told()
        return self._observed(), told["success_now"], told["success_now"] > 0, False, told


class Line(_Guest):
    """A cart that is to stand on a mark; takes no ``reward``."""

    observation_space = gym.spaces.Box(-10, 10, (2,), np.float64)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def _place(self):
        self.x, self.mark = 0.0, self.np_random.uniform(0.6, 1.0) * self.np_random.choice([-1, 1])

    def _move(self, action):
        self.x = float(np.clip(self.x + 0.01 * action[0], -10, 10))

    def _observed(self):
        return np.array([self.x, self.mark])

    def _solved(self):
        return abs(self.x - self.mark) < 0.02


class Carry(_Guest):
    """A gripper that takes a block where it touches it, and carries it to the goal."""

    observation_space = gym.spaces.Box(-2, 2, (9,), np.float64)
    action_space = gym.spaces.Box(-1, 1, (3,), np.float32)

    def __init__(self, render_mode: str | None = None, reward: object = None) -> None:
        super().__init__(render_mode)

    def _place(self):
        self.hand = np.array([0.5, 0.5, 0.9])
        self.block, self.goal = self.np_random.uniform(0.1, 0.9, (2, 3))

    def _move(self, action):
        held = np.linalg.norm(self.hand - self.block) < 0.03
        self.hand = np.clip(self.hand + 0.02 * action, 0, 1)
        if held:
            self.block = self.hand.copy()

    def _observed(self):
        return np.concatenate([self.goal, self.hand, self.block])

    def _solved(self):
        return np.linalg.norm(self.block - self.goal) < 0.04


def line_expert(world: World):
    return lambda obs: np.clip(50 * (obs[1:] - obs[:1]), -1, 1)


class CarryExpert:
    """Begins every episode with an empty hand, which it remembers."""

    def __init__(self, world: World) -> None:
        self.holds = False

    def __call__(self, obs):
        goal, hand, block = obs[:3], obs[3:6], obs[6:]
        self.holds = self.holds or bool(np.linalg.norm(hand - block) < 0.01)
        return np.clip(50 * ((goal if self.holds else block) - hand), -1, 1)


def carry_reach(point, space):
    return lambda obs: np.clip(50 * (point - obs[3:6]), -1, 1)


def carry_ahead(env, act, obs, limit):
    env = copy.deepcopy(env)
    for step in range(1, limit):
        obs, _, solved, _, _ = env.step(act(obs))
        if solved:
            return step
    return limit


def gives_up(expert):
    return lambda rng: lambda obs: np.zeros(1, np.float32)


LINE = World(
    card=TaskCard(
        id="Guest/Line-v0",
        goal="Stand on the mark.",
        success="within 2 cm of the mark",
        provenance="a test",
        features=(
            Feature("position", (), "m", "world", "of the cart", columns=(0, 1)),
            Feature("mark", (), "m", "world", "of the mark", columns=(1, 2)),
        ),
    ),
    entry_point="tests.guests:Line",
    max_episode_steps=120,
    capabilities=Capabilities(expert="tests.guests:line_expert", exploits={"gives-up": gives_up}),
)
CARRY = World(
    card=TaskCard(
        id="Guest/Carry-v0",
        goal="Carry the block to the goal.",
        success="within 4 cm of the goal",
        provenance="a test",
        features=(Feature("hand", (3,), "m", "world", "of the gripper", columns=(3, 6)),),
        places=Places(gripper=(3, 6), object=(6, 9), goal=(0, 3)),
    ),
    entry_point=Carry,
    max_episode_steps=120,
    capabilities=Capabilities(
        expert=CarryExpert,
        lookahead="tests.guests:carry_ahead",
        reach=carry_reach,
        workspace=((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        demo_steps=200,
    ),
)
