"""How well credits agree with the dense rewards they never saw; no reinforcement learning at all.

Random policies play Gymnasium's MuJoCo tasks; a credit is fitted to the returns of some episodes
and asked about others. A good fit of returns can hide mediocre credits, so both are told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import torch
from rich.table import Table

from densegym.agents.studies.study import Bar, Monitor, Request, Result
from densegym.agents.training.processes import worker_pool
from densegym.envs.robot.feature_tables import REACHER, SWIMMER
from densegym.envs.tasks import find_card
from densegym.errors import unknown
from densegym.reward_models.credit.fitting.fitted import FittedCredit
from densegym.reward_models.spec import build_reward
from densegym.reward_models.types import Episode, Float, TaskCard

if TYPE_CHECKING:
    from rich.console import RenderableType

STEPS = 200
HELD_OUT = 20
_SWINGS = (0.05, 0.5)  # radians per step of the sinusoids that move the joints
_UPDATES = 300
_HEALTHY = {"terminate_when_unhealthy": False}  # else random play ends before anything is seen
_CARDS: Mapping[str, str] = {
    "HalfCheetah-v5": "DenseGym/HalfCheetahForward-v0",
    "Hopper-v5": "DenseGym/HopperForward-v0",
    "Walker2d-v5": "DenseGym/Walker2dForward-v0",
    "Ant-v5": "DenseGym/AntForward-v0",
}
_TABLES = {"Swimmer-v5": SWIMMER, "Reacher-v5": REACHER}
ENVS = (*_CARDS, *_TABLES)


@dataclass(frozen=True, slots=True)
class Method:
    """A credit, and how many episodes it is given.

    Attributes:
        name: in the table.
        spec: the reward's name and options.
        episodes: episodes to fit on.
        updates: gradient steps.
    """

    name: str
    spec: Mapping[str, Any]
    episodes: int = 120
    updates: int = _UPDATES


_QUICK = {"learning_rate": 1e-3}  # three times RRD's own: minutes allow few updates
METHODS = (
    Method("uniform", {"model": "credit/uniform"}),
    Method("ircr", {"model": "credit/ircr"}),
    Method("rd", {"model": "credit/rd", **_QUICK}, updates=100),
    Method("rrd", {"model": "credit/rrd", **_QUICK}),
    Method("rrd-unbiased", {"model": "credit/rrd", "unbiased": True, **_QUICK}),
    Method("rudder", {"model": "credit/rudder", "learning_rate": 3e-3}, updates=40),
    Method("diaster", {"model": "credit/diaster", "learning_rate": 3e-3}, updates=20),
    Method("spa", {"model": "credit/spa", "beta": 0.0, "learning_rate": 3e-3}, updates=80),
    Method("lare", {"model": "credit/lare", **_QUICK}, episodes=30),
)
# Sequence models get as many updates as five minutes on two cores allow, which starves two of them.
JUDGED = ("rd", "rrd", "rrd-unbiased", "spa", "lare")


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Agreement of one credit with the hidden dense rewards on held-out episodes.

    Attributes:
        env: Gymnasium id.
        method: as in ``METHODS``.
        seed: of the policies, the weights and the draws.
        episodes: episodes it was fitted on.
        correlation: Pearson's, of all held-out steps; 0 for constant credits.
        explained: R² of the mean reward of held-out episodes; None for credits that are given the
            return.
        sign: share of steps on which credit and reward lie on the same side of their means.
        cpu_s: CPU seconds to fit.
    """

    env: str
    method: str
    seed: int
    episodes: int
    correlation: float
    explained: float | None
    sign: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class FidelityResult(Result):
    """Agreement of all credits on all envs.

    Attributes:
        rows: of every env, seed and method.
    """

    rows: Sequence[Fidelity]

    def as_json(self) -> dict[str, Any]:
        """Return all rows, the bars, and whether they hold."""
        return as_dict(self.rows)

    def bars(self) -> list[Bar]:
        """Return the bars of HalfCheetah; none where it was not measured."""
        return bars(self.rows)

    def report(self) -> list[RenderableType]:
        """Return correlations by env and method, means over seeds, with fits and cost."""
        table = Table(title="correlation with the hidden dense reward, held-out episodes")
        methods = list(dict.fromkeys(row.method for row in self.rows))
        table.add_column("")
        for method in methods:
            table.add_column(method, justify="right")
        own = {method: [row for row in self.rows if row.method == method] for method in methods}
        for env in dict.fromkeys(row.env for row in self.rows):
            means = [np.mean([r.correlation for r in own[m] if r.env == env]) for m in methods]
            table.add_row(env.removesuffix("-v5"), *(f"{mean:.2f}" for mean in means))
        table.add_section()
        fits = {m: [r.explained for r in own[m] if r.explained is not None] for m in methods}
        told = (f"{np.median(fits[m]):.2f}" if fits[m] else "-" for m in methods)
        table.add_row("R2 of returns", *told)
        table.add_row("same side", *(f"{np.mean([r.sign for r in own[m]]):.2f}" for m in methods))
        table.add_row("episodes", *(str(own[m][0].episodes) for m in methods))
        table.add_row("CPU s", *(f"{np.mean([r.cpu_s for r in own[m]]):.1f}" for m in methods))
        return [table]


