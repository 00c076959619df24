"""What a reward saw in an episode, drawn over time: the lower half of films and strips."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from densegym.agents.films.footage import Footage
from densegym.errors import require
from densegym.reward_models.types import Float, Frames

INK, GOOD = "#282828", "#009e73"
_FAINT, _PHI, _DONE, _BAD = "#b4b4b4", "#0072b2", "#e69f00", "#d55e00"
_STRIP_PICTURES, _STRIP_INCHES = 8, 14.0
_PICTURE = 0.97  # of the room that a picture of the strip has
_TITLE = 105  # letters of a strip's title
_DPI, _PANEL = 100, 210  # and pixels of the curves below a film


def film_panel(footage: Footage, width: int) -> tuple[Frames, Sequence[int], slice]:
    """Return the curves (H, width, 3), the column of every state and the rows that hold curves."""
    figure = _figure(width / _DPI, _PANEL / _DPI)
    top, bottom = 0.86, 0.19
    axes = _axes(figure, footage, top=top, bottom=bottom, left=60 / width, right=1 - 12 / width)
    for axis in axes:
        axis.set_xlim(0, len(footage.paid) + 0.5)
    _draw(axes, footage, size=8)
    figure.canvas.draw()
    drawn = np.asarray(figure.canvas.buffer_rgba())[:, :, :3].copy()
    ends = axes[0].transData.transform([(t, 0.0) for t in range(len(footage.frames))])
    rows = slice(round((1 - top) * _PANEL) - 4, round((1 - bottom) * _PANEL) + 1)
    return drawn, np.clip(ends[:, 0].round().astype(int), 0, width - 1).tolist(), rows


def write_strip(footage: Footage, path: Path) -> None:
    """Write pictures evenly over time, each above its own step of the curves."""
    steps = len(footage.paid)
    height, width = footage.frames[0].shape[:2]
    most = _STRIP_PICTURES if width <= 2 * height else _STRIP_PICTURES // 2
    count = min(most, steps + 1)
    times = np.linspace(0, steps, count)
    each = _STRIP_INCHES * 0.94 / max(count, 4)
    tall, curves, margin = _PICTURE * each * height / width, 2.4, 0.75
    figure = _figure(_STRIP_INCHES, tall + curves + margin)
    total = tall + curves + margin
    axes = _axes(figure, footage, top=(curves - 0.1) / total, bottom=0.42 / total)
    gap = times[1] - times[0]
    spread = max(count, 4) / count  # so that few pictures are not drawn out
    limits = -gap / 2 * spread, steps + gap / 2 * spread
    place = axes[0].get_position()
    shown = figure.add_axes((place.x0, (curves + 0.2) / total, place.width, tall / total))
    for time in times:
        frame = footage.frames[round(time)]
        extent = (time - _PICTURE * gap / 2, time + _PICTURE * gap / 2, 0, 1)
        shown.imshow(frame, extent=extent, aspect="auto", interpolation="antialiased")
        shown.text(time, 1.02, _moment(footage, round(time)), ha="center", va="bottom", fontsize=9)
        for axis in axes:
            axis.axvline(time, color=_FAINT, linewidth=0.7, zorder=0)
    shown.set(xlim=limits, ylim=(0, 1))
    shown.axis("off")
    for axis in axes:
        axis.set_xlim(limits)
    _draw(axes, footage, size=10)
    title = footage.title
    title = title if len(title) <= _TITLE else f"{title[: _TITLE - 1]}…"
    paid = "" if footage.success is None else f", paid {footage.paid.sum():.2f}"
    outcome = f"{footage.outcome}{paid}"
    look = {"va": "top", "fontsize": 12, "color": INK, "parse_math": False}
    figure.text(place.x0, 1 - 0.13 / total, title, fontweight="bold", **look)
    figure.text(place.x1, 1 - 0.13 / total, outcome, ha="right", **look)
    figure.savefig(path, dpi=_DPI)


def _figure(width: float, height: float) -> Any:
    require("matplotlib", extra="agents")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI)
    FigureCanvasAgg(figure)
    return figure


def _axes(
    figure: Any,
    footage: Footage,
    *,
    top: float,
    bottom: float,
    left: float = 0.05,
    right: float = 0.99,
) -> list[Any]:
    """Return axes for the curves, the hops if there are any, and the success."""
    ratios = [5.0, 2.0] if footage.hop is not None else [7.0]
    ratios += [] if footage.success is None else [0.45]
    grid = figure.add_gridspec(
        len(ratios),
        1,
        height_ratios=ratios,
        top=top,
        bottom=bottom,
        left=left,
        right=right,
        hspace=0.16,
    )
    return [figure.add_subplot(grid[row]) for row in range(len(ratios))]


def _draw(axes: Sequence[Any], footage: Footage, *, size: int) -> None:
    t = np.arange(1, len(footage.paid) + 1)
    curves = axes[0]
    if footage.phi is not None:
        heights = footage.phi[1:]
        look = {"drawstyle": "steps-post" if footage.hop is not None else "default"}
        states = np.arange(len(t) + 1)
        curves.plot(states, footage.phi, color=_PHI, linewidth=2, label="Φ", **look)
        if footage.done is not None:
            curves.plot(t, footage.done, color=_DONE, linewidth=1.4, label="done (judge)", **look)
        curves.set_ylim(min(-0.04, footage.phi.min()), max(1.04, footage.phi.max()))
    else:
        heights = footage.paid
        curves.axhline(0.0, color=_FAINT, linewidth=0.8)
        curves.plot(t, footage.paid, color=_PHI, linewidth=1.8, label="paid per step")
    if footage.abstained.any():
        rows = footage.abstained
        curves.plot(
            t[rows], heights[rows], "x", color=_BAD, markersize=size * 0.7, label="abstains"
        )
    curves.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 0.98),
        ncols=4,
        frameon=False,
        fontsize=size,
        borderaxespad=0.1,
    )
    if footage.hop is not None:
        _draw_hops(axes[1], t, footage.hop, size)
    if footage.success is not None:
        _draw_success(axes[-1], footage.success, size)
    unit = "step" if footage.at is None else "picture that was judged"
    axes[-1].set_xlabel(unit, fontsize=size, labelpad=1)
    for axis in axes:
        axis.tick_params(labelsize=size, length=3)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[:-1]:
        axis.tick_params(labelbottom=False)


def _draw_success(axis: Any, success: Float, size: int) -> None:
    axis.imshow(
        np.where(success[None] > 0, 1.0, 0.0),
        extent=(0.5, len(success) + 0.5, 0, 1),
        aspect="auto",
        cmap=_band(),
        vmin=0,
        vmax=1,
    )
    axis.set_yticks([])
    axis.set_ylabel("success", rotation=0, ha="right", va="center", fontsize=size)


def _moment(footage: Footage, time: int) -> str:
    return f"step {time}" if footage.at is None else f"picture {footage.at[time]}"


def _draw_hops(axis: Any, t: Any, hop: Float, size: int) -> None:
    judged = ~np.isnan(hop)
    colours = np.where(hop[judged] >= 0, _PHI, _BAD)
    axis.axhline(0.0, color=_FAINT, linewidth=0.8)
    axis.vlines(t[judged], 0.0, hop[judged], colors=colours, linewidth=2.2)
    axis.set(ylim=(-1.3, 1.3), yticks=[-1, 1])
    axis.set_ylabel("hop", rotation=0, ha="right", va="center", fontsize=size)


@cache
def _band() -> Any:
    require("matplotlib", extra="agents")
    from matplotlib.colors import ListedColormap

    return ListedColormap(["#e8e8e8", GOOD])
