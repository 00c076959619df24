"""What ``densegym bench fidelity`` and ``densegym bench hacking`` print."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from densegym.errors import DenseGymError

if TYPE_CHECKING:
    from densegym.agents.studies.fidelity import Fidelity
    from densegym.agents.studies.hacking import Outcome

_CONSOLE = Console(highlight=False, soft_wrap=True)


def fidelity(*, envs: str | None, seeds: Sequence[int], workers: int, as_json: bool) -> None:
    """Compare credits with the dense rewards that were hidden from them.

    Raises:
        DenseGymError: an env that is not measured, or no seed.
        typer.Exit: a bar does not hold.
    """
    from densegym.agents.studies.fidelity import ENVS, as_dict, bars, measure

    chosen = ENVS if envs is None else tuple(name.strip() for name in envs.split(","))
    unknown = [name for name in chosen if name not in ENVS]
    if unknown or not seeds:
        raise DenseGymError(
            f"--envs takes some of {','.join(ENVS)} and --seeds a number from 1 up; given "
            f'"{envs}" and {len(seeds)} seeds'
        )
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("fitting credits", total=len(chosen) * len(seeds))
        rows = measure(
            chosen,
            seeds,
            processes=workers,
            on_cell=lambda done, cells: progress.update(task, completed=done),
        )
    wide = _CONSOLE if _CONSOLE.is_terminal else Console(width=110, highlight=False)
    wide.print(_table(rows, chosen))
    told = bars(rows)
    for bar in told:
        _CONSOLE.print(f"{'holds ' if bar.holds else 'MISSED'}  {bar.text}")
    if as_json:
        print(json.dumps(as_dict(rows)))
    if not all(bar.holds for bar in told):
        raise typer.Exit(1)


def hacking(*, seeds: Sequence[int], as_json: bool) -> None:
    """Train on a probe whose process reward can be farmed.

    Raises:
        typer.Exit: the plain sum is not farmed, or clip, delta or min-form is.
    """
    from densegym.agents.studies.hacking import ARMS, EXPLOITED, PROBE, measure

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("training on the probe", total=len(ARMS) * len(seeds))
        rows = measure(seeds, on_run=lambda outcome: progress.advance(task))
    smoke = " (smoke)" if len(seeds) < 5 else ""
    table = Table(title=f"{PROBE}, PPO, {len(seeds)} seeds{smoke}, likeliest actions")
    for column in ("paid", "success", "lowest", "proxy", "steps", "CPU s"):
        table.add_column(column, justify="left" if column == "paid" else "right")
    success = {arm: _mean(rows, arm, "success") for arm in ARMS}
    for arm in ARMS:
        lowest = min(row.success for row in rows if row.arm == arm)
        told = [_mean(rows, arm, name) for name in ("proxy", "length", "cpu_s")]
        shown = (f"{value:.1f}" for value in told)
        table.add_row(arm, f"{success[arm]:.2f}", f"{lowest:.2f}", *shown)
    _CONSOLE.print(table)
    farmed = success["plain sum"] < EXPLOITED
    kept = all(success[arm] >= EXPLOITED for arm in ("clip", "delta", "min-form"))
    if as_json:
        told_rows = [dataclasses.asdict(row) for row in rows]
        print(json.dumps({"rows": told_rows, "holds": farmed and kept}))
    if not (farmed and kept):
        raise typer.Exit(1)


def _mean(rows: Sequence[Outcome], arm: str, name: str) -> float:
    return float(np.mean([getattr(row, name) for row in rows if row.arm == arm]))


def _table(rows: Sequence[Fidelity], envs: Sequence[str]) -> Table:
    """Return correlations by env and method, means over seeds, with fits and cost."""
    table = Table(title="correlation with the hidden dense reward, held-out episodes")
    methods = list(dict.fromkeys(row.method for row in rows))
    table.add_column("")
    for method in methods:
        table.add_column(method, justify="right")
    own = {method: [row for row in rows if row.method == method] for method in methods}
    for env in envs:
        means = [np.mean([r.correlation for r in own[m] if r.env == env]) for m in methods]
        table.add_row(env.removesuffix("-v5"), *(f"{mean:.2f}" for mean in means))
    table.add_section()
    fits = {m: [r.explained for r in own[m] if r.explained is not None] for m in methods}
    told = (f"{np.median(fits[m]):.2f}" if fits[m] else "-" for m in methods)
    table.add_row("R2 of returns", *told)
    table.add_row("same side", *(f"{np.mean([r.sign for r in own[m]]):.2f}" for m in methods))
    table.add_row("episodes", *(str(own[m][0].episodes) for m in methods))
    table.add_row("CPU s", *(f"{np.mean([r.cpu_s for r in own[m]]):.1f}" for m in methods))
    return table
