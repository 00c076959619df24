"""Delayed MuJoCo: the same learner on the same world, paid at once, at the end, or in hindsight.

Gymnasium's own tasks, so that the original dense return is both the hidden truth and the measure.
"""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import torch
from rich.table import Table
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecMonitor

from densegym.agents.relabel import attach
from densegym.agents.studies.study import Monitor, Request, Result, smoke_label
from densegym.agents.training.evaluate import Evaluator
from densegym.agents.training.processes import worker_pool
from densegym.agents.training.results import write_json
from densegym.envs.tasks import find_card
from densegym.envs.wrappers.lanes import LaneVecEnv
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv
from densegym.reward_models.spec import RewardSpec, build_engine
from densegym.reward_models.types import TaskCard

if TYPE_CHECKING:
    from rich.console import RenderableType

EVAL_SEED = 1_000_003
LANES = 8
ROWS = 200  # of a PPO rollout, per lane
_EVALUATIONS = 10
_EPISODES = 4
RAW: RewardSpec = {"model": "delayed", "of": "env"}
EVENLY: RewardSpec = {"model": "credit/uniform", "of": "env"}
FITTED: RewardSpec = {"model": "credit/rrd", "of": "env"}
ARMS: Mapping[str, RewardSpec] = {"raw": RAW, "uniform": EVENLY, "dense": "env"}
LEARNT: Mapping[str, RewardSpec] = {
    "lare": {"model": "credit/lare", "of": "env"},
    "rrd": FITTED,
    "rrd-unbiased": {"model": "credit/rrd", "of": "env", "unbiased": True},
    "uniform": EVENLY,
    "raw": RAW,
    "dense": "env",
}
_ORDER = ("lare", "rrd", "uniform", "raw")  # best first, by the literature
_CARDS = {
    "HalfCheetah-v5": "DenseGym/HalfCheetahForward-v0",
    "Hopper-v5": "DenseGym/HopperForward-v0",
    "Walker2d-v5": "DenseGym/Walker2dForward-v0",
    "Ant-v5": "DenseGym/AntForward-v0",
}


@dataclass(frozen=True, slots=True)
class DelayedTask:
    """A Gymnasium task with a time limit.

    Attributes:
        env: Gymnasium id.
        limit: steps of an episode, in training and evaluation.
    """

    env: str
    limit: int

    def make(self) -> gym.Env[Any, Any]:
        """Return the bare world."""
        return gym.make(self.env, max_episode_steps=self.limit)


@dataclass(frozen=True, slots=True)
class Curve:
    """One run.

    Attributes:
        arm: what it was paid.
        seed: of everything.
        steps: of each evaluation.
        returns: original, undiscounted mean return of each evaluation.
        cpu_s: CPU seconds of training and evaluations.
        bootstraps: whether time limits were bootstrapped.
    """

    arm: str
    seed: int
    steps: list[int]
    returns: list[float]
    cpu_s: float
    bootstraps: bool

    def late(self, count: int = 5) -> float:
        """Return the mean of the last evaluations."""
        return statistics.fmean(self.returns[-count:])


@dataclass(frozen=True, slots=True)
class Delayed(Result):
    """Redistributors on a delayed world. Their order is told and no bar.

    Attributes:
        world: where.
        steps: environment steps of a run.
        curves: all runs.
    """

    world: DelayedTask
    steps: int
    curves: Sequence[Curve]

    def as_json(self) -> dict[str, Any]:
        """Return the late return of every arm, whether the order holds, and the seeds."""
        seeds = list(dict.fromkeys(curve.seed for curve in self.curves))
        return {"late": self.late(), "order_holds": self.order_holds(), "seeds": seeds}

    def report(self) -> list[RenderableType]:
        """Return a table and whether the order holds."""
        title = f"Delayed {self.world.env}, {self.world.limit} steps, PPO, {self.steps:,} steps"
        order = " >= ".join(arm for arm in _ORDER if arm in self.late())
        verb = "holds" if self.order_holds() else "does not hold"
        return [
            curve_table(f"{title}, mean of the last five evaluations", self.curves, self.late()),
            f"the order {order} {verb}",
        ]

    def late(self) -> dict[str, float]:
        """Return the mean of the last evaluations of every arm."""
        return over_seeds(self.curves, Curve.late)

    def order_holds(self) -> bool:
        """Return whether arms stand in the order of the literature."""
        late = self.late()
        order = [late[arm] for arm in _ORDER if arm in late]
        return all(better >= worse for better, worse in itertools.pairwise(order))


