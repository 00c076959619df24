"""Small worlds and reward models that make every edge of the contract cheap to reach."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from pettingzoo.utils.env import ParallelEnv

from densegym.reward_models.batch import all_true
from densegym.reward_models.model import LaneValues, Potential, RewardModel
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import (
    Feature,
    Need,
    Pictures,
    Scores,
    Starts,
    Steps,
    TaskCard,
    Values,
)

SPACE = gym.spaces.Box(-10, 10, (3,), np.float64)
ACTIONS = gym.spaces.Box(-1, 1, (2,), np.float64)
CARD = TaskCard(
    id="Toy/Wander-v0",
    goal="Wander.",
    expert="distance from home",
    features=(
        Feature("position", (3,), "m", "world", "where it is", columns=(0, 3)),
        Feature("height", (), "m", "world", "third coordinate", columns=(2, 3)),
        Feature("push", (2,), "1", "-", "the action", "action"),
        Feature("told", (), "1", "-", "a number from info", "info", key="told"),
    ),
)


class Wander(gym.Env):
    """A drifting point whose episodes end by chance, by either clock or both."""

    observation_space = SPACE
    action_space = ACTIONS
    metadata = {"render_modes": ["rgb_array"]}

    def __init__(self, ending: float = 0.15, render_mode: str | None = None) -> None:
        self.ending = ending
        self.render_mode = render_mode
        self.point = np.zeros(3)

    def _info(self) -> dict[str, Any]:
        return {
            "told": float(self.point.sum()),
            "is_success": float(self.point[0] > 1),
            "expert_reward": float(np.abs(self.point).sum()),
        }

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.point = self.np_random.normal(size=3)
        return self.point.copy(), self._info()

    def step(self, action):
        push = np.array([*action, action[0] - action[1]])
        self.point = np.clip(self.point + 0.3 * push + 0.1 * self.np_random.normal(size=3), -10, 10)
        terminated, truncated = self.np_random.random(2) < self.ending
        return (
            self.point.copy(),
            float(self.point[1]),
            bool(terminated),
            bool(truncated),
            self._info(),
        )

    def render(self):
        shade = int(np.clip(100 + 20 * self.point[0], 0, 255))
        return np.full((4, 4, 3), shade, dtype=np.uint8)


class WanderParallel(ParallelEnv):
    """One Wander per agent; agents drop out when theirs ends."""

    metadata = {"name": "wander"}

    def __init__(self, agents: int, ending: float = 0.15) -> None:
        self.possible_agents = [f"agent_{i}" for i in range(agents)]
        self.worlds = {agent: Wander(ending) for agent in self.possible_agents}
        self.agents: list[str] = []

    def observation_space(self, agent):
        return SPACE

    def action_space(self, agent):
        return ACTIONS

    def reset(self, seed=None, options=None):
        self.agents = list(self.possible_agents)
        started = {
            agent: world.reset(seed=None if seed is None else seed + i)
            for i, (agent, world) in enumerate(self.worlds.items())
        }
        return {a: s[0] for a, s in started.items()}, {a: s[1] for a, s in started.items()}

    def step(self, actions):
        stepped = {agent: self.worlds[agent].step(actions[agent]) for agent in self.agents}
        columns = [{agent: row[i] for agent, row in stepped.items()} for i in range(5)]
        self.agents = [a for a, row in stepped.items() if not (row[2] or row[3])]
        return tuple(columns)


class Counting(RewardModel):
    """Pays a running count of its lane's steps, and abstains on every third."""

    name = "toy/counting-v1"
    traits = Traits(terms=("count",))

    def __init__(self, abstains: bool = False) -> None:
        self.abstains = abstains
        self.count = LaneValues()
        self.memory = {"count": self.count}

    def begin(self, starts: Starts) -> None:
        self.count.reset(starts.slot)

    def score(self, steps: Steps) -> Scores:
        self.count.values[steps.slot] += 1.0
        count = self.count.values[steps.slot]
        valid = (count % 3 != 0) if self.abstains else all_true(len(count))
        return Scores(count, valid, {"count": count})


class Height(Potential):
    """A potential: a nonlinear function of the state and of the lane's history."""

    name = "toy/height-v1"
    traits = Traits()

    def __init__(self, abstains: bool = False) -> None:
        self.abstains = abstains
        self.best = LaneValues()
        self.memory = {"best": self.best}

    def _value(self, obs):
        return np.tanh(obs[:, 0]) + np.exp(-np.square(obs[:, 2])) + 0.1 * obs[:, 1]

    def value(self, event: Starts | Steps):
        if isinstance(event, Starts):
            value = self._value(event.obs)
            self.best.reset(event.slot, value)
            return Values(value, all_true(len(value)))
        value = np.maximum(self._value(event.next_obs), 0.9 * self.best.values[event.slot])
        self.best.values[event.slot] = value
        return Values(value, (event.t % 4 != 2) if self.abstains else all_true(len(value)))


class Redistribute(RewardModel):
    """Spreads the episode's return evenly, as credits at its end."""

    name = "toy/uniform-v1"
    traits = Traits(when="episode")

    def score(self, steps: Steps) -> Scores:
        return Scores(np.zeros(len(steps.slot)), all_true(len(steps.slot)))

    def finish(self, episodes):
        return [np.full(len(e.env_reward), e.env_reward.mean()) for e in episodes]


class Brightness(RewardModel):
    """Pays the mean of the picture of the successor."""

    name = "toy/brightness-v1"
    traits = Traits(needs=Need.FRAME, pictures=Pictures())

    def score(self, steps: Steps) -> Scores:
        assert steps.frame is not None
        return Scores(steps.frame.mean(axis=(1, 2, 3, 4)), all_true(len(steps.slot)))
