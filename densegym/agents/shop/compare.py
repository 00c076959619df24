"""Evaluates agents on named parts of the goals and keeps every episode; a table comes of it.

Results lie in ``<out>/<setting>/<agent>/seed-<n>.json``, what was learned beside them under
``<out>/trained``. Both are kept, so that a command typed again goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from densegym.agents.shop import roster
from densegym.agents.shop.episodes import Episodes, play_episodes
from densegym.agents.shop.language import LanguagePlayer
from densegym.agents.shop.roster import AGENTS, Training, find_agent
from densegym.agents.shop.shopper import Player
from densegym.agents.training.processes import worker_pool
from densegym.agents.training.results import write_json
from densegym.envs.shop.goals.goals import Goal
from densegym.envs.shop.session.world import Setting, ShopWorld
from densegym.errors import ResultsError

SCHEMA = 1
_DRAW = 20_011  # orders the goals of an evaluation that plays only some of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One agent with one seed on one part of the goals.

    Attributes:
        agent: its name, or the run's folder.
        seed: of its training and of what it draws.
        setting: of the shop, its part of the goals included.
        episodes: what was seen.
        train_steps: environment steps it learned from.
        train_cpu_s: CPU seconds of learning.
        calls: language-model calls.
        usd: their price, 0 where it is unknown.
    """

    agent: str
    seed: int
    setting: Setting
    episodes: Episodes
    train_steps: int = 0
    train_cpu_s: float = 0.0
    calls: int = 0
    usd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is to be compared.

    Attributes:
        agents: names, or folders of ChoicePPO runs; the linear scorer is always added.
        settings: parts of the goals to evaluate on.
        seeds: of agents that learn or draw; the others play once.
        out: where results and trained agents are kept.
        episodes: goals per part, drawn once for everybody; None plays all.
        steps: of training instead of each agent's own.
        overrides: ``key=value`` for ChoicePPO's configuration.
        workers: agents trained side by side.
    """

    agents: Sequence[str]
    settings: Sequence[Setting]
    seeds: Sequence[int]
    out: Path
    episodes: int | None = None
    steps: int | None = None
    overrides: Sequence[str] = ()
    workers: int = 1


Watch = Callable[[str, int, int], None]  # what, done, of how many


def compare(
    asked: Comparison, *, language: LanguagePlayer | None = None, watch: Watch = lambda *_: None
) -> list[Result]:
    """Train what must be trained, evaluate everybody, and return the results.

    Args:
        asked: what to compare.
        language: plays the agent ``llm``.
        watch: told what is being done and how far it is.

    Raises:
        UnknownNameError: no such agent.
        ResultsError: a kept result is damaged.
    """
    names = _with_baseline(asked.agents)
    for name in names:
        if name != "llm" and not _is_run(name):
            find_agent(name)
    _fit(asked, names, watch)
    return [
        _evaluated(asked, name, seed, setting, language, watch)
        for setting in asked.settings
        for name in names
        for seed in _seeds(asked, name)
    ]


def _with_baseline(names: Sequence[str]) -> list[str]:
    """Return names without repeats in the order of the roster, the linear scorer among them."""
    order = list(AGENTS)
    wanted = dict.fromkeys((*names, roster.BASELINE))
    return sorted(wanted, key=lambda n: order.index(n) if n in order else len(order))


def _is_run(name: str) -> bool:
    return (Path(name) / "config.toml").is_file()


def _seeds(asked: Comparison, name: str) -> Sequence[int]:
    several = name in AGENTS and (AGENTS[name].learns or name == "random")
    return asked.seeds if several else (0,)


def _training(asked: Comparison, name: str, seed: int, setting: Setting) -> Training:
    learned = dataclasses.replace(setting, split="train")
    folder = asked.out / "trained" / slug(learned) / name / f"seed-{seed}"
    return Training(
        setting=learned, seed=seed, folder=folder, steps=asked.steps, settings=asked.overrides
    )


def _fit(asked: Comparison, names: Sequence[str], watch: Watch) -> None:
    """Train every agent that learns, once per setting apart from the part of the goals."""
    jobs: dict[Path, tuple[str, Training]] = {}
    for seed in asked.seeds:
        for setting in asked.settings:
            for name in names:
                if name in AGENTS and AGENTS[name].learns:
                    training = _training(asked, name, seed, setting)
                    if not roster.fitted(training.folder):
                        jobs[training.folder] = (name, training)
    if asked.workers == 1:
        for name, training in jobs.values():
            what = f"training {name} seed {training.seed}, {training.setting.split_rule} split"
            AGENTS[name].fit(training, lambda done, steps, what=what: watch(what, done, steps))  # type: ignore[misc]
        return
    with worker_pool(asked.workers, preload="densegym.agents.training.run") as pool:
        waiting = [pool.submit(_carry_out, name, training) for name, training in jobs.values()]
        for done, future in enumerate(as_completed(waiting), start=1):
            future.result()
            watch("training agents", done, len(waiting))


def _carry_out(name: str, training: Training) -> None:
    AGENTS[name].fit(training)


def _evaluated(
    asked: Comparison,
    name: str,
    seed: int,
    setting: Setting,
    language: LanguagePlayer | None,
    watch: Watch,
) -> Result:
    kept = _path(asked, name, seed, setting)
    world = ShopWorld(setting)
    goals = _goals(world, asked.episodes)
    if kept.is_file():
        return _load(kept, [goal.id for goal in goals])
    training = _training(asked, name, seed, setting)
    player = _player(name, world, training, language)
    before = dict(language.spent) if language else {}
    what = f"{name} seed {seed}, {setting.split} by {setting.split_rule}"
    seen = play_episodes(
        player, world, goals, on_episode=lambda done: watch(what, done, len(goals))
    )
    cost = roster.cost(training.folder)
    spent = language.spent if language and name == "llm" else before
    result = Result(
        agent=name,
        seed=seed,
        setting=setting,
        episodes=seen,
        train_steps=int(cost["steps"]),
        train_cpu_s=cost["cpu_s"],
        calls=int(spent.get("calls", 0) - before.get("calls", 0)),
        usd=spent.get("usd", 0.0) - before.get("usd", 0.0),
    )
    kept.parent.mkdir(parents=True, exist_ok=True)
    plain = asdict(result) | {"setting": {**asdict(setting), "store": str(setting.store)}}
    write_json(kept, {"schema": SCHEMA, **plain})
    return result


def _player(
    name: str, world: ShopWorld, training: Training, language: LanguagePlayer | None
) -> Player:
    if name == "llm":
        if language is None:
            raise ResultsError("the agent llm needs --model with an endpoint, or --mailbox FOLDER")
        return language
    if _is_run(name):
        return roster.run_player(Path(name), world)
    return find_agent(name).player(world, training)


def _goals(world: ShopWorld, episodes: int | None) -> list[Goal]:
    """Return the goals to play, the same for every agent: all, or the first of a fixed order."""
    goals = list(world.goals)
    if episodes is None or episodes >= len(goals):
        return goals
    order = sorted(goals, key=lambda goal: hashlib.sha256(f"{_DRAW} {goal.id}".encode()).digest())
    return sorted(order[:episodes], key=lambda goal: goal.id)


def _path(asked: Comparison, name: str, seed: int, setting: Setting) -> Path:
    short = name if name in (*AGENTS, "llm") else _run_name(name)
    some = "" if asked.episodes is None else f"-{asked.episodes}"
    return asked.out / f"{slug(setting)}{some}" / short / f"seed-{seed}.json"


def _run_name(folder: str) -> str:
    return "run-" + hashlib.sha256(str(Path(folder).resolve()).encode()).hexdigest()[:12]


def slug(setting: Setting) -> str:
    """Return a folder name for a setting."""
    parts = (Path(setting.store).name, setting.goals, setting.scoring, setting.split_rule)
    steps = () if setting.max_steps == "default" else (str(setting.max_steps),)
    return "-".join((*parts, setting.split, *steps))


def _load(path: Path, goals: Sequence[int]) -> Result:
    try:
        plain: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if plain.pop("schema") != SCHEMA:
            raise ValueError("another schema")
        plain["setting"] = Setting(**plain["setting"])
        plain["episodes"] = Episodes(**plain["episodes"])
        result = Result(**plain)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{path} is no result of this version: {error}; remove it") from error
    if result.episodes.goal != list(goals):
        raise ResultsError(f"{path} holds other goals than those asked for; choose another --out")
    return result
