"""Learning curves of a results folder, for people who would rather look than read."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from densegym.agents.results import Run
from densegym.agents.statistics import iqm
from densegym.agents.tables import CONTROLS
from densegym.reward_models.types import Float

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by colour-blind readers too.
_PALETTE = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#D55E00", "#F0E442")
_CONTROL_COLOURS = {"env": "#7F7F7F", "expert": "#D55E00"}


def learning_curves(runs: Sequence[Run]) -> Figure:
    """Return a figure: a row per env, success over steps and over CPU seconds.

    Thin lines are seeds, the thick line is their interquartile mean, the band spans them.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    envs = sorted({run.meta["env"] for run in runs})
    colours = _colours(sorted({run.meta["reward"] for run in runs}))
    figure = Figure(figsize=(11, 3.8 * len(envs)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(envs), 2, squeeze=False, sharey=True)
    for axes, env in zip(grid, envs, strict=True):
        chosen = [run for run in runs if run.meta["env"] == env]
        for reward, colour in colours.items():
            seeds = [run for run in chosen if run.meta["reward"] == reward and run.points]
            if seeds:
                _draw(axes[0], seeds, colour, f"{reward} ({len(seeds)} seeds)", "step")
                _draw(axes[1], seeds, colour, None, "cpu_s")
        axes[0].set_title(env, loc="left", fontweight="bold")
        axes[0].set_ylabel("success (the world's own)")
        axes[0].set_xlabel("environment steps")
        axes[1].set_xlabel("CPU seconds, evaluations included")
        axes[0].legend(frameon=False, loc="best")
    for axis in grid.ravel():
        axis.set_ylim(-0.03, 1.03)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure as PNG."""
    figure.savefig(path, dpi=130)


def to_svg(figure: Figure) -> str:
    """Return a figure as an SVG element to put into a page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _draw(axis: Any, runs: Sequence[Run], colour: str, label: str | None, along: str) -> None:
    curves = [_curve(run, along) for run in runs]
    for x, y in curves:
        axis.plot(x, y, color=colour, alpha=0.3, linewidth=0.9)
    stop = min(x[-1] for x, _ in curves)
    grid = np.linspace(0, stop, 200)
    stacked = np.array([np.interp(grid, x, y) for x, y in curves])
    middle = [iqm(column) for column in stacked.T]
    axis.plot(grid, middle, color=colour, linewidth=2.4, label=label)
    axis.fill_between(grid, stacked.min(axis=0), stacked.max(axis=0), color=colour, alpha=0.12)


def _curve(run: Run, along: str) -> tuple[Float, Float]:
    x = np.array([0.0, *(getattr(point, along) for point in run.points)])
    y = np.array([0.0, *(point.success.mean() for point in run.points)])
    return x, y


def _colours(rewards: Sequence[str]) -> dict[str, str]:
    controls = [reward for reward in CONTROLS if reward in rewards]
    others = [reward for reward in rewards if reward not in CONTROLS]
    table = {reward: _CONTROL_COLOURS[reward] for reward in controls}
    return table | {r: _PALETTE[i % len(_PALETTE)] for i, r in enumerate(others)}
