"""What ``densegym bench relabel`` and ``densegym bench delayed`` print."""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

_CONSOLE = Console(highlight=False, soft_wrap=True)
_STEPS = 500_000
_ORDER = ("lare", "rrd", "uniform", "raw")  # best first, by the literature


def relabel(*, seeds: Sequence[int], folder: Path, workers: int, as_json: bool) -> None:
    """Measure plumbing and cost: InvertedPendulum by PPO and SAC, CPU time on HalfCheetah.

    Raises:
        typer.Exit: a bar does not hold.
    """
    from densegym.agents.studies.delayed import (
        ARMS,
        EVENLY,
        FITTED,
        Curve,
        World,
        compare,
        cost,
        over_seeds,
    )

    world = World("InvertedPendulum-v5", 500)
    measure = partial(compare, world, ARMS, seeds=seeds, folder=folder, workers=workers)
    ppo = measure(steps=24_000, on_run=_tell)
    sac = measure(algo="sac", steps=5_000, on_run=_tell)
    late = over_seeds(ppo, Curve.late)
    # The best of ten noisy evaluations: one lucky seed would decide a mean.
    best = over_seeds(sac, lambda curve: max(curve.returns), statistics.median)
    with _CONSOLE.status("measuring CPU time"):
        share, fitted = cost(EVENLY), cost(FITTED)
    _CONSOLE.print(_table("PPO, 24,000 steps, mean of the last five evaluations", ppo, late))
    _CONSOLE.print(_table("SAC, 5,000 steps, best evaluation, median seed", sac, best))
    _CONSOLE.print(f"of PPO's CPU time, uniform credits add {share:.1%} and RRD {fitted:.1%}")
    bars = {
        "ppo_uniform_over_raw": (late["uniform"] / late["raw"], 1.5),
        "ppo_uniform_over_dense": (late["uniform"] / late["dense"], 0.6),
        "sac_uniform_over_raw": (best["uniform"] / best["raw"], 3.0),
        "uniform_cpu_below_5_percent": (0.05 - share, 0.0),
        "rrd_cpu_below_30_percent": (0.30 - fitted, 0.0),
    }
    _conclude(bars, as_json)


def delayed(
    *, seeds: Sequence[int], steps: int | None, folder: Path, workers: int, as_json: bool
) -> None:
    """Compare redistributors on delayed HalfCheetah by PPO; says whether the order holds."""
    from densegym.agents.studies.delayed import LEARNT, Curve, World, compare, over_seeds

    world = World("HalfCheetah-v5", 200)
    curves = compare(
        world,
        LEARNT,
        seeds=seeds,
        steps=steps or _STEPS,
        folder=folder,
        workers=workers,
        on_run=_tell,
    )
    late = over_seeds(curves, Curve.late)
    title = f"Delayed {world.env}, {world.limit} steps, PPO, {steps or _STEPS:,} steps"
    _CONSOLE.print(_table(f"{title}, mean of the last five evaluations", curves, late))
    order = [late[arm] for arm in _ORDER if arm in late]
    holds = all(better >= worse for better, worse in itertools.pairwise(order))
    verb = "holds" if holds else "does not hold"
    _CONSOLE.print(f"the order {' >= '.join(arm for arm in _ORDER if arm in late)} {verb}")
    if as_json:
        print(json.dumps({"late": late, "order_holds": holds, "seeds": list(seeds)}))


def _tell(curve: Any) -> None:
    shown = " ".join(f"{value:.0f}" for value in curve.returns)
    _CONSOLE.print(f"{curve.arm} seed {curve.seed}: {shown} ({curve.cpu_s:.0f} CPU s)")


def _table(title: str, curves: Sequence[Any], score: Mapping[str, float]) -> Table:
    smoke = " (smoke)" if len({curve.seed for curve in curves}) < 5 else ""
    table = Table(title=title + smoke)
    for name in ("paid", "return", "seeds", "bootstrap", "CPU s per run"):
        table.add_column(name, justify="left" if name == "paid" else "right")
    for arm, value in score.items():
        runs = [curve for curve in curves if curve.arm == arm]
        cpu = sum(curve.cpu_s for curve in runs) / len(runs)
        bootstrap = "yes" if runs[0].bootstraps else "no"
        table.add_row(arm, f"{value:.1f}", str(len(runs)), bootstrap, f"{cpu:.0f}")
    return table


def _conclude(bars: Mapping[str, tuple[float, float]], as_json: bool) -> None:
    failed = [name for name, (value, least) in bars.items() if value < least]
    for name, (value, least) in bars.items():
        verdict = "below the bar" if name in failed else "holds"
        _CONSOLE.print(f"{name:32} {value:8.3f}  bar {least:g}: {verdict}")
    if as_json:
        print(json.dumps({name: round(value, 4) for name, (value, _) in bars.items()}))
    if failed:
        raise typer.Exit(1)