def run(request: Request, monitor: Monitor) -> Delayed:
    """Carry out the study ``delayed``; run again, it goes on in the folder ``out``."""
    world = DelayedTask("HalfCheetah-v5", 200)
    curves = compare(
        world,
        LEARNT,
        seeds=request.seeds,
        steps=request.steps,
        folder=request.out,
        workers=request.workers,
        on_run=curve_lines(monitor, "PPO", len(LEARNT) * len(request.seeds)),
    )
    return Delayed(world, request.steps, curves)


def curve_lines(monitor: Monitor, what: str, total: int) -> Callable[[Curve], None]:
    """Return a function that tells the monitor about every run."""
    count = monitor.counter(what, total)

    def tell(curve: Curve) -> None:
        returns = " ".join(f"{value:.0f}" for value in curve.returns)
        monitor.line(f"{curve.arm} seed {curve.seed}: {returns} ({curve.cpu_s:.0f} CPU s)")
        count()

    return tell


def curve_table(title: str, curves: Sequence[Curve], score: Mapping[str, float]) -> Table:
    """Return a table of a score of every arm."""
    table = Table(title=title + smoke_label(len({curve.seed for curve in curves})))
    for name in ("paid", "return", "seeds", "bootstrap", "CPU s per run"):
        table.add_column(name, justify="left" if name == "paid" else "right")
    for arm, value in score.items():
        runs = [curve for curve in curves if curve.arm == arm]
        cpu = sum(curve.cpu_s for curve in runs) / len(runs)
        bootstrap = "yes" if runs[0].bootstraps else "no"
        table.add_row(arm, f"{value:.1f}", str(len(runs)), bootstrap, f"{cpu:.0f}")
    return table


def build(world: DelayedTask, reward: RewardSpec, *, algo: str, seed: int) -> BaseAlgorithm:
    """Return a learner in delayed lanes: PPO 8 x 200, or SAC with 64-64 networks."""
    card = find_card(_CARDS.get(world.env)) or TaskCard(id=world.env)
    lanes = LANES if algo == "ppo" else 1
    engine = build_engine(reward, lanes, task=card, seed=seed)
    env = VecMonitor(DenseRewardVecEnv(LaneVecEnv([world.make] * lanes), engine=engine))
    common: dict[str, Any] = {"seed": seed, "device": "cpu", "gamma": 0.99}
    model: BaseAlgorithm
    if algo == "ppo":
        model = PPO("MlpPolicy", env, n_steps=ROWS, batch_size=200, n_epochs=10, **common)
    else:
        model = SAC(
            "MlpPolicy",
            env,
            learning_rate=1e-3,
            batch_size=64,
            buffer_size=200_000,
            learning_starts=world.limit,
            policy_kwargs={"net_arch": [64, 64]},
            **common,
        )
    return attach(model) if engine.reward.traits.when == "episode" else model


