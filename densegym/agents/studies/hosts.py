"""Whether every id plays in every host, and is paid there what it is paid alone."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
from rich.table import Table

from densegym.agents.studies.hosting import Script, Unsuited, hosts, start_methods
from densegym.agents.studies.study import Bar, Monitor, Request, Result
from densegym.agents.training.processes import worker_context, worker_pool
from densegym.agents.training.results import write_json
from densegym.envs import tasks
from densegym.errors import unknown

if TYPE_CHECKING:
    from rich.console import RenderableType

PLAYS = "plays"
_HOSTING = "densegym.agents.studies.hosting"


@dataclass(frozen=True, slots=True)
class Walked:
    """One id through every host.

    Attributes:
        env_id: of the world.
        steps: that were played at most.
        told: by host ``"plays"``, ``"unsuited: ..."`` or ``"failed: ..."``.
    """

    env_id: str
    steps: int
    told: Mapping[str, str]

    def failures(self) -> dict[str, str]:
        """Return by host what went wrong."""
        return {host: said for host, said in self.told.items() if said.startswith("failed")}


@dataclass(frozen=True, slots=True)
class Walk(Result):
    """All ids through all hosts.

    Attributes:
        rows: an entry per id.
        methods: how worker processes were started.
    """

    rows: Sequence[Walked]
    methods: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """Return counts, failures by id and host, and which hosts are not made for which ids."""
        unsuited = {
            f"{row.env_id} in {host}": said
            for row in self.rows
            for host, said in row.told.items()
            if said.startswith("unsuited")
        }
        return {
            "ids": len(self.rows),
            "hosts": list(self.rows[0].told),
            "start_methods": list(self.methods),
            "checks": sum(len(row.told) for row in self.rows),
            "failures": {row.env_id: row.failures() for row in self.rows if row.failures()},
            "unsuited": unsuited,
        }

    def report(self) -> list[RenderableType]:
        """Return a table by host, and a line for each failure."""
        table = Table(title=f"{len(self.rows)} ids in every host")
        for name in ("host", "play", "unsuited", "failed"):
            table.add_column(name, justify="left" if name == "host" else "right")
        for host in self.rows[0].told:
            said = [row.told[host].partition(":")[0] for row in self.rows]
            counts = [str(said.count(kind)) for kind in (PLAYS, "unsuited", "failed")]
            table.add_row(host, *counts)
        failures = [(row.env_id, item) for row in self.rows for item in row.failures().items()]
        return [table, *(f"{env_id} in {host} {said}" for env_id, (host, said) in failures)]

    def bars(self) -> list[Bar]:
        """Return the one bar: nothing fails."""
        failed = sum(len(row.failures()) for row in self.rows)
        checks = sum(len(row.told) for row in self.rows)
        return [Bar(f"failures: {failed} of {checks} == 0", failed == 0)]


def run(request: Request, monitor: Monitor) -> Walk:
    """Carry out the study ``hosts``; run again, it goes on in the folder ``out``.

    Raises:
        UnknownNameError: no such id or start method; names the closest.
    """
    ids = [_full(env_id) for env_id in request.envs] or [w.card.id for w in tasks.worlds()]
    methods = _methods(request.settings["start_methods"])
    count = monitor.counter("ids", len(ids))
    rows = []
    walk = partial(_walk_once, steps=request.steps, methods=methods, folder=request.out)
    for row in _carried_out(walk, ids, request.workers):
        rows.append(row)
        for host, said in row.failures().items():
            monitor.line(f"{row.env_id} in {host} {said}")
        count()
    return Walk(rows, methods)


def walk_hosts(env_id: str, *, steps: int, methods: Sequence[str]) -> Walked:
    """Play one id in every host.

    Args:
        env_id: of the world.
        steps: at most so many in every host.
        methods: how worker processes are started.
    """
    script, told = Script(env_id, steps), {}
    worker_context(_HOSTING)  # forkservers import it once
    with _quietly():
        for name, host in hosts(methods).items():
            try:
                host(script)
                told[name] = PLAYS
            except Unsuited as error:
                told[name] = f"unsuited: {error}"
            # Whatever a host raises is the finding.
            except Exception as error:
                told[name] = f"failed: {type(error).__name__}: {error}"
    return Walked(env_id, steps, told)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep what checkers advise on spaces to themselves; a fault raises."""
    level = gym.logger.min_level
    gym.logger.min_level = gym.logger.ERROR
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        gym.logger.min_level = level


def _walk_once(env_id: str, *, steps: int, methods: Sequence[str], folder: Path) -> Walked:
    """Return an id's kept row, or walk it and keep it where nothing failed."""
    name = env_id.replace("/", "-").replace(":", "-")
    kept = folder / f"{name}-{steps}-{'-'.join(methods)}.json"
    if kept.is_file():
        row = Walked(**json.loads(kept.read_text(encoding="utf-8")))
        if row.told.keys() == hosts(methods).keys():
            return dataclasses.replace(row, told={name: row.told[name] for name in hosts(methods)})
    row = walk_hosts(env_id, steps=steps, methods=methods)
    if not row.failures():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(kept, asdict(row))
    return row


def _carried_out(walk: Any, ids: Sequence[str], workers: int) -> Iterator[Walked]:
    if workers < 2:
        yield from map(walk, ids)
        return
    with worker_pool(workers, preload=_HOSTING) as pool:
        yield from pool.map(walk, ids)


def _full(env_id: str) -> str:
    known = [world.card.id for world in tasks.worlds()]
    for name in (env_id, f"DenseGym/{env_id}-v0"):
        if name in known:
            return name
    raise unknown("environment", env_id, known, see="densegym envs")


def _methods(text: str) -> tuple[str, ...]:
    known = start_methods()
    methods = known if text == "all" else tuple(text.split(","))
    for method in methods:
        if method not in known:
            raise unknown("start method", method, ("all", *known))
    return methods
