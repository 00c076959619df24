"""Learning curves of a results folder, for people who would rather look than read."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from densegym.agents.bench.statistics import iqm
from densegym.agents.bench.tables import CONTROLS
from densegym.agents.training.results import Point, Run
from densegym.envs.protocols import OWN
from densegym.envs.terms import meta_terms
from densegym.errors import require
from densegym.reward_models.types import Float

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by colour-blind readers too. Vermilion is the expert's;
# yellow is too faint on white.
PALETTE = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_CONTROL_COLOURS = {"env": "#7F7F7F", "expert": "#D55E00"}
_STYLES = ("-", "--", ":", "-.")
_GRID_POINTS = 200


class _Setup(NamedTuple):
    """What a line style stands for; ``ends`` is None unless it tells runs apart."""

    algo: str
    steps: int
    ends: bool | None


class _Curve(NamedTuple):
    """The runs behind one thick line, and how it looks."""

    runs: Sequence[Run]
    label: str
    colour: str
    style: str


def learning_curves(runs: Sequence[Run]) -> Figure:
    """Return a figure: a row per env and protocol, success over steps and over CPU seconds.

    Where a reward judges progress, a third panel shows false progress: the mean largest potential
    of the latest training episodes that failed.

    Where the world tells no success, its return is drawn instead.

    Thin lines are seeds, the thick line is their interquartile mean, the band spans them. A colour
    is a reward, a line style a learner and budget. Lines begin at the first evaluation and thick
    ones end with the shortest run, so nothing is drawn that was not measured.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require("matplotlib", extra="agents")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    worlds = sorted({_world(run) for run in runs})
    figure = Figure(figsize=(11, 4.6 * len(worlds)), layout="constrained")
    FigureCanvasAgg(figure)
    curves = list(_curves(runs))
    panels = figure.subfigures(len(worlds), 1, squeeze=False)[:, 0]
    for panel, world in zip(panels, worlds, strict=True):
        shown = [curve for curve in curves if _world(curve.runs[0]) == world]
        judged = [curve for curve in shown if _judged(curve)]
        axes = panel.subplots(1, 3 if judged else 2, sharey=True)
        told = all(run.success_rate is not None for curve in shown for run in curve.runs)
        of = _success if told else _return
        for curve in shown:
            haze = 0.12 if len(shown) <= 4 else 0.05
            _draw(axes[0], curve, "step", curve.label, haze, of)
            _draw(axes[1], curve, "cpu_s", None, haze, of)
        for curve in judged:
            _draw(axes[2], curve, "step", None, 0.12, of=_false_progress)
        _annotate(axes, told)
        panel.suptitle(world, x=0.01, ha="left", fontweight="bold")
        if shown:
            panel.legend(loc="outside lower center", ncols=min(len(shown), 3), frameon=False)
    return figure


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure as PNG."""
    figure.savefig(path, dpi=130)


def to_svg(figure: Figure) -> str:
    """Return a figure as an SVG element to put into a page; ids in it do not change by chance."""
    matplotlib = require("matplotlib", extra="agents")
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "densegym"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _curves(runs: Sequence[Run]) -> Iterator[_Curve]:
    """Yield a curve per table row that has evaluations, controls first."""
    drawn = [run for run in runs if run.points]
    told_apart = _ends_matter(drawn)
    groups: dict[tuple[str, str, _Setup], list[Run]] = {}
    for run in drawn:
        ends = run.meta.get("terminate_on_success") if told_apart else None
        setup = _Setup(run.meta["algo"], run.budget, ends)
        groups.setdefault((_world(run), run.meta["reward"], setup), []).append(run)
    colours = _colours(sorted({run.meta["reward"] for run in runs}))
    setups = sorted({setup for _, _, setup in groups}, key=str)
    for reward in colours:
        for key in sorted((key for key in groups if key[1] == reward), key=str):
            members, setup = groups[key], key[2]
            label = _label(reward, setup, len(members), several=len(setups) > 1)
            style = _STYLES[setups.index(setup) % len(_STYLES)]
            yield _Curve(members, label, colours[reward], style)


def _world(run: Run) -> str:
    """Return env and protocol of a run; curves of different ones are never drawn together."""
    terms = meta_terms(run.meta)
    return f"{run.meta['env']}, protocol {terms or run.meta.get('protocol', OWN)}"


def _ends_matter(runs: Sequence[Run]) -> bool:
    """Return whether runs that are equal otherwise differ in how training episodes ended."""
    rules: dict[tuple[str, str, str, int], set[bool | None]] = {}
    for run in runs:
        meta = run.meta
        key = (_world(run), meta["reward"], meta["algo"], run.budget)
        rules.setdefault(key, set()).add(meta.get("terminate_on_success"))
    return any(len(found) > 1 for found in rules.values())


def _label(reward: str, setup: _Setup, count: int, *, several: bool) -> str:
    parts = [reward]
    if several:
        parts.append(f"{setup.algo} {setup.steps:,}")
    if setup.ends is not None:
        parts.append("ends at success" if setup.ends else "goes on at success")
    seeds = "1 seed" if count == 1 else f"{count} seeds"
    # A dollar sign would start a formula.
    return f"{', '.join(parts)} ({seeds})".replace("$", r"\$")


def _annotate(axes: Any, told: bool) -> None:
    from matplotlib.ticker import EngFormatter

    axes[0].set_ylabel(f"{'success' if told else 'return/env'} (the world's own)")
    axes[0].set_xlabel("environment steps")
    axes[0].xaxis.set_major_formatter(EngFormatter(sep=""))
    axes[1].set_xlabel("CPU seconds, evaluations included")
    for axis in axes[2:]:
        axis.set_title("false progress: highest potential of failures", fontsize="medium")
        axis.set_xlabel("environment steps")
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    for axis in axes:
        if told:
            axis.set_ylim(-0.03, 1.03)
        axis.set_xlim(left=0)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)


def _success(point: Point) -> float:
    return float(point.success.mean())


def _return(point: Point) -> float:
    return float(point.return_env.mean())


def _false_progress(point: Point) -> float:
    return np.nan if point.false_progress is None else point.false_progress


def _judged(curve: _Curve) -> bool:
    """Return whether every seed has measured false progress at some evaluation."""
    return all(any(p.false_progress is not None for p in run.points) for run in curve.runs)


def _draw(
    axis: Any,
    curve: _Curve,
    along: str,
    label: str | None,
    haze: float,
    of: Callable[[Point], float] = _success,
) -> None:
    look = {"color": curve.colour, "linestyle": curve.style}
    seeds = [_measured(run, along, of) for run in curve.runs]
    for x, y in seeds:
        axis.plot(x, y, alpha=0.3, linewidth=0.9, **look)
    # Only where every seed was measured: interpolation never reaches beyond a run's ends.
    start, stop = max(x[0] for x, _ in seeds), min(x[-1] for x, _ in seeds)
    grid = np.linspace(start, max(start, stop), _GRID_POINTS)
    stacked = np.array([np.interp(grid, x, y) for x, y in seeds])
    middle = [iqm(column) for column in stacked.T]
    axis.plot(grid, middle, linewidth=2.4, label=label, **look)
    low, high = stacked.min(axis=0), stacked.max(axis=0)
    axis.fill_between(grid, low, high, color=curve.colour, alpha=haze, linewidth=0)


def _measured(run: Run, along: str, of: Callable[[Point], float]) -> tuple[Float, Float]:
    x = np.array([getattr(point, along) for point in run.points], dtype=np.float64)
    y = np.array([of(point) for point in run.points])
    known = np.isfinite(y)
    return x[known], y[known]


def _colours(rewards: Sequence[str]) -> dict[str, str]:
    controls = [reward for reward in CONTROLS if reward in rewards]
    others = [reward for reward in rewards if reward not in CONTROLS]
    table = {reward: _CONTROL_COLOURS[reward] for reward in controls}
    return table | {r: PALETTE[i % len(PALETTE)] for i, r in enumerate(others)}
