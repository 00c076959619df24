"""Whether relabelling works and what it costs: InvertedPendulum by PPO and SAC, CPU time of PPO."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from densegym.agents.studies.delayed import (
    ARMS,
    EVENLY,
    FITTED,
    LANES,
    ROWS,
    Curve,
    DelayedTask,
    build,
    compare,
    curve_lines,
    curve_table,
    over_seeds,
)
from densegym.agents.studies.study import Bar, Monitor, Request, Result
from densegym.reward_models.spec import RewardSpec

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class Relabelling(Result):
    """Runs paid at once, at the end and in hindsight, and the CPU time of credits.

    Attributes:
        ppo: runs of PPO.
        sac: runs of SAC.
        uniform_cpu: CPU time of uniform credits over the rest of PPO's.
        fitted_cpu: the same of RRD.
    """

    ppo: Sequence[Curve]
    sac: Sequence[Curve]
    uniform_cpu: float
    fitted_cpu: float

    def as_json(self) -> dict[str, Any]:
        """Return the figures that the bars are about."""
        return {name: round(value, 4) for name, (value, _) in self.figures().items()}

    def bars(self) -> list[Bar]:
        """Return a bar for each figure."""
        return [
            Bar(f"{name:32} {value:8.3f}  bar {least:g}", value >= least)
            for name, (value, least) in self.figures().items()
        ]

    def figures(self) -> dict[str, tuple[float, float]]:
        """Return each figure with the least it may be."""
        late, best = self.late(), self.best()
        return {
            "ppo_uniform_over_raw": (late["uniform"] / late["raw"], 1.5),
            "ppo_uniform_over_dense": (late["uniform"] / late["dense"], 0.6),
            "sac_uniform_over_raw": (best["uniform"] / best["raw"], 3.0),
            "uniform_cpu_below_5_percent": (0.05 - self.uniform_cpu, 0.0),
            "rrd_cpu_below_30_percent": (0.30 - self.fitted_cpu, 0.0),
        }

    def report(self) -> list[RenderableType]:
        """Return a table for each learner, and the CPU times."""
        ppo = "PPO, 24,000 steps, mean of the last five evaluations"
        sac = "SAC, 5,000 steps, best evaluation, median seed"
        return [
            curve_table(ppo, self.ppo, self.late()),
            curve_table(sac, self.sac, self.best()),
            f"of PPO's CPU time, uniform credits add {self.uniform_cpu:.1%} "
            f"and RRD {self.fitted_cpu:.1%}",
        ]

    def late(self) -> dict[str, float]:
        """Return the mean of PPO's last evaluations of every arm."""
        return over_seeds(self.ppo, Curve.late)

    def best(self) -> dict[str, float]:
        """Return SAC's best evaluation of every arm."""
        # The best of ten noisy evaluations: one lucky seed would decide a mean.
        return over_seeds(self.sac, lambda curve: max(curve.returns), statistics.median)


def run(request: Request, monitor: Monitor) -> Relabelling:
    """Carry out the study ``relabel``; run again, it goes on in the folder ``out``."""
    measure = partial(
        compare,
        DelayedTask("InvertedPendulum-v5", 500),
        ARMS,
        seeds=request.seeds,
        folder=request.out,
        workers=request.workers,
    )
    total = len(ARMS) * len(request.seeds)
    ppo = measure(steps=24_000, on_run=curve_lines(monitor, "PPO", total))
    sac = measure(algo="sac", steps=5_000, on_run=curve_lines(monitor, "SAC", total))
    monitor.progress("measuring CPU time", 0, None)
    return Relabelling(ppo, sac, cost(EVENLY), cost(FITTED))


def cost(reward: RewardSpec, *, rollouts: int = 6) -> float:
    """Return CPU time inside relabelling over that of the rest of PPO, on HalfCheetah.

    Counted inside one run, because two runs beside other processes differ by more than is counted.

    Args:
        reward: what is paid in hindsight.
        rollouts: of 8 x 200 steps, updates included; three more come before.
    """
    torch.set_num_threads(1)
    model: Any = build(DelayedTask("HalfCheetah-v5", 200), reward, algo="ppo", seed=0)
    books = model.rollout_buffer.books
    clock = _Clock()
    for owner, name in (
        (books.engine._hindsight, "begin"),
        (books.engine._hindsight, "finish"),
        (books, "note"),
        (books, "rewards"),
    ):
        setattr(owner, name, clock.around(getattr(owner, name)))
    model.learn(3 * LANES * ROWS)  # networks are built, episodes gathered
    clock.inside, started = 0.0, time.process_time()
    model.learn(rollouts * LANES * ROWS, reset_num_timesteps=False)
    total = time.process_time() - started
    model.get_env().close()
    return clock.inside / (total - clock.inside)


class _Clock:
    """Adds up the CPU seconds inside functions."""

    def __init__(self) -> None:
        self.inside = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function``, timed."""

        def timed(*args: Any) -> Any:
            started = time.process_time()
            told = function(*args)
            self.inside += time.process_time() - started
            return told

        return timed
