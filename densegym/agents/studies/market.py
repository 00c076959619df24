"""What one policy for all agents of a market learns, reward by reward, beside the constants."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from densegym.agents.studies.study import Bar, Monitor, Request, Result, smoke_label
from densegym.agents.training.config import resolve
from densegym.agents.training.learner import build_learner, seed_everything
from densegym.envs.market.cards import DILEMMAS, dilemma_line
from densegym.errors import DenseGymError, unknown
from densegym.reward_models.spec import RewardSpec

if TYPE_CHECKING:
    from rich.console import RenderableType

_GAMES, _SEED = 10, 1_000_003  # of the evaluation
_LEARNERS = ("shared", "independent", "self-play")


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of paying.

    Attributes:
        reward: a reward specification.
        settings: overrides, as typed after ``--set``.
    """

    reward: RewardSpec
    settings: tuple[str, ...] = ()


ARMS: Mapping[str, Arm] = {
    "private": Arm("market/private"),
    "integrated": Arm("market/integrated"),
    "cooperative": Arm("market/cooperative"),
    "difference": Arm("market/difference"),
    "coma": Arm("market/coma"),
    "trust-potential": Arm(["market/private", "market/trust-potential"]),
    # The mean of all returns, paid to everybody on the last step: what team credit starts from.
    "delayed": Arm("delayed", ("env.mode=cooperative",)),
    "delayed, undiscounted": Arm("delayed", ("env.mode=cooperative", "gamma=1.0")),
    "credit/uniform-team": Arm("credit/uniform-team"),
    "credit/rrd-team": Arm("credit/rrd-team"),
    "credit/lare-team": Arm("credit/lare-team"),
    "credit/lare-team, no agent part": Arm({"model": "credit/lare-team", "agent_part": False}),
}
BARS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "DenseGym/Market-PublicGoods-v0": {
        "private": (50.0, 52.0),
        "cooperative": (80.0, 100.0),
        "difference": (99.0, 100.0),
        "delayed, undiscounted": (50.0, 80.0),
        "credit/lare-team": (98.0, 100.0),
    },
    "DenseGym/Market-TeamProduction-v0": {"difference": (204.0, 205.1)},
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the likeliest actions of one trained policy earn.

    Attributes:
        env: the market.
        arm: as in ``ARMS``.
        seed: of everything.
        welfare: per agent and step, mean over games.
        effort: mean share of the endowment at the last step.
        trust: mean trust at the end.
        lowest: the lowest return of an agent, mean over games, per step.
        cpu_s: CPU seconds to train.
    """

    env: str
    arm: str
    seed: int
    welfare: float
    effort: float
    trust: float
    lowest: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Markets(Result):
    """What every arm came to.

    Attributes:
        outcomes: of every market, arm and seed.
        learners: how the agents learned.
    """

    outcomes: Sequence[Outcome]
    learners: str = "shared"

    def as_json(self) -> dict[str, Any]:
        """Return all outcomes, and whether the bars hold."""
        rows = [asdict(one) for one in self.outcomes]
        return {"learners": self.learners, "rows": rows, "holds": self.bars_hold}

    def bars(self) -> list[Bar]:
        """Return the bars of the arms that were run with a shared policy: means over seeds."""
        bars = []
        for env, arms in BARS.items():
            for arm, (low, high) in arms.items():
                seen = self._column(env, arm, "welfare")
                if len(seen) and self.learners == "shared":
                    mean = float(seen.mean())
                    text = f"{_short(env)}, {arm}: welfare {mean:.2f} in [{low:g}, {high:g}]"
                    bars.append(Bar(text, low - 1e-6 <= mean <= high))
        return bars

    def report(self) -> list[RenderableType]:
        """Return one table per market, means over seeds, beside what learns nothing."""
        shown: list[RenderableType] = []
        for env in dict.fromkeys(one.env for one in self.outcomes):
            rows = [one for one in self.outcomes if one.env == env]
            seeds = len({one.seed for one in rows})
            title = f"{env}, PPO ({self.learners}), {seeds} seeds{smoke_label(seeds)}"
            table = Table(title=title, caption=dilemma_line(_short(env)))
            for column in ("paid", "welfare", "lowest", "highest", "effort", "trust", "CPU s"):
                table.add_column(column, justify="left" if column == "paid" else "right")
            for arm in dict.fromkeys(one.arm for one in rows):
                welfare = self._column(env, arm, "welfare")
                means = (self._column(env, arm, key).mean() for key in ("effort", "trust", "cpu_s"))
                numbers = (welfare.mean(), welfare.min(), welfare.max(), *means)
                table.add_row(arm, *(f"{number:.2f}" for number in numbers))
            shown.append(table)
        return shown

    def _column(self, env: str, arm: str, name: str) -> Any:
        chosen = [one for one in self.outcomes if one.env == env and one.arm == arm]
        return np.array([getattr(one, name) for one in chosen])


def run(request: Request, monitor: Monitor) -> Markets:
    """Carry out the study ``market``."""
    chosen = [name.strip() for name in str(request.settings["rewards"]).split(";")]
    learners = str(request.settings["learners"])
    if learners not in _LEARNERS:
        raise unknown("way of learning", learners, _LEARNERS)
    for name in chosen:
        if name not in ARMS:
            raise unknown("reward of this study", name, ARMS)
    count = monitor.counter("training", len(chosen) * len(request.envs) * len(request.seeds))
    outcomes = []
    for env in request.envs:
        if _short(env) not in DILEMMAS:
            raise DenseGymError(f"{env} is no market; type: densegym envs market")
        for seed in request.seeds:
            for arm in chosen:
                outcomes.append(train(env, arm, seed, request.steps, learners))
                count()
                monitor.line(f"{env} {arm}, seed {seed}: welfare {outcomes[-1].welfare:.2f}")
    return Markets(outcomes, learners)


def train(env: str, arm: str, seed: int, steps: int, learners: str = "shared") -> Outcome:
    """Train PPO with one arm and play its likeliest actions."""
    settings = ARMS[arm].settings
    config = resolve(
        env, reward=ARMS[arm].reward, seed=seed, steps=steps or None, overrides=settings
    )
    seed_everything(seed)
    started = time.process_time()
    if learners == "shared":
        learner = build_learner(config)
        try:
            learner.model.learn(config.run.steps, callback=learner.callbacks)
            spent = time.process_time() - started
            seen = learner.evaluate(episodes=_GAMES, seed=_SEED)
        finally:
            learner.close()
    else:
        from densegym.agents.market.learners import learn

        seen = learn(config, learners, episodes=_GAMES, seed=_SEED)
        spent = time.process_time() - started
    told = {key: float(values.mean()) for key, values in seen.measures.items()}
    own = [value for key, value in told.items() if key.startswith("return of ")]
    return Outcome(
        env=env,
        arm=arm,
        seed=seed,
        welfare=told["market/mean-welfare"],
        effort=told["market/mean-effort"],
        trust=told["market/mean-trust"],
        lowest=min(own, default=float("nan")) / float(seen.length.mean()),
        cpu_s=round(spent, 1),
    )


def _short(env: str) -> str:
    return env.removeprefix("DenseGym/Market-").removesuffix("-v0")
