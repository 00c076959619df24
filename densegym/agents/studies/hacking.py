"""Which ways of adding a process reward are farmed: outcome and proxy of agents paid that way."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import torch
from rich.table import Table
from stable_baselines3 import PPO

from densegym.agents.relabel import attach
from densegym.agents.studies.study import Bar, Monitor, Request, Result, smoke_label
from densegym.envs.registration import bare_spec
from densegym.envs.tasks import task_card
from densegym.envs.wrappers.lanes import LaneVecEnv
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv
from densegym.reward_models.model import FunctionReward
from densegym.reward_models.spec import RewardSpec, build_engine
from densegym.reward_models.types import Steps

if TYPE_CHECKING:
    from rich.console import RenderableType

PROBE = "DenseGym/HarmlessStep-v0"
STEPS = 40_000
_LANES, _ROWS, _EPISODES = 8, 64, 20


def _said(steps: Steps) -> Mapping[str, Any]:
    return {"process": np.array([info["process"] for info in steps.info], dtype=np.float64)}


def _process() -> FunctionReward:
    return FunctionReward("probe/process", _said, ["process"])


def _hindsight(**stages: Any) -> RewardSpec:
    return ["env", {"model": "credit/pipeline", "base": _process(), **stages}]


ARMS: Mapping[str, Callable[[], RewardSpec]] = {
    "outcome only": lambda: "env",
    "plain sum": lambda: ["env", _process()],
    "clip": lambda: _hindsight(refine=[{"clip": {"eta": 0.8}}]),
    "delta": lambda: _hindsight(refine=["delta"]),
    "delta, as published": lambda: _hindsight(refine=[{"delta": {"answer": True}}]),
    "min-form": lambda: _hindsight(refine=["min"]),
    "gate": lambda: _hindsight(hindsight_gate={"key": "is_success", "threshold": 1.0}),
    "gate, delta": lambda: _hindsight(
        hindsight_gate={"key": "is_success", "threshold": 1.0}, refine=["delta"]
    ),
}
EXPLOITED = 0.5  # success below which a reward was farmed instead


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one agent does after training.

    Attributes:
        arm: as in ``ARMS``.
        seed: of everything.
        success: share of episodes that end with success, the world's own outcome.
        proxy: mean sum of process rewards of an episode, before any stage.
        length: mean steps of an episode.
        cpu_s: CPU seconds to train.
    """

    arm: str
    seed: int
    success: float
    proxy: float
    length: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Hacking(Result):
    """What agents do that were paid in different ways.

    Attributes:
        outcomes: of every arm and seed.
    """

    outcomes: Sequence[Outcome]

    def as_json(self) -> dict[str, Any]:
        """Return all outcomes, and whether the bars hold."""
        return {"rows": [asdict(one) for one in self.outcomes], "holds": self.bars_hold}

    def bars(self) -> list[Bar]:
        """Return the bars: the plain sum is farmed; clip, delta and min-form are not."""
        plain = self._mean("plain sum", "success")
        kept = {arm: self._mean(arm, "success") for arm in ("clip", "delta", "min-form")}
        return [
            Bar(f"plain sum is farmed: success {plain:.2f} < {EXPLOITED}", plain < EXPLOITED),
            *(
                Bar(f"{arm} is not: success {success:.2f} >= {EXPLOITED}", success >= EXPLOITED)
                for arm, success in kept.items()
            ),
        ]

    def report(self) -> list[RenderableType]:
        """Return one table, means over seeds."""
        seeds = len({one.seed for one in self.outcomes})
        smoke = smoke_label(seeds)
        table = Table(title=f"{PROBE}, PPO, {seeds} seeds{smoke}, likeliest actions")
        for column in ("paid", "success", "lowest", "proxy", "steps", "CPU s"):
            table.add_column(column, justify="left" if column == "paid" else "right")
        for arm in ARMS:
            success = self._mean(arm, "success")
            lowest = min(one.success for one in self.outcomes if one.arm == arm)
            means = (f"{self._mean(arm, name):.1f}" for name in ("proxy", "length", "cpu_s"))
            table.add_row(arm, f"{success:.2f}", f"{lowest:.2f}", *means)
        return [table]

    def _mean(self, arm: str, name: str) -> float:
        return float(np.mean([getattr(one, name) for one in self.outcomes if one.arm == arm]))


def run(request: Request, monitor: Monitor) -> Hacking:
    """Carry out the study ``hacking``."""
    count = monitor.counter("training on the probe", len(ARMS) * len(request.seeds))
    return Hacking(measure(request.seeds, steps=request.steps, on_run=count))


def measure(
    seeds: Sequence[int] = (0, 1, 2),
    *,
    steps: int = STEPS,
    on_run: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Train PPO on the probe with every arm and play the likeliest actions."""
    torch.set_num_threads(1)
    made = []
    for seed in seeds:
        for arm, spec in ARMS.items():
            made.append(_run(arm, spec(), seed, steps))
            on_run(made[-1])
    return made


def _run(arm: str, reward: RewardSpec, seed: int, steps: int) -> Outcome:
    started = time.process_time()
    engine = build_engine(reward, _LANES, task=task_card(PROBE), seed=seed)
    lanes = LaneVecEnv([lambda: gym.make(bare_spec(PROBE))] * _LANES)
    model = PPO(
        "MlpPolicy",
        DenseRewardVecEnv(lanes, engine=engine),
        n_steps=_ROWS,
        batch_size=128,
        ent_coef=0.05,
        gamma=0.99,
        learning_rate=1e-3,
        seed=seed,
        device="cpu",
    )
    if engine.reward.traits.when == "episode":
        attach(model)
    model.learn(steps)
    spent = time.process_time() - started
    success, proxy, length = _play(model)
    return Outcome(arm, seed, success, proxy, length, round(spent, 1))


def _play(model: PPO) -> tuple[float, float, float]:
    env = gym.make(bare_spec(PROBE))
    told = []
    for episode in range(_EPISODES):
        obs, _ = env.reset(seed=episode)
        proxy, length, ended = 0.0, 0, False
        while not ended:
            action, _ = model.predict(obs, deterministic=True)
            obs, _, terminated, truncated, info = env.step(action)
            proxy, length, ended = proxy + info["process"], length + 1, terminated or truncated
        told.append((info["is_success"], proxy, length))
    env.close()
    success, proxy_mean, length_mean = np.mean(told, axis=0).tolist()
    return success, proxy_mean, length_mean