def run(request: Request, monitor: Monitor) -> FidelityResult:
    """Carry out the study ``fidelity``.

    Raises:
        UnknownNameError: an env that is not measured.
    """
    for env in request.envs:
        if env not in ENVS:
            raise unknown("env of fidelity", env, ENVS)
    on_cell = partial(monitor.progress, "fitting credits")
    envs = request.envs or ENVS
    on_cell(0, len(envs) * len(request.seeds))
    return FidelityResult(measure(envs, request.seeds, processes=request.workers, on_cell=on_cell))


def measure(
    envs: Sequence[str] = ENVS,
    seeds: Sequence[int] = tuple(range(5)),
    *,
    processes: int = 2,
    on_cell: Callable[[int, int], None] = lambda done, cells: None,
) -> list[Fidelity]:
    """Fit every method on every env and seed, and compare its credits with the hidden rewards.

    Args:
        envs: Gymnasium ids, of ``ENVS``.
        seeds: one cell each.
        processes: cells fitted side by side.
        on_cell: told about finished and all cells.
    """
    cells = [(env, seed) for env in envs for seed in seeds]
    rows: list[Fidelity] = []
    for done, cell in enumerate(_carried_out(cells, processes), start=1):
        rows += cell
        on_cell(done, len(cells))
    return rows


def bars(rows: Sequence[Fidelity]) -> list[Bar]:
    """Return the bars of HalfCheetah; empty where it was not measured."""
    means = {
        name: float(np.mean(values))
        for name in {row.method for row in rows}
        if (values := [r.correlation for r in rows if r.method == name and "Cheetah" in r.env])
    }
    if not means:
        return []
    lare, rrd, spa = means["lare"], means["rrd"], means["spa"]
    fitted = [means[name] for name in JUDGED]
    return [
        Bar(f"LaRe, 30 episodes: {lare:.2f} >= 0.9", lare >= 0.9),
        Bar(f"RRD, 120 episodes: {rrd:.2f} >= 0.45", rrd >= 0.45),
        Bar(
            f"uniform {means['uniform']:.2f} is lowest of {', '.join(JUDGED)}",
            means["uniform"] < min(fitted),
        ),
        Bar(f"SPA {spa:.2f} lies between uniform and LaRe", means["uniform"] < spa < lare),
    ]


def collect(env: str, episodes: int, seed: int) -> list[Episode]:
    """Return episodes of ``STEPS`` steps by random sinusoids with noise, each policy its own."""
    kwargs = _HEALTHY if env.split("-")[0] in ("Hopper", "Walker2d", "Ant") else {}
    world = gym.make(env, max_episode_steps=STEPS, **kwargs)
    rng = np.random.default_rng(seed)
    played = [_play(world, rng, slot) for slot in range(episodes)]
    world.close()
    return played


