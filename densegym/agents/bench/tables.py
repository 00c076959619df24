"""Benchmark tables: one row per env, reward and learner, controls first, cost beside success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from densegym.agents.bench import statistics
from densegym.agents.training.results import Run
from densegym.envs.protocols import OWN, Terms
from densegym.envs.terms import beside, meta_terms
from densegym.errors import ResultsError
from densegym.reward_models.types import Float

CONTROLS = ("env", "expert")
SMOKE_BELOW = 5  # seeds; fewer prove nothing
THRESHOLD = 0.9
_BOOTSTRAP_SEED = 0  # of every published interval, so that each can be made again
COLUMNS = (
    "env",
    "reward",
    "algo",
    "protocol",
    "limit",
    "steps",
    "seeds",
    "success",
    "latched",
    "last step",
    "chance",
    "ceiling",
    "lowest",
    "drawn",
    "return/env",
    "steps to 0.9",
    "CPU s to 0.9",
    "CPU s",
    "wall s",
    "ends at success",
    "model calls",
    "cost USD",
)
_DECIDING = ("gymnasium", "mujoco", "metaworld", "nle", "stable-baselines3", "torch")


class _Key(NamedTuple):
    """What the runs of a row have in common; ``ends`` is of training, ``terms`` of evaluation."""

    env: str
    reward: str
    algo: str
    steps: int
    ends: bool | None
    terms: Terms | None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        env: environment id.
        reward: reward with version.
        algo: learner.
        steps: environment steps of each run.
        seeds: seeds run, ascending.
        success: IQM over seeds of the final deterministic success rate, and its 95 % interval; NaN
            where the world tells no success.
        lowest: success of the worst seed.
        drawn: mean success with drawn actions.
        return_env: IQM over seeds of the world's own return, and its interval.
        steps_to: Kaplan-Meier median of steps to the first evaluation at 0.9, or None.
        cpu_to: CPU seconds of the slowest seed up to there, or None unless every seed got there.
        cpu_s: mean CPU seconds of a run.
        wall_s: mean wall seconds of a run.
        ends: whether training episodes ended at success, or None without such a choice.
        model_calls: mean calls of remote models.
        cost_usd: mean cost.
        terms: limit, ending and success rule of the evaluations, or None where the world is not
            registered.
        latched: IQM over seeds of success at any step, or None where a run did not record it.
        last: IQM over seeds of success at the last step, or None as well.
        levels: stored success of idling, chance and the scripted expert under the same terms;
            see ``levels.told``.
        measures: IQM over seeds and interval of other outcomes, by their name.
    """

    env: str
    reward: str
    algo: str
    steps: int
    seeds: tuple[int, ...]
    success: tuple[float, float, float]
    lowest: float
    drawn: float
    return_env: tuple[float, float, float]
    steps_to: float | None
    cpu_to: float | None
    cpu_s: float
    wall_s: float
    ends: bool | None
    model_calls: float
    cost_usd: float
    terms: Terms | None = None
    latched: float | None = None
    last: float | None = None
    levels: Mapping[str, float | None] = field(default_factory=dict)
    measures: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)

    @property
    def smoke(self) -> bool:
        """Whether there are too few seeds to claim anything."""
        return len(self.seeds) < SMOKE_BELOW

    @property
    def protocol(self) -> str:
        """Name of the protocol of the evaluations."""
        return OWN if self.terms is None else self.terms.protocol

    @property
    def chance(self) -> str:
        """Stored success of idling and of random actions, as text; a dash where none is stored."""
        known = {name: self.levels.get(f"chance_{name}") for name in ("idle", "random")}
        told = [f"{name} {rate:.2f}" for name, rate in known.items() if rate is not None]
        return ", ".join(told) or "-"

    def cells(self, measures: Sequence[str] = ()) -> list[str]:
        """Return the row as text, in the order of ``COLUMNS`` and then of ``measures``."""
        count = len(self.seeds)
        return [
            self.env,
            self.reward,
            self.algo,
            self.protocol,
            "-" if self.terms is None or self.terms.limit is None else str(self.terms.limit),
            f"{self.steps:,}",
            f"{count} (smoke)" if self.smoke else str(count),
            _with_interval(self.success, count, digits=2),
            rate(self.latched),
            rate(self.last),
            self.chance,
            rate(self.levels.get("expert_ceiling")),
            rate(self.lowest),
            rate(self.drawn),
            _with_interval(self.return_env, count, digits=2),
            self._steps_to(),
            "-" if self.cpu_to is None else f"{self.cpu_to:.0f}",
            f"{self.cpu_s:.0f}",
            f"{self.wall_s:.0f}",
            {True: "yes", False: "no", None: "-"}[self.ends],
            f"{self.model_calls:.0f}",
            f"{self.cost_usd:.2f}",
            *(
                _with_interval(self.measures[key], count, digits=3) if key in self.measures else "-"
                for key in measures
            ),
        ]

    def _steps_to(self) -> str:
        if np.isnan(self.lowest):
            return "-"
        return f">{self.steps:,}" if self.steps_to is None else f"{self.steps_to:,.0f}"


