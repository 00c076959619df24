"""Draws one game: trust matrices over time, efforts per agent, welfare against its marks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from densegym.agents.training.evaluate import Policy
from densegym.envs.market.games import Games, Setting
from densegym.envs.market.statics import nash, optimum
from densegym.errors import require
from densegym.reward_models.types import Float

_MATRICES = 6  # of a strip
_FPS, _MOST_FRAMES = 6, 40  # a frame is drawn in a quarter of a second


@dataclass(frozen=True, slots=True)
class Story:
    """One game of T steps and n agents.

    Attributes:
        title: written above.
        trust: (T + 1, n, n) min(T, 1 − R).
        effort: (T + 1, n) shares of the endowment.
        welfare: (T,) Σπ per agent.
        nash: the static equilibrium's welfare per agent.
        optimum: the static optimum's.
    """

    title: str
    trust: Float
    effort: Float
    welfare: Float
    nash: float
    optimum: float


def tell(setting: Setting, policy: Policy, *, seed: int = 0, title: str = "") -> Story:
    """Play one game in which one policy moves every agent, and keep what is drawn.

    Args:
        setting: how it is played.
        policy: acts on a batch with a row per agent.
        seed: of the game.
        title: the market's name by default.
    """
    games = Games(setting)
    core, market = games.core, games.core.market
    games.seed(0, seed)
    obs, _ = games.begin()
    trust, effort, welfare = [_weights(core)], [_shares(core)], []
    fresh, ended = np.ones(games.agents, np.bool_), False
    while not ended:
        actions = np.asarray(policy(obs[0], fresh)).reshape(1, -1)
        told = games.step(actions)
        obs, fresh = told.obs, np.zeros(games.agents, np.bool_)
        ended = bool(told.terminated[0] or told.truncated[0])
        trust.append(_weights(core))
        effort.append(_shares(core))
        welfare.append(float(core.welfare[0]) / games.agents)
    marks = [solve(market, core.payoff).welfare / games.agents for solve in (nash, optimum)]
    return Story(title or market.name, np.array(trust), np.array(effort), np.array(welfare), *marks)


def draw_strip(story: Story, path: Path) -> Path:
    """Write a game as one picture: matrices in a row, efforts and welfare below.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = _figure(story, len(story.welfare), _MATRICES)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path


def film(story: Story, path: Path) -> Path:
    """Write a game as an mp4, a frame per step.

    Raises:
        MissingExtraError: matplotlib or imageio is not installed.
    """
    imageio: Any = require("imageio.v2", extra="vision")
    path.parent.mkdir(parents=True, exist_ok=True)
    steps = len(story.welfare)
    shown = np.unique(np.linspace(1, steps, min(steps, _MOST_FRAMES)).astype(int))
    with imageio.get_writer(path, fps=_FPS, macro_block_size=2) as writer:
        for t in shown.tolist():
            figure = _figure(story, t, 1)
            figure.canvas.draw()
            writer.append_data(np.asarray(figure.canvas.buffer_rgba())[:, :, :3].copy())
    return path


def _figure(story: Story, until: int, matrices: int) -> Any:
    """Return a figure of the first ``until`` steps, its trust matrices at even times."""
    require("matplotlib", extra="agents")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(story.title)
    halves: Any = figure.subfigures(2, 1, height_ratios=(2, 3))
    upper, lower = halves
    times = np.linspace(0, until, matrices + 1)[1:].round().astype(int) if matrices > 1 else [until]
    axes = np.atleast_1d(upper.subplots(1, len(times)))
    for axis, t in zip(axes, times, strict=True):
        axis.imshow(story.trust[t], vmin=0.0, vmax=1.0, cmap="viridis")
        axis.set_title(f"trust, step {t}", fontsize=8)
        axis.set_xticks([])
        axis.set_yticks([])
    left, right = lower.subplots(1, 2)
    steps, whole = np.arange(1, until + 1), len(story.welfare)
    for agent in range(story.effort.shape[1]):
        left.plot(steps, story.effort[1 : until + 1, agent], linewidth=1.0)
    left.set(xlim=(1, whole), ylim=(-0.02, 1.02), xlabel="step", title="effort of each agent")
    right.plot(steps, story.welfare[:until], color="black", linewidth=1.5)
    for mark, name, colour in (
        (story.nash, "static Nash", "tab:red"),
        (story.optimum, "optimum", "tab:green"),
    ):
        right.axhline(mark, color=colour, linestyle="--", linewidth=1.0, label=f"{name} {mark:.1f}")
    right.set(xlim=(1, whole), xlabel="step", title="welfare per agent")
    right.legend(fontsize=7)
    return figure


def _weights(core: Any) -> Float:
    seen: Float = np.minimum(core.trust, 1.0 - core.damage)[..., 0].copy()
    return seen


def _shares(core: Any) -> Float:
    seen: Float = (core.actions / core.endowment)[:, 0].copy()
    return seen
