"""Four wrappers, five hosts, one stream of numbers, bit for bit."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.vec_env import DummyVecEnv

from densegym.envs.wrappers.lanes import LaneVecEnv
from densegym.envs.wrappers.pettingzoo import DenseRewardParallel
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv
from densegym.envs.wrappers.single import DenseReward
from densegym.envs.wrappers.vector import DenseRewardVector
from densegym.reward_models.authored.programs.program import Header, build_program
from densegym.reward_models.model import FunctionReward
from tests.toys import (
    CARD,
    Brightness,
    Counting,
    Height,
    Redistribute,
    Wander,
    WanderParallel,
)

PROGRAM = """
import numpy as np
def compute_reward(position, prev_position, height, push, told, terminated):
    near = np.exp(-np.linalg.norm(position, axis=1))
    gain = np.tanh(position - prev_position).sum(axis=1)
    return near + gain + 0.1 * told - terminated, {
        "near": near, "gain": gain, "told": 0.1 * told, "end": -1.0 * terminated
    }
"""
POTENTIAL = """
import numpy as np
def potential(position, height):
    return np.exp(-np.linalg.norm(position, axis=1)) + np.sin(height)
"""


def program(source: str) -> Any:
    return build_program(Header("authored/toy-v1", CARD.id, "", "", "", source=source), CARD)


def squares() -> FunctionReward:
    return FunctionReward(
        "toy/squares-v1",
        lambda steps: {"square": np.square(steps.next_obs).sum(axis=1)},
        ["square"],
    )


LEAVES = {
    "env": lambda: "env",
    "expert": lambda: "expert",
    "delayed": lambda: {"model": "delayed", "of": "env"},
    "counting": Counting,
    "abstaining": lambda: {"model": Counting(abstains=True)},
    "height": lambda: {"model": Height(), "gamma": 0.9},
    "height abstaining": lambda: {"model": Height(abstains=True), "truncation": "terminal"},
    "height unsafe": lambda: {"model": Height(), "mode": "additive_unsafe"},
    "program": lambda: program(PROGRAM),
    "potential": lambda: program(POTENTIAL),
    "squares": lambda: {"model": squares(), "mode": "add", "scale": 0.3, "clip": [-1, 1]},
    "gated": lambda: {"model": Counting(), "gate": squares(), "gate_threshold": 4.0},
    "latched": lambda: {
        "model": Counting(abstains=True),
        "gate": Counting(),
        "gate_threshold": 2.5,
        "gate_latch": True,
    },
}
FALLBACKS = ("zero", "env", "last")
ON_TOP = ("height", "height abstaining", "height unsafe", "potential", "squares")
"""Paid on top of the world's reward, which is no fallback for them."""


def action(lane: int, k: int) -> np.ndarray:
    return np.array([np.sin(lane + 0.7 * k), np.cos(2.0 * lane - 0.3 * k)])


Stream = list[tuple[float, ...]]


def told(info: dict[str, Any]) -> tuple[float, ...]:
    keys = sorted(k for k in info if k.startswith(("reward/", "return/")) and "credits" not in k)
    credits = info.get("reward/credits")
    extra = () if credits is None else tuple(np.asarray(credits).tolist())
    return (*(float(info[key]) for key in keys), *extra)


def from_singles(spec, lanes: int, steps: int, seed: int, **kwargs) -> list[Stream]:
    streams: list[Stream] = []
    for lane in range(lanes):
        env = DenseReward(Wander(**kwargs), spec(), task=CARD)
        env.reset(seed=seed + lane)
        stream: Stream = []
        for k in range(steps):
            _, paid, terminated, truncated, info = env.step(action(lane, k))
            assert type(paid) is float
            stream.append((paid, *told(info)))
            if terminated or truncated:
                env.reset()
        streams.append(stream)
    return streams


def from_vector(mode: AutoresetMode):
    def run(spec, lanes: int, steps: int, seed: int, **kwargs) -> list[Stream]:
        inner = SyncVectorEnv([lambda: Wander(**kwargs)] * lanes, autoreset_mode=mode)
        env = DenseRewardVector(inner, spec(), task=CARD)
        env.reset(seed=seed)
        streams: list[Stream] = [[] for _ in range(lanes)]
        ended = np.zeros(lanes, dtype=bool)
        while min(map(len, streams)) < steps:
            dead = ended if mode is AutoresetMode.NEXT_STEP else np.zeros(lanes, dtype=bool)
            if mode is AutoresetMode.DISABLED and ended.any():
                env.reset(options={"reset_mask": ended})
            actions = np.stack([action(lane, len(streams[lane])) for lane in range(lanes)])
            _, paid, terminated, truncated, info = env.step(actions)
            for lane in range(lanes):
                if dead[lane]:
                    assert paid[lane] == 0.0
                    continue
                row = {
                    k: v[lane]
                    for k, v in info.items()
                    if not k.startswith("_")
                    and k.startswith(("reward/", "return/"))
                    and info[f"_{k}"][lane]
                }
                streams[lane].append((float(paid[lane]), *told(row)))
                if mode is AutoresetMode.SAME_STEP and (terminated[lane] or truncated[lane]):
                    assert info["final_info"]["return/dense"][lane] == info["return/dense"][lane]
            ended = terminated | truncated
        return [stream[:steps] for stream in streams]

    return run