def learn(
    world: DelayedTask, arm: str, reward: RewardSpec, *, algo: str = "ppo", seed: int, steps: int
) -> Curve:
    """Train one arm and evaluate it ten times on the original return."""
    torch.set_num_threads(1)
    started = time.process_time()
    model = build(world, reward, algo=algo, seed=seed)
    watcher = _Watcher(world, max(steps // _EVALUATIONS, 1))
    model.learn(steps, callback=watcher)
    watcher.evaluate()
    venv: Any = model.get_env()
    bootstraps = venv.venv.engine.bootstraps
    venv.close()
    watcher.close()
    cpu = time.process_time() - started
    return Curve(arm, seed, watcher.steps, watcher.returns, round(cpu, 1), bootstraps)


class _Watcher(BaseCallback):
    """Evaluates between rollouts, where the parameters are whole, and once more at the end."""

    def __init__(self, world: DelayedTask, every: int) -> None:
        super().__init__()
        self.steps: list[int] = []
        self.returns: list[float] = []
        self._every, self._due = every, every
        spec = gym.spec(world.env)
        spec.max_episode_steps = world.limit
        self._evaluator = Evaluator(_with_success(spec), lanes=_EPISODES)

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.num_timesteps >= self._due:
            self.evaluate()
            self._due += self._every

    def evaluate(self) -> None:
        """Play four episodes with the likeliest actions."""
        seen = self._evaluator.evaluate(
            lambda obs, fresh: self.model.predict(obs, deterministic=True)[0],
            episodes=_EPISODES,
            seed=EVAL_SEED,
        )
        self.steps.append(self.num_timesteps)
        self.returns.append(float(seen.return_env.mean()))

    def close(self) -> None:
        """Close the evaluation worlds."""
        self._evaluator.close()


class _NoSuccess(gym.Wrapper[Any, Any, Any, Any]):
    """Gymnasium's tasks know no success; the evaluator asks for one."""

    def step(self, action: Any) -> Any:
        obs, reward, terminated, truncated, info = self.env.step(action)
        return obs, reward, terminated, truncated, {**info, "is_success": 0.0}


def _with_success(spec: Any) -> Any:
    from gymnasium.envs.registration import WrapperSpec

    entry = f"{__name__}:_NoSuccess"
    spec.additional_wrappers = (WrapperSpec("NoSuccess", entry, {}),)
    return spec


def compare(
    world: DelayedTask,
    arms: Mapping[str, RewardSpec],
    *,
    algo: str = "ppo",
    seeds: Sequence[int] = (0, 1, 2),
    steps: int,
    folder: Path | None = None,
    workers: int = 1,
    on_run: Callable[[Curve], None] = lambda curve: None,
) -> list[Curve]:
    """Train every arm with every seed; finished runs in ``folder`` are not repeated.

    Args:
        world: where.
        arms: rewards by name.
        algo: ``"ppo"`` or ``"sac"``.
        seeds: of everything.
        steps: environment steps of a run.
        folder: where a JSON file per run is kept, or None.
        workers: runs side by side; 1 stays in this process.
        on_run: told about every run, in order.
    """
    run = partial(_learn_once, world, algo=algo, steps=steps, folder=folder)
    curves = []
    for curve in _carried_out(run, [(a, arms[a], seed) for seed in seeds for a in arms], workers):
        curves.append(curve)
        on_run(curve)
    return curves


def _carried_out(
    run: Callable[..., Curve], asked: Sequence[tuple[str, RewardSpec, int]], workers: int
) -> Iterator[Curve]:
    if workers < 2:
        yield from itertools.starmap(run, asked)
        return
    with worker_pool(workers, preload=__name__) as pool:
        yield from pool.map(run, *zip(*asked, strict=True))


def _learn_once(
    world: DelayedTask,
    arm: str,
    reward: RewardSpec,
    seed: int,
    *,
    algo: str,
    steps: int,
    folder: Path | None,
) -> Curve:
    """Return a finished run from ``folder``, or train it and keep it there."""
    if folder is None:
        return learn(world, arm, reward, algo=algo, seed=seed, steps=steps)
    kept = folder / f"{world.env}-{world.limit}-{algo}-{steps}-{arm}-{seed}.json"
    if kept.is_file():
        return Curve(**json.loads(kept.read_text(encoding="utf-8")))
    curve = learn(world, arm, reward, algo=algo, seed=seed, steps=steps)
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_json(kept, asdict(curve))
    return curve


def over_seeds(
    curves: Sequence[Curve],
    of: Callable[[Curve], float],
    summarize: Callable[[Sequence[float]], float] = statistics.fmean,
) -> dict[str, float]:
    """Return a number of every arm, summarised over seeds, in the order of the arms."""
    arms = dict.fromkeys(curve.arm for curve in curves)
    return {arm: summarize([of(c) for c in curves if c.arm == arm]) for arm in arms}
