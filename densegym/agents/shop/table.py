"""The shop's table: one row per agent and part of the goals, with intervals, steps and cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from densegym.agents.bench.statistics import wilson
from densegym.agents.bench.tables import SMOKE_BELOW
from densegym.agents.shop.compare import Result
from densegym.agents.shop.roster import AGENTS
from densegym.envs.shop.session.world import Setting
from densegym.reward_models.types import Float

COLUMNS = (
    "agent", "goals", "episodes", "seeds", "score", "success", "strict success", "steps",
    "invalid", "train steps", "train CPU s", "ms/step", "calls", "USD",
)  # fmt: skip
_NARROW = ("agent", "goals", "seeds", "score", "success", "steps", "train CPU s")
REPETITIONS = 2_000
_BOOTSTRAP_SEED = 0  # of every published interval, so that each can be made again


@dataclass(frozen=True, slots=True)
class Row:
    """One row; intervals are (value, low, high).

    Attributes:
        agent: name, with a mark where it is privileged.
        setting: of the shop, with the part of the goals.
        episodes: goals played per seed.
        seeds: ascending; empty where nothing depends on one.
        score: mean reward times 100.
        success: share of purchases that were exactly right, in %, by the scoring of the setting.
        strict: the same by the strict rule.
        steps: mean actions per episode.
        invalid: share of the actions that were refused.
        train_steps: mean steps of learning.
        train_cpu_s: mean CPU seconds of learning.
        ms_per_step: mean CPU milliseconds per action of the evaluation, shop included.
        calls: language-model calls.
        usd: their price, 0 where it is unknown.
    """

    agent: str
    setting: Setting
    episodes: int
    seeds: tuple[int, ...]
    score: tuple[float, float, float]
    success: tuple[float, float, float]
    strict: tuple[float, float, float]
    steps: float
    invalid: float
    train_steps: float
    train_cpu_s: float
    ms_per_step: float
    calls: int
    usd: float

    def cells(self) -> list[str]:
        """Return the row as text, in the order of ``COLUMNS``."""
        count = len(self.seeds)
        few = f"{count} (smoke)" if count < SMOKE_BELOW else str(count)
        leaks = " (leaks)" if self.setting.split_rule == "original" else ""
        return [
            self.agent,
            f"{self.setting.split} by {self.setting.split_rule}{leaks}",
            str(self.episodes),
            few if count else "-",
            *(_interval(value) for value in (self.score, self.success, self.strict)),
            f"{self.steps:.1f}",
            f"{100 * self.invalid:.1f}%",
            f"{self.train_steps:,.0f}" if self.train_steps else "-",
            f"{self.train_cpu_s:.0f}" if self.train_cpu_s else "-",
            f"{self.ms_per_step:.2f}",
            str(self.calls) if self.calls else "-",
            ("unknown" if self.usd == 0 else f"{self.usd:.2f}") if self.calls else "-",
        ]


def tabulate(results: Sequence[Result]) -> list[Row]:
    """Group results by setting and agent, in their order."""
    groups: dict[tuple[Setting, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.setting, result.agent), []).append(result)
    return [_row(setting, agent, members) for (setting, agent), members in groups.items()]


def _row(setting: Setting, agent: str, members: Sequence[Result]) -> Row:
    seen = [member.episodes for member in members]
    asins = seen[0].asin
    actions = sum(sum(episodes.steps) for episodes in seen)
    several = agent in AGENTS and (AGENTS[agent].learns or agent == "random")
    bound = " (privileged)" if agent in AGENTS and AGENTS[agent].privileged else ""
    return Row(
        agent=f"{agent}{bound}",
        setting=setting,
        episodes=len(asins),
        seeds=tuple(sorted(member.seed for member in members)) if several else (),
        score=_mean([episodes.score for episodes in seen], asins),
        success=_mean([100.0 * np.array(episodes.success) for episodes in seen], asins),
        strict=_mean([100.0 * np.array(episodes.strict) for episodes in seen], asins),
        steps=actions / (len(seen) * len(asins)),
        invalid=sum(sum(episodes.invalid) for episodes in seen) / max(actions, 1),
        train_steps=float(np.mean([member.train_steps for member in members])),
        train_cpu_s=float(np.mean([member.train_cpu_s for member in members])),
        ms_per_step=1e3 * sum(episodes.cpu_s for episodes in seen) / max(actions, 1),
        calls=sum(member.calls for member in members),
        usd=sum(member.usd for member in members),
    )


def _mean(values: Sequence[object], asins: Sequence[str]) -> tuple[float, float, float]:
    """Return the mean over seeds and goals, and its 95 % interval; products are redrawn.

    Goals of one product are not independent, so the bootstrap draws products with all their
    goals; where all goals came out the same, Wilson's interval over products stands in.
    """
    per_goal = np.mean(np.asarray(values, dtype=np.float64), axis=0)
    mean = float(per_goal.mean())
    if mean in (0.0, 100.0):  # nothing to redraw: the bound of as many trials as products
        low, high = wilson(len(set(asins)) * mean / 100.0, len(set(asins)))
        return mean, 100.0 * low, 100.0 * high
    return mean, *bootstrap(per_goal, asins)


def bootstrap(per_goal: Float, clusters: Sequence[str]) -> tuple[float, float]:
    """Return the 95 % percentile interval of a mean, redrawing whole clusters.

    Args:
        per_goal: (goals,) values.
        clusters: (goals,) what each goal belongs to.
    """
    _, places = np.unique(np.asarray(clusters), return_inverse=True)
    counts = np.bincount(places).astype(np.float64)
    sums = np.bincount(places, weights=per_goal)
    rng = np.random.default_rng(_BOOTSTRAP_SEED)
    drawn = rng.integers(len(counts), size=(REPETITIONS, len(counts)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _interval(value: tuple[float, float, float]) -> str:
    mean, low, high = value
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


def title(setting: Setting) -> str:
    """Return what every row of a table shares: store, goals, reward."""
    return f"store {Path(setting.store).name}, {setting.goals} goals, {setting.scoring} scoring"


def caption(command: str) -> str:
    """Return the line under a table."""
    return (
        "score: 100 x mean reward; success: share with reward exactly 1; strict success: the same "
        "purchases by the strict rule; [low, high]: 95 % bootstrap over products of the mean over "
        "seeds; by product: no product is in two parts; by original: by place in the list, so "
        "most test goals share their product with a training goal; privileged: reads the goal; "
        f"smoke: fewer than {SMOKE_BELOW} seeds. Command: {command}"
    )


def to_text(rows: Sequence[Row]) -> list[Table]:
    """Return tables for the terminal, one per store, goals and scoring."""
    tables: dict[str, Table] = {}
    for row in rows:
        name = title(row.setting)
        if name not in tables:
            tables[name] = Table(*_NARROW, title=name, title_justify="left", box=SIMPLE)
        cells = dict(zip(COLUMNS, row.cells(), strict=True))
        tables[name].add_row(*(cells[column] for column in _NARROW))
    return list(tables.values())


def to_markdown(rows: Sequence[Row], command: str) -> str:
    """Return every column as Markdown, a table per store, goals and scoring."""
    blocks: dict[str, list[str]] = {}
    for row in rows:
        head = [f"| {' | '.join(COLUMNS)} |", f"|{' --- |' * len(COLUMNS)}"]
        block = blocks.setdefault(title(row.setting), head)
        block.append(f"| {' | '.join(row.cells())} |")
    parts = [f"**{name}**\n\n" + "\n".join(lines) for name, lines in blocks.items()]
    return "\n\n".join([*parts, caption(command)]) + "\n"
