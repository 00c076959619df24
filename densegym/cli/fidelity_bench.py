"""What ``densegym bench fidelity`` prints."""

from __future__ import annotations

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
    from densegym.agents.fidelity import Fidelity

_CONSOLE = Console(highlight=False, soft_wrap=True)


def fidelity(*, envs: str | None, seeds: Sequence[int], workers: int, as_json: bool) -> None:
    """Compare credits with the dense rewards that were hidden from them.

    Raises:
        DenseGymError: an env that is not measured, or no seed.
        typer.Exit: a bar does not hold.
    """
    from densegym.agents.fidelity import ENVS, as_dict, bars, measure

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
    _CONSOLE.print(_table(rows, chosen))
    told = bars(rows)
    for bar in told:
        _CONSOLE.print(f"{'holds ' if bar.holds else 'MISSED'}  {bar.text}")
    if as_json:
        print(json.dumps(as_dict(rows)))
    if not all(bar.holds for bar in told):
        raise typer.Exit(1)


def _table(rows: Sequence[Fidelity], envs: Sequence[str]) -> Table:
    """Return correlations by method and env, means over seeds, with fits and cost."""
    table = Table(title="correlation with the hidden dense reward, held-out episodes")
    short = [name.removesuffix("-v5") for name in envs]
    for column in ("credit", "fitted on", *short, "R2 of returns", "signs", "CPU s"):
        table.add_column(column, justify="left" if column == "credit" else "right")
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method]
        cells = [np.mean([r.correlation for r in own if r.env == env]) for env in envs]
        fits = [row.explained for row in own if row.explained is not None]
        table.add_row(
            method,
            str(own[0].episodes),
            *(f"{value:.2f}" for value in cells),
            f"{np.median(fits):.2f}" if fits else "-",
            f"{np.mean([row.sign for row in own]):.2f}",
            f"{np.mean([row.cpu_s for row in own]):.1f}",
        )
    return table