def from_sb3(host):
    def run(spec, lanes: int, steps: int, seed: int, **kwargs) -> list[Stream]:
        env = DenseRewardVecEnv(host([lambda: Wander(**kwargs)] * lanes), spec(), task=CARD)
        env.seed(seed)
        env.reset()
        streams: list[Stream] = [[] for _ in range(lanes)]
        for k in range(steps):
            _, paid, _, infos = env.step(np.stack([action(lane, k) for lane in range(lanes)]))
            for lane in range(lanes):
                streams[lane].append((float(paid[lane]), *told(infos[lane])))
        return streams

    return run


HOSTS = {
    "NEXT_STEP": from_vector(AutoresetMode.NEXT_STEP),
    "SAME_STEP": from_vector(AutoresetMode.SAME_STEP),
    "DISABLED": from_vector(AutoresetMode.DISABLED),
    "DummyVecEnv": from_sb3(DummyVecEnv),
    "LaneVecEnv": from_sb3(LaneVecEnv),
}


def check(spec, lanes: int, steps: int, seed: int, **kwargs) -> None:
    expected = from_singles(spec, lanes, steps, seed, **kwargs)
    for name, run in HOSTS.items():
        assert run(spec, lanes, steps, seed, **kwargs) == expected, name


@pytest.mark.parametrize("name", LEAVES)
def test_every_stateful_model_pays_the_same_under_every_host(name: str) -> None:
    check(LEAVES[name], lanes=3, steps=25, seed=5)


@given(
    names=st.lists(st.sampled_from(sorted(LEAVES)), min_size=1, max_size=3),
    fallbacks=st.lists(st.sampled_from(FALLBACKS), min_size=3, max_size=3),
    lanes=st.integers(1, 4),
    seed=st.integers(0, 1000),
    ending=st.sampled_from([0.0, 0.05, 0.3, 0.7]),
)
def test_sums_of_models_pay_the_same_under_every_host(
    names, fallbacks, lanes, seed, ending
) -> None:
    def spec() -> Any:
        parts = [LEAVES[name]() for name in names]
        dicts = [part if isinstance(part, dict) else {"model": part} for part in parts]
        shared = [{**part, "gamma": 0.9} if "gamma" in part else part for part in dicts]
        return [{**part, "fallback": own} for part, own in zip(shared, chosen, strict=True)]

    chosen = [
        "zero" if own == "env" and name in ON_TOP else own
        for name, own in zip(names, fallbacks, strict=False)
    ]

    potentials = [name for name in names if name.startswith(("height", "potential"))]
    if len(potentials) > 1:  # parts that assume different discounts are refused elsewhere
        return
    check(spec, lanes=lanes, steps=12, seed=seed, ending=ending)


def test_credits_arrive_on_the_last_step_under_every_host() -> None:
    def shown() -> dict[str, Any]:
        return {"model": Redistribute(), "hindsight": True}

    check(shown, lanes=3, steps=25, seed=1)
    streams = from_singles(shown, 2, 25, 1)
    assert any(len(row) > 6 for row in streams[0])


def test_pictures_of_the_true_last_state_reach_the_model_under_every_host() -> None:
    from densegym.envs.wrappers.frames import FrameInInfo

    def filmed(**kwargs: Any) -> gym.Env:
        return FrameInInfo(Wander(render_mode="rgb_array"))

    expected = from_singles(Brightness, 2, 20, 3, render_mode="rgb_array")
    inner = SyncVectorEnv([filmed] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    vector = DenseRewardVector(inner, Brightness(), task=CARD)
    vector.reset(seed=3)
    venv = DenseRewardVecEnv(LaneVecEnv([filmed] * 2), Brightness(), task=CARD)
    venv.seed(3)
    venv.reset()
    for k in range(20):
        actions = np.stack([action(lane, k) for lane in range(2)])
        by_vector, by_sb3 = vector.step(actions)[1], venv.step(actions)[1]
        assert [row[k][0] for row in expected] == by_vector.tolist() == by_sb3.tolist()


@pytest.mark.parametrize("name", LEAVES)
def test_parallel_agents_pay_what_single_worlds_pay(name: str) -> None:
    expected = from_singles(LEAVES[name], 3, 40, seed=2)
    env = DenseRewardParallel(WanderParallel(3), LEAVES[name](), task=CARD)
    env.reset(seed=2)
    k = 0
    while env.agents:
        actions = {agent: action(int(agent[-1]), k) for agent in env.agents}
        _, paid, _, _, infos = env.step(actions)
        for agent, reward in paid.items():
            assert (reward, *told(infos[agent])) == expected[int(agent[-1])][k]
        k += 1
    assert k > 0


def test_unequal_agents_are_refused() -> None:
    from densegym.errors import RewardError

    world = WanderParallel(2)
    world.action_space = lambda agent: gym.spaces.Discrete(2 + int(agent[-1]))
    with pytest.raises(RewardError, match="action_spaces differ"):
        DenseRewardParallel(world, "env")


def test_vector_env_reuses_no_buffer_of_the_host() -> None:
    inner = SyncVectorEnv([Wander] * 2, copy=False)
    env = DenseRewardVector(inner, program(PROGRAM), task=CARD)
    copied = DenseRewardVector(SyncVectorEnv([Wander] * 2), program(PROGRAM), task=CARD)
    env.reset(seed=0)
    copied.reset(seed=0)
    for k in range(10):
        actions = np.stack([action(lane, k) for lane in range(2)])
        assert env.step(actions)[1].tolist() == copied.step(actions)[1].tolist()
