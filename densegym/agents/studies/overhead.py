"""What a reward costs per step: CPU time over the same environment without it, in one run."""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from densegym.agents.studies.study import Figures, Monitor, Request
from densegym.envs.registration import bare_spec
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv
from densegym.errors import require
from densegym.reward_models.authored.programs.program import Header, build_program
from densegym.reward_models.batch import all_true
from densegym.reward_models.model import RewardModel
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Feature, Scores, Steps, TaskCard

LANES = 8
_STEPS = 150  # vector steps per sample
_ROUNDS = 25
_PROGRAM = """
import numpy as np


def compute_reward(velocity, pitch, height, action):
    forward = np.minimum(velocity, 5.0)
    upright = -0.5 * pitch * pitch
    level = -0.1 * np.abs(height)
    effort = -0.1 * (action * action).sum(axis=1)
    return forward + upright + level + effort, {
        "forward": forward, "upright": upright, "level": level, "effort": effort,
    }
"""
_CARD = TaskCard(
    id="HalfCheetah-v5",
    features=(
        Feature("height", (), "m", "world", "torso height", columns=(0, 1)),
        Feature("pitch", (), "rad", "world", "torso pitch", columns=(1, 2)),
        Feature("velocity", (), "m/s", "world", "forward velocity", columns=(8, 9)),
        Feature("action", (6,), "1", "-", "torques", "action"),
    ),
)


class NetworkReward(RewardModel):
    """The mean of ``members`` networks 32 x 32 on (observation, action), as one batched product.

    Measures what a learned reward costs; the weights are drawn once and never trained.
    """

    traits = Traits()

    def __init__(self, inputs: int, *, members: int = 1, seed: int = 0) -> None:
        self.name = f"network-{members}"
        generator = torch.Generator().manual_seed(seed)
        widths = (inputs, 32, 32, 1)
        self._weights = [
            torch.randn(members, before, after, generator=generator) / before**0.5
            for before, after in itertools.pairwise(widths)
        ]
        self._biases = [torch.zeros(members, 1, after) for after in widths[1:]]

    @torch.inference_mode()
    def score(self, steps: Steps) -> Scores:
        """Return the mean over members."""
        rows = np.concatenate([steps.next_obs, steps.action], axis=1, dtype=np.float32)
        hidden = torch.from_numpy(rows).expand(len(self._weights[0]), -1, -1)
        for weight, bias in zip(self._weights[:-1], self._biases[:-1], strict=True):
            hidden = torch.baddbmm(bias, hidden, weight).relu_()
        out = torch.baddbmm(self._biases[-1], hidden, self._weights[-1])
        reward = out.mean(dim=0)[:, 0].numpy().astype(np.float64)
        return Scores(reward, all_true(len(reward)))


def run(request: Request, monitor: Monitor) -> Figures:
    """Carry out the study ``overhead``."""
    monitor.progress("measuring the cost of rewards per step, about a minute", 0, None)
    return Figures(measure())


def measure() -> dict[str, float]:
    """Return CPU microseconds per environment step, as medians of paired differences, and more."""
    torch.set_num_threads(1)
    header = Header("authored/overhead-v1", "", "", "", "", source=_PROGRAM)
    models: dict[str, Any] = {
        "program_4_terms": build_program(header, _CARD),
        "network_32x32": NetworkReward(23),
        "ensemble_3": NetworkReward(23, members=3),
    }
    raw = DummyVecEnv([_cheetah] * LANES)
    hosts: dict[str, VecEnv] = {"raw": raw}
    for name, model in models.items():
        hosts[name] = DenseRewardVecEnv(DummyVecEnv([_cheetah] * LANES), model, task=_CARD)
    seconds = _interleave({name: _stepper(host) for name, host in hosts.items()})
    per_step = 1e6 / (_STEPS * LANES)
    figures = {"raw_us": statistics.median(seconds["raw"]) * per_step}
    for name in hosts:
        if name != "raw":
            pairs = zip(seconds[name], seconds["raw"], strict=True)
            figures[f"{name}_extra_us"] = statistics.median(a - b for a, b in pairs) * per_step
    figures["metaworld_speed_ratio"] = metaworld_speed_ratio()
    figures["import_s"] = import_seconds()
    return {name: round(value, 3) for name, value in figures.items()}


def metaworld_speed_ratio(steps: int = 400, rounds: int = 9) -> float:
    """Return steps per CPU second of the repaired button-press over the upstream env's."""
    known: Any = require("metaworld.env_dict", extra="robot").ALL_V3_ENVIRONMENTS
    ours = gym.make(bare_spec("DenseGym/ButtonPress-v0"), terminate_on_success=False)
    upstream: Any = known["button-press-v3"]()
    upstream._set_task_called = True
    upstream._freeze_rand_vec = False
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, 4)).astype(np.float32)

    def run(env: Any, limit: int) -> Callable[[], None]:
        def play() -> None:
            for t, action in enumerate(actions):
                if t % limit == 0:
                    env.reset()
                env.step(action)

        return play

    # Both reset as often; upstream's cap of 500 steps is never met.
    seconds = _interleave({"ours": run(ours, 150), "raw": run(upstream, 150)}, rounds)
    ours.close()
    pairs = zip(seconds["raw"], seconds["ours"], strict=True)
    return statistics.median(raw / repaired for raw, repaired in pairs)


def import_seconds(rounds: int = 5) -> float:
    """Return the median wall seconds of ``import densegym`` in a fresh interpreter.

    Raises:
        RuntimeError: the import pulled in torch.
    """
    code = (
        "import sys, time; t = time.perf_counter(); import densegym; "
        "print(time.perf_counter() - t, 'torch' in sys.modules)"
    )
    taken = []
    for _ in range(rounds):
        told = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        seconds, torch_loaded = told.stdout.split()
        if torch_loaded == "True":
            raise RuntimeError("import densegym loaded torch")
        taken.append(float(seconds))
    return statistics.median(taken)


def _cheetah() -> gym.Env[Any, Any]:
    return gym.make("HalfCheetah-v5")


def _stepper(host: VecEnv) -> Callable[[], None]:
    host.seed(0)
    host.reset()
    shape = (_STEPS, LANES, 6)
    actions = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)

    def play() -> None:
        for action in actions:
            host.step(action)

    return play


def _interleave(
    plays: dict[str, Callable[[], None]], rounds: int = _ROUNDS
) -> dict[str, list[float]]:
    """Return CPU seconds of each play, the plays taking turns so that drift hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in plays}
    for play in plays.values():
        play()
    for _ in range(rounds):
        for name, play in plays.items():
            started = time.process_time()
            play()
            seconds[name].append(time.process_time() - started)
    return seconds