def measures_of(rows: Sequence[Row]) -> list[str]:
    """Return the names of the other outcomes in any row, as they come."""
    return list(dict.fromkeys(key for row in rows for key in row.measures))


def tabulate(runs: Sequence[Run], *, seeds: Sequence[int] | None = None) -> list[Row]:
    """Group runs into rows: env by env, controls first, then rewards by name.

    Args:
        runs: finished runs.
        seeds: the seeds every row must have, if that is to be checked.

    Raises:
        ResultsError: versions of DenseGym or of one reward are mixed, one seed was run twice, or
            a seed is missing.
    """
    _refuse_mixtures(runs)
    groups: dict[_Key, list[Run]] = {}
    for run in runs:
        meta = run.meta
        same = (meta["env"], meta["reward"], meta["algo"], run.budget)
        key = _Key(*same, meta.get("terminate_on_success"), meta_terms(meta))
        groups.setdefault(key, []).append(run)
    for key, members in groups.items():
        _check_seeds(key, members, seeds)
    return [
        _row(key, sorted(groups[key], key=lambda r: r.meta["seed"]))
        for key in sorted(groups, key=_order)
    ]


def _order(key: _Key) -> tuple[object, ...]:
    """Return where a row stands: by env and protocol, controls first."""
    place = (key.env, str(key.terms), key.algo, _rank(key.reward), key.reward)
    return (*place, key.steps, str(key.ends))


def caption(rows: Sequence[Row], runs: Sequence[Run], command: str) -> str:
    """Return the line under a table: what was measured, on what, and how to see it again."""
    found = versions(runs)
    shown = [f"{name} {found[name]}" for name in _DECIDING if name in found]
    episodes = sorted({len(run.success) for run in runs})
    smoke = (
        " Rows marked smoke have fewer than five seeds and prove nothing."
        if any(row.smoke for row in rows)
        else ""
    )
    ended = sorted({run.meta["reward"] for run in runs if not run.meta.get("bootstrap", True)})
    protocols = sorted({str(row.terms) for row in rows if row.terms is not None})
    under = f" Protocols: {'; '.join(protocols)}." if protocols else ""
    cut = f" Time limits count as ends, without a bootstrap: {', '.join(ended)}." if ended else ""
    return (
        "success and return/env: the world's own outcome over "
        f"{'/'.join(map(str, episodes))} deterministic final episodes per seed, interquartile mean "
        "over seeds with 95 % stratified-bootstrap interval [low, high] (runs); lowest: the worst "
        "seed; latched and last step: success at any and at the last step of those episodes, "
        "interquartile mean; chance and ceiling: stored success of idling, of random actions and "
        "of the scripted expert under the same protocol; drawn: mean success with sampled actions; "
        "steps to 0.9: Kaplan-Meier median of the "
        "first evaluation at 0.9 success; CPU s to 0.9: the slowest seed; CPU and wall seconds "
        "include evaluations and leave out imports."
        f"{smoke}{under}{cut} {', '.join(shown)}. Command: {command}"
    )


def versions(runs: Sequence[Run]) -> dict[str, str]:
    """Return every package's version, or all of them joined by `` / `` where runs differ."""
    found: dict[str, set[str]] = {}
    for run in runs:
        for name, version in run.meta["versions"].items():
            found.setdefault(name, set()).add(str(version))
    return {name: " / ".join(sorted(found[name])) for name in sorted(found)}


