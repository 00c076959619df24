"""Measures what idling, chance and the scripted expert reach in robot worlds, by protocol.

Episodes are played once, to the longest limit and without an end, and every protocol reads its own
beginning of them: what these policies do depends on no protocol.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from rich.table import Table

import densegym
from densegym.agents.collecting.behaviours import expert_behaviour, idle, random
from densegym.agents.studies.study import Bar, Monitor, Request, Result
from densegym.agents.training.provenance import cpu_model, installed_versions
from densegym.agents.training.results import write_json
from densegym.envs.levels import POLICIES
from densegym.envs.protocols import OWN, Terms, find_protocol, terms_of
from densegym.envs.registration import bare_spec, goes_on
from densegym.envs.tasks import full_id, known_world, worlds
from densegym.envs.world import Behaviour, World
from densegym.errors import DenseGymError, ResultsError, unknown
from densegym.reward_models.types import Bool, Float

if TYPE_CHECKING:
    from rich.console import RenderableType

SCHEMA = 1
SEED = 2_000_003  # placements that neither training nor evaluation sees
_ACTIONS = 1  # a world draws its placement from the stream of the bare seed
_DECIDING = ("gymnasium", "mujoco", "numpy")
_UPSTREAM = {"metaworld": ("metaworld",), "locomotion": ()}  # any other: Gymnasium-Robotics


@dataclass(frozen=True, slots=True)
class Trace:
    """One episode, played on whatever happened.

    Attributes:
        success: (T,) whether the world's rule held at this step.
        ended: (T,) whether the world said it was over, success aside.
        reward: (T,) the world's own.
    """

    success: Bool
    ended: Bool
    reward: Float

    def steps(self, terms: Terms) -> int:
        """Return how many of its steps an episode has under a protocol."""
        over = self.ended | (self.success if terms.ends_at_success else False)
        limit = len(over) if terms.limit is None else terms.limit
        if terms.ends and over[:limit].any():
            return int(over.argmax()) + 1
        return limit


@dataclass(frozen=True, slots=True)
class Levels(Result):
    """What was measured, by world, as stored."""

    stored: Mapping[str, Mapping[str, Any]]
    expected: int

    def as_json(self) -> dict[str, Any]:
        """Return the records by id."""
        return dict(self.stored)

    def report(self) -> list[RenderableType]:
        """Return a table with a row for each world and protocol."""
        table = Table("id", "protocol", *POLICIES, header_style="bold", title="success")
        for env_id, record in self.stored.items():
            for protocol, found in record["protocols"].items():
                cells = (_cell(found.get(policy)) for policy in POLICIES)
                table.add_row(env_id.removeprefix("DenseGym/"), protocol, *cells)
        return [table]

    def bars(self) -> list[Bar]:
        """Return whether every world that was asked for has its levels."""
        count = len(self.stored)
        return [Bar(f"{count} of {self.expected} worlds measured", count == self.expected)]


def run(request: Request, monitor: Monitor) -> Levels:
    """Carry out the study ``chance``; worlds whose record is whole and current are kept.

    Raises:
        UnknownNameError: no such world or protocol.
        ResultsError: a file in the folder was not written by this study.
    """
    chosen = _chosen(request.envs)
    named = request.settings["protocols"]
    protocols = [find_protocol(name).name for name in named.split(",") if name]
    episodes = request.settings["episodes"]
    if episodes < 1:
        raise DenseGymError(f"--set episodes is at least 1; given {episodes}")
    request.out.mkdir(parents=True, exist_ok=True)
    stored: dict[str, Mapping[str, Any]] = {}
    for done, world in enumerate(chosen):
        monitor.progress(world.card.id, done, len(chosen))
        path = request.out / f"{world.card.family}.json"
        record = measured(world, _kept(path, world.card.id), protocols, episodes)
        stored[world.card.id] = record
        _keep(path, world.card.id, record)
    monitor.progress("chance levels", len(chosen), len(chosen))
    return Levels(stored, len(chosen))


def measured(
    world: World, kept: Mapping[str, Any], protocols: Sequence[str], episodes: int
) -> dict[str, Any]:
    """Return the record of a world with the protocols asked for, measured where they are missing.

    Args:
        world: a robot world.
        kept: an earlier record; what was measured otherwise than now is not taken over.
        protocols: their names; those that do not fit are passed over, none means all that fit.
        episodes: of every policy.
    """
    head = _provenance(world, episodes)
    current = all(kept.get(key) == value for key, value in head.items() if key != "cpu")
    have: dict[str, Any] = dict(kept["protocols"]) if kept and current else {}
    fitting = [terms_of(world, name) for name in (OWN, *world.protocols)]
    asked = [terms for terms in fitting if not protocols or terms.protocol in protocols]
    missing = [t for t in asked if not t.as_dict().items() <= have.get(t.protocol, {}).items()]
    if missing:
        found = {terms.protocol: terms.as_dict() for terms in missing}
        for policy, traces in _played(world, missing, episodes):
            for terms in missing:
                found[terms.protocol][policy] = summarised(traces, terms)
        have |= found
        head["cpu"] = cpu_model()
    else:
        head["cpu"] = kept.get("cpu", cpu_model())
    order = [terms.protocol for terms in fitting if terms.protocol in have]
    return {**head, "protocols": {name: have[name] for name in order}}


def summarised(traces: Sequence[Trace], terms: Terms) -> dict[str, float]:
    """Return the level of a policy under a protocol, from episodes at least as long."""
    steps = [trace.steps(terms) for trace in traces]
    pairs = list(zip(traces, steps, strict=True))
    latched = float(np.mean([trace.success[:stop].any() for trace, stop in pairs]))
    last = float(np.mean([trace.success[stop - 1] for trace, stop in pairs]))
    return {
        "episodes": len(traces),
        "success": last if terms.success == "last step" else latched,
        "latched": latched,
        "last": last,
        "return_env": round(float(np.mean([t.reward[:stop].sum() for t, stop in pairs])), 6),
        "length": float(np.mean(steps)),
    }


def _played(
    world: World, missing: Sequence[Terms], episodes: int
) -> Iterator[tuple[str, list[Trace]]]:
    """Yield every policy with its episodes, played to the longest of several limits."""
    env_id = world.card.id
    # Unwrapped, so that neither a time limit nor an end stops the episode.
    env = gym.make(bare_spec(env_id), **goes_on(env_id)).unwrapped
    behaviours = {"idle": idle(env.action_space), "random": random(env.action_space)}
    if expert := expert_behaviour(env_id):
        behaviours["expert"] = expert
    try:
        for policy, behaviour in behaviours.items():
            yield policy, [_episode(env, behaviour, SEED + i, missing) for i in range(episodes)]
    finally:
        env.close()


def _episode(
    env: gym.Env[Any, Any], behaviour: Behaviour, seed: int, wanted: Sequence[Terms]
) -> Trace:
    """Play until the episode is over under every protocol."""
    limit = max(terms.limit or 0 for terms in wanted)
    success, ended = np.zeros(limit, dtype=np.bool_), np.zeros(limit, dtype=np.bool_)
    reward = np.zeros(limit)
    act = behaviour(np.random.default_rng((seed, _ACTIONS)))
    obs, _ = env.reset(seed=seed)
    for step in range(limit):
        obs, reward[step], ended[step], _, info = env.step(act(obs))
        success[step] = info["success_now"] > 0.0
        if all(_over(terms, bool(ended[step]), bool(success[step])) for terms in wanted):
            break
    return Trace(success, ended, reward)


def _over(terms: Terms, ended: bool, success: bool) -> bool:
    return terms.ends and (ended or (success and bool(terms.ends_at_success)))


def _provenance(world: World, episodes: int) -> dict[str, Any]:
    upstream = _UPSTREAM.get(world.card.family, ("gymnasium-robotics",))
    installed = installed_versions()
    return {
        "densegym": densegym.__version__,
        "versions": {name: installed[name] for name in (*_DECIDING, *upstream)},
        "seed": SEED,
        "episodes": episodes,
    }


def _chosen(envs: Sequence[str]) -> list[World]:
    """Return the worlds that were asked for; all that have protocols of their own by default."""
    able = [world for world in worlds() if world.protocols and world.owner == "densegym"]
    if not envs:
        return able
    chosen = []
    for name in envs:
        world = known_world(full_id(name))
        if not world.protocols:
            raise unknown("world with protocols", world.card.id, [row.card.id for row in able])
        chosen.append(world)
    return chosen


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {"schema": SCHEMA, "worlds": {}}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ResultsError(f"{path} is no JSON ({error}). Remove it and run again.") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ResultsError(f"{path} holds no levels of schema {SCHEMA}. Choose another --out.")
    return content


def _kept(path: Path, env_id: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _read(path)["worlds"].get(env_id, {})
    return found


def _keep(path: Path, env_id: str, record: Mapping[str, Any]) -> None:
    content = _read(path)
    if content["worlds"].get(env_id) != record:
        content["worlds"][env_id] = record
        write_json(path, content)


def _cell(level: Mapping[str, float] | None) -> str:
    if level is None:
        return "-"
    return f"{level['latched']:.2f} (last step {level['last']:.2f})"
