"""Worlds whose episodes are written down, under every host, and what the hosts pay."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from pettingzoo.utils.env import ParallelEnv

from densegym.envs.wrappers.lanes import LaneVecEnv
from densegym.envs.wrappers.pettingzoo import DenseRewardParallel
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv
from densegym.envs.wrappers.single import DenseReward
from densegym.envs.wrappers.vector import DenseRewardVector
from tests.core.reference_payer import Moment, Obs
from tests.toys import ACTIONS, CARD

SPACE = gym.spaces.Box(-10, 10, (3,), np.float64)


class Script(NamedTuple):
    """One episode: its first observation and its steps."""

    first: Obs
    steps: tuple[tuple[Obs, float, bool, bool], ...]

    def moments(self) -> list[Moment]:
        before, moments = self.first, []
        for obs, env, terminated, truncated in self.steps:
            moments.append(Moment(before, obs, env, terminated, truncated))
            before = obs
        return moments


class Row(NamedTuple):
    """What a host said of one step of one lane."""

    paid: float
    valid: float
    return_dense: float
    credits: Any


class Scripted(gym.Env):
    """Plays episodes as they are written, over and over."""

    observation_space, action_space = SPACE, ACTIONS

    def __init__(self, script: tuple[Script, ...]) -> None:
        self.script, self.episode, self.t = script, -1, 0

    def reset(self, *, seed=None, options=None):
        self.episode, self.t = (self.episode + 1) % len(self.script), 0
        return np.array(self.script[self.episode].first), {}

    def step(self, action):
        obs, reward, terminated, truncated = self.script[self.episode].steps[self.t]
        self.t += 1
        return np.array(obs), reward, terminated, truncated, {}


class ScriptedParallel(ParallelEnv):
    """One script an agent; whoever ends drops out until all have."""

    metadata = {"name": "scripted"}

    def __init__(self, scripts: list[tuple[Script, ...]]) -> None:
        self.worlds = {f"a{i}": Scripted(script) for i, script in enumerate(scripts)}
        self.possible_agents = list(self.worlds)
        self.agents: list[str] = []

    def observation_space(self, agent):
        return SPACE

    def action_space(self, agent):
        return ACTIONS

    def reset(self, seed=None, options=None):
        self.agents = list(self.possible_agents)
        started = {agent: world.reset() for agent, world in self.worlds.items()}
        return {a: s[0] for a, s in started.items()}, {a: s[1] for a, s in started.items()}

    def step(self, actions):
        stepped = {agent: self.worlds[agent].step(None) for agent in self.agents}
        columns = [{agent: row[i] for agent, row in stepped.items()} for i in range(5)]
        self.agents = [a for a, row in stepped.items() if not (row[2] or row[3])]
        return tuple(columns)


Played = list[list[Row]]
"""Per lane, what was said of its steps, in order."""


def _row(info: Any, paid: float) -> Row:
    return Row(paid, info["reward/valid"], info["return/dense"], info.get("reward/credits"))


def single(scripts: list[tuple[Script, ...]], reward: Any, steps: int) -> Played:
    played = []
    for script in scripts:
        env, rows = DenseReward(Scripted(script), reward(), CARD), []
        env.reset()
        for _ in range(steps):
            _, paid, terminated, truncated, info = env.step(np.zeros(2))
            rows.append(_row(info, paid))
            if terminated or truncated:
                env.reset()
        played.append(rows)
    return played


def vector(mode: AutoresetMode):
    def play(scripts: list[tuple[Script, ...]], reward: Any, steps: int) -> Played:
        host = SyncVectorEnv(
            [lambda script=script: Scripted(script) for script in scripts], autoreset_mode=mode
        )
        env = DenseRewardVector(host, reward(), CARD)
        env.reset()
        played: Played = [[] for _ in scripts]
        ended = np.zeros(len(scripts), dtype=bool)
        for _ in range(steps):
            _, paid, terminated, truncated, info = env.step(np.zeros((len(scripts), 2)))
            source = info
            for lane in range(len(scripts)):
                if mode is AutoresetMode.NEXT_STEP and ended[lane]:
                    continue  # the row only reset
                row = {key: info[key][lane] for key in ("reward/valid", "return/dense")}
                if info.get("_reward/credits", np.zeros(len(scripts)))[lane]:
                    row["reward/credits"] = source["reward/credits"][lane]
                played[lane].append(_row(row, float(paid[lane])))
            ended = terminated | truncated
            if mode is AutoresetMode.DISABLED and ended.any():
                env.reset(options={"reset_mask": ended})
        return played

    return play


def sb3(scripts: list[tuple[Script, ...]], reward: Any, steps: int) -> Played:
    env = DenseRewardVecEnv(
        LaneVecEnv([lambda script=script: Scripted(script) for script in scripts]),
        reward(),
        task=CARD,
    )
    env.reset()
    played: Played = [[] for _ in scripts]
    for _ in range(steps):
        _, paid, _, infos = env.step(np.zeros((len(scripts), 2)))
        for lane, info in enumerate(infos):
            played[lane].append(_row(info, float(paid[lane])))
    return played


def pettingzoo(scripts: list[tuple[Script, ...]], reward: Any, steps: int) -> Played:
    env = DenseRewardParallel(ScriptedParallel(scripts), reward(), CARD)
    played: Played = [[] for _ in scripts]
    for _ in range(steps):
        if not env.agents:
            env.reset()
        agents = list(env.agents)
        _, paid, _, _, infos = env.step({agent: np.zeros(2) for agent in agents})
        for agent in agents:
            played[int(agent[1:])].append(_row(infos[agent], paid[agent]))
    return played


HOSTS = {
    "single": single,
    "vector next step": vector(AutoresetMode.NEXT_STEP),
    "vector same step": vector(AutoresetMode.SAME_STEP),
    "vector disabled": vector(AutoresetMode.DISABLED),
    "sb3": sb3,
    "pettingzoo": pettingzoo,
}