def _row(key: _Key, runs: Sequence[Run]) -> Row:
    rates = np.array([run.success.mean() for run in runs])
    returns = np.array([run.return_env.mean() for run in runs])
    firsts = [run.reaches(THRESHOLD) for run in runs]
    times = [_watched(run) if p is None else p.step for run, p in zip(runs, firsts, strict=True)]
    arrived = [point for point in firsts if point is not None]
    return Row(
        env=key.env,
        reward=key.reward,
        algo=key.algo,
        steps=key.steps,
        seeds=tuple(run.meta["seed"] for run in runs),
        success=_summary(rates),
        lowest=float(rates.min()),
        drawn=float(np.mean([run.success_stochastic.mean() for run in runs])),
        return_env=_summary(returns),
        steps_to=statistics.kaplan_meier_median(times, [point is not None for point in firsts]),
        cpu_to=max(point.cpu_s for point in arrived) if len(arrived) == len(runs) else None,
        cpu_s=float(np.mean([run.meta["cpu_s"] for run in runs])),
        wall_s=float(np.mean([run.meta["wall_s"] for run in runs])),
        ends=key.ends,
        terms=key.terms,
        latched=_both([run.latched for run in runs]),
        last=_both([run.last for run in runs]),
        levels={} if key.terms is None else beside(key.env, key.terms),
        model_calls=float(np.mean([run.meta.get("model_calls", 0) for run in runs])),
        cost_usd=float(np.mean([run.meta.get("cost_usd", 0.0) for run in runs])),
        measures={
            key: _summary(np.array([run.measures[key].mean() for run in runs]))
            for key in runs[0].measures
            if all(key in run.measures for run in runs)
        },
    )


def _both(columns: Sequence[Float | None]) -> float | None:
    """Return the IQM over seeds of a success rate that every one of them recorded, or None."""
    rates = [column.mean() for column in columns if column is not None]
    return statistics.iqm(np.array(rates)) if len(rates) == len(columns) else None


def rate(value: float | None) -> str:
    """Return a success rate as text; a dash where there is none."""
    return "-" if value is None or np.isnan(value) else f"{value:.2f}"


def _watched(run: Run) -> int:
    """Return how long a run was watched; learners finish a rollout, so a little over ``steps``."""
    budget: int = run.budget
    return max([budget, *(point.step for point in run.points)])


def _summary(values: Float) -> tuple[float, float, float]:
    if np.isnan(values).all():  # of a world that tells no success
        return np.nan, np.nan, np.nan
    rng = np.random.default_rng(_BOOTSTRAP_SEED)
    low, high = statistics.interval(values, rng=rng)
    return statistics.iqm(values), low, high


def _with_interval(summary: tuple[float, float, float], count: int, *, digits: int) -> str:
    middle, low, high = summary
    if np.isnan(middle):
        return "-"
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}] ({count})"


def _rank(reward: str) -> int:
    return CONTROLS.index(reward) if reward in CONTROLS else len(CONTROLS)


def _refuse_mixtures(runs: Sequence[Run]) -> None:
    releases = sorted({run.meta["densegym"] for run in runs})
    if len(releases) > 1:
        raise ResultsError(
            f"runs of densegym {' and '.join(releases)} do not mix; report them apart"
        )
    versions: dict[tuple[str, str], set[str]] = {}
    for run in runs:
        name = run.meta["reward"].partition("{")[0]
        stem, _, version = name.rpartition("-v")
        if stem and version.isdigit():
            versions.setdefault((run.meta["env"], stem), set()).add(name)
    for (env, _), names in versions.items():
        if len(names) > 1:
            raise ResultsError(
                f"{env} was run with {' and '.join(sorted(names))}; versions of one reward do not "
                "mix in a table. Move one of them to another results folder."
            )


def _check_seeds(key: _Key, runs: Sequence[Run], wanted: Sequence[int] | None) -> None:
    seeds = [run.meta["seed"] for run in runs]
    where = f"{key.env}, {key.reward}, {key.algo}"
    if len(set(seeds)) != len(seeds):
        raise ResultsError(f"{where}: a seed was run twice: {sorted(seeds)}")
    missing = sorted(set(wanted or ()) - set(seeds))
    if missing:
        raise ResultsError(f"{where}: no finished run for seed {', '.join(map(str, missing))}")