def _carried_out(cells: Sequence[tuple[str, int]], processes: int) -> Iterator[list[Fidelity]]:
    if processes < 2:
        yield from (_cell(cell) for cell in cells)
        return
    with worker_pool(processes, preload=__name__) as pool:
        yield from pool.map(_cell, cells)


def _cell(cell: tuple[str, int]) -> list[Fidelity]:
    torch.set_num_threads(1)
    env, seed = cell
    most = max(method.episodes for method in METHODS)
    episodes = collect(env, most + HELD_OUT, seed)
    compare = partial(_compare, env, seed, episodes[:HELD_OUT])
    return [compare(m, episodes[HELD_OUT : HELD_OUT + m.episodes]) for m in METHODS]


def _compare(
    env: str, seed: int, held_out: list[Episode], method: Method, given: list[Episode]
) -> Fidelity:
    options = dict(method.spec)
    fits = method.name not in ("uniform", "ircr")
    if fits:
        options["updates_per_step"] = method.updates / (STEPS * len(given))
    model = build_reward({**options, "of": "env"}, task=_card(env), seed=seed)
    started = time.process_time()
    model.finish(given)
    spent = time.process_time() - started
    judge = model.judge if isinstance(model, FittedCredit) else model.finish
    judged: Any = judge(held_out)
    credit, hidden = np.concatenate(judged), np.concatenate([e.env_reward for e in held_out])
    sides = (credit > credit.mean()) == (hidden > hidden.mean())
    return Fidelity(
        env=env,
        method=method.name,
        seed=seed,
        episodes=len(given),
        correlation=_pearson(credit, hidden),
        explained=_explained(model, held_out) if isinstance(model, FittedCredit) else None,
        sign=float(sides.mean()),
        cpu_s=spent,
    )


def _explained(model: FittedCredit, held_out: Sequence[Episode]) -> float:
    true = np.array([one.env_reward.sum() for one in held_out])
    said = np.array([model.predicted_return(one) for one in held_out])
    return 1.0 - float(np.square(true - said).mean() / true.var())


def _pearson(credit: Float, hidden: Float) -> float:
    if credit.std() == 0.0 or hidden.std() == 0.0:
        return 0.0
    return float(np.corrcoef(credit, hidden)[0, 1])


def _card(env: str) -> TaskCard:
    if env in _TABLES:
        return TaskCard(id=env, features=_TABLES[env])
    card = find_card(_CARDS[env])
    assert card is not None
    return card


def _play(world: gym.Env[Any, Any], rng: np.random.Generator, slot: int) -> Episode:
    space = world.action_space
    assert isinstance(space, gym.spaces.Box)
    size = space.shape
    amplitude, offset = rng.uniform(0.0, 1.0, size), rng.uniform(-0.5, 0.5, size)
    pace, phase = rng.uniform(*_SWINGS, size), rng.uniform(0.0, 2.0 * np.pi, size)
    noise = rng.uniform(0.0, 0.5)
    obs, start = world.reset(seed=int(rng.integers(2**31)))
    seen, actions, paid, infos = [obs], [], [], []
    for t in range(STEPS):
        meant = offset + amplitude * np.sin(pace * t + phase) + noise * rng.normal(size=size)
        action = np.clip(space.high * meant, space.low, space.high).astype(space.dtype)
        obs, reward, _, _, info = world.step(action)
        seen.append(obs)
        actions.append(action)
        paid.append(float(reward))
        infos.append(info)
    rewards = np.array(paid)
    return Episode(
        slot,
        np.stack(seen),
        np.stack(actions),
        rewards,
        np.zeros(STEPS),
        terminated=False,
        info=infos,
        start=start,
    )


def as_dict(rows: Sequence[Fidelity]) -> dict[str, Any]:
    """Return plain values for JSON: all rows, the bars, and whether they hold."""
    told = bars(rows)
    return {
        "steps": STEPS,
        "held_out": HELD_OUT,
        "rows": [asdict(row) for row in rows],
        "bars": [asdict(bar) for bar in told],
        "holds": all(bar.holds for bar in told),
    }
