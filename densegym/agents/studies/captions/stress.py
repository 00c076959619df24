"""Measures the annotation service against a server that fails and is killed.

Counts what matters: captions labelled, labels kept twice, the longest queue in memory, and by how
much the process grew. ``answered_twice`` counts answers that the server sent again because a kill
cut the first one off on its way; a label is kept once all the same.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from densegym.agents.studies.study import Bar, Figures, Monitor, Request
from densegym.errors import DenseGymError, require
from densegym.reward_models.intrinsic.annotation.labelling import build_service, llm_config
from densegym.reward_models.intrinsic.annotation.service import AnnotationService

if TYPE_CHECKING:
    from rich.console import RenderableType

_DOWN_S = 2.0  # how long a killed server stays away


@dataclass(frozen=True, slots=True)
class StressFigures(Figures):
    """Counts of the annotation service; nothing may be lost or labelled twice."""

    def bars(self) -> list[Bar]:
        """Return the bars: nothing is lost, nothing labelled twice."""
        counts = {name: self.figures[name] for name in ("lost", "labelled_twice")}
        return [
            Bar(f"{name.replace('_', ' ')}: {count:g} == 0", count == 0)
            for name, count in counts.items()
        ]

    def report(self) -> list[RenderableType]:
        """Return a line for each count."""
        return [f"{name:16} {value:>12g}" for name, value in self.figures.items()]


def run(request: Request, monitor: Monitor) -> StressFigures:
    """Carry out the study ``caption-stress``; see ``stress`` for its settings and errors."""
    captions: int = request.settings["captions"]

    def tell(labelled: int) -> None:
        monitor.progress("labelling", labelled, captions)

    counts = stress(
        request.out,
        captions=captions,
        failure=request.settings["failure"],
        kills=request.settings["kills"],
        workers=request.workers,
        on_progress=tell,
    )
    return StressFigures(counts)


def stress(
    folder: Path,
    *,
    captions: int = 100_000,
    failure: float = 0.2,
    kills: int = 2,
    workers: int = 4,
    batch: int = 50,
    capacity: int = 10_000,
    timeout_s: float = 900.0,
    on_progress: Callable[[int], None] = lambda labelled: None,
) -> dict[str, float]:
    """Label made-up captions and return the counts.

    Args:
        folder: empty or new; gets the table, the queue and the server's log.
        captions: distinct captions; every tenth is said twice more.
        failure: share of the server's calls that fail.
        kills: how often the server is killed meanwhile, spread over the work.
        workers: prompts at a time.
        batch: captions a prompt.
        capacity: most captions waiting in memory.
        timeout_s: give up after so long.
        on_progress: told how many are labelled.

    Raises:
        DenseGymError: the folder holds an earlier measurement, or the service halted.
    """
    if (folder / "labels.jsonl").exists():
        raise DenseGymError(f"{folder} holds an earlier measurement; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    server = _Server(folder / "answered.txt", failure)
    service = build_service(
        llm_config({"model": "stress", "base_url": server.url, "n_parallel": workers}),
        folder / "labels.jsonl",
        batch=batch,
        capacity=capacity,
    )
    service.pauses = 0.02, 0.5
    before, started = _rss(), time.monotonic()
    try:
        service.start()
        for n in range(captions):
            service.ask(f"caption number {n}")
            if n % 10 == 0:
                service.ask(f"caption number {n}")
        largest = _drive(service, server, captions, kills, started + timeout_s, on_progress)
        seconds = time.monotonic() - started
    finally:
        service.close()
        server.kill()
    if service.halted:
        raise DenseGymError(f"the service halted: {service.halted}")
    return _count(folder, service, server, captions, seconds, largest, _rss() - before)


def _drive(
    service: AnnotationService,
    server: _Server,
    captions: int,
    kills: int,
    deadline: float,
    on_progress: Callable[[int], None],
) -> float:
    """Kill and revive the server while labels arrive; return the longest queue in memory."""
    largest = 0.0
    while not service.drain(0.2) and not service.halted and time.monotonic() < deadline:
        labelled = len(service.table)
        largest = max(largest, service.metrics()["in_memory"])
        on_progress(labelled)
        if server.kills < kills and labelled > captions * (server.kills + 1) / (kills + 1):
            server.kill()
            time.sleep(_DOWN_S)
            server.start()
    return largest


def _count(
    folder: Path,
    service: AnnotationService,
    server: _Server,
    captions: int,
    seconds: float,
    largest: float,
    growth: int,
) -> dict[str, float]:
    rows = (folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()[1:]
    labelled = Counter(json.loads(row)["caption"] for row in rows)
    answered = Counter((folder / "answered.txt").read_text(encoding="utf-8").splitlines())
    counted = service.metrics()
    return {
        "captions": captions,
        "labelled": len(labelled),
        "lost": captions - len(labelled),
        "labelled_twice": sum(n > 1 for n in labelled.values()),
        "answered_twice": sum(n > 1 for n in answered.values()),
        "calls": counted["model_calls"],
        "failed_calls": counted["failures"],
        "server_kills": server.kills - 1,
        "most_in_memory": largest,
        "grown_mib": round(growth / 2**20, 1),
        "seconds": round(seconds, 1),
        "captions_per_s": round(captions / seconds, 1),
    }


class _Server:
    """The failing server in a process of its own, always at the same port."""

    def __init__(self, log: Path, failure: float) -> None:
        self._log, self._failure = log, failure
        self.kills = 0
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/v1"
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = ["--port", str(self._port), "--failure", str(self._failure)]
        options += ["--log", str(self._log), "--seed", str(self.kills)]
        command = [sys.executable, "-m", "densegym.agents.studies.captions.server", *options]
        self._process: subprocess.Popen[Any] = subprocess.Popen(command)
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            time.sleep(0.1)
        raise DenseGymError("the local server did not start")

    def kill(self) -> None:
        """Kill it without notice."""
        self._process.kill()
        self._process.wait()
        self.kills += 1


def _rss() -> int:
    psutil = require("psutil", extra="agents")
    return int(psutil.Process().memory_info().rss)
