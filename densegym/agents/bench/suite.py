"""Benchmark suites: a TOML list of runs, carried out side by side and resumed where they stopped.

Every run has a process of its own, so one that dies takes no other with it. Finished runs are
skipped, unfinished ones go on from their checkpoint.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
import time
import tomllib
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from densegym import assets
from densegym.agents.training import config as configuration
from densegym.agents.training.config import TrainConfig
from densegym.agents.training.processes import end_with_parent, one_thread, worker_context
from densegym.agents.training.results import load_run, write_json
from densegym.envs.protocols import OWN
from densegym.errors import DenseGymError, Interrupted, ResultsError, require, unknown
from densegym.reward_models.spec import RewardSpec
from densegym.values import check_values

_SUITE: Mapping[str, Any] = {
    "title": str,
    "seeds": list[int],
    "protocol": str,
    "run": list[dict[str, Any]],
}
_RUN: Mapping[str, Any] = {
    "env": str | list[str],
    "reward": Any,
    "algo": str,
    "steps": int,
    "protocol": str,
    "set": dict,
    "film": bool,
}
_PROGRESS = "progress.json"
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a suite.

    Attributes:
        config: what to train.
        folder: where the finished run lies.
        film: whether to film the trained policy (the first seed only).
    """

    config: TrainConfig
    folder: Path
    film: bool = False

    @property
    def work(self) -> Path:
        """The folder while the run lasts."""
        return self.folder.with_name(f"{self.folder.name}.partial")

    @property
    def title(self) -> str:
        """What people call it."""
        env = self.config.env.removeprefix("DenseGym/")
        reward = self.folder.parents[1].name
        return f"{env} {reward} seed {self.config.seed}, protocol {self.config.protocol}"


@dataclass(frozen=True, slots=True)
class JobState:
    """Where a job stands: waiting, running, finished, kept (finished before), failed, stopped."""

    job: Job
    state: str
    done: float = 0.0
    phase: str = ""
    success: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Suite:
    """A named list of runs.

    Attributes:
        name: of the suite and of its results folder.
        title: one line for people.
        seeds: of every run.
        runs: tables with env, reward (each one or a list: all pairs), algo, steps, protocol, set,
            film.
        protocol: of runs that name none.
    """

    name: str
    title: str
    seeds: tuple[int, ...]
    runs: tuple[Mapping[str, Any], ...]
    protocol: str = OWN


def load_suite(name: str) -> Suite:
    """Load a shipped suite by name, or any suite by the path of its TOML file.

    Args:
        name: of the suite, or a path.

    Raises:
        UnknownNameError: no such suite or key; names the closest.
        DenseGymError: the file is no TOML, a value has the wrong type, or a run lacks its env.
    """
    shipped = assets.names("suites", ".toml")
    path = Path(name) if name.endswith(".toml") else assets.path(f"suites/{name}.toml")
    if not path.is_file():
        raise unknown("suite", name, shipped, see="densegym bench --list")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise DenseGymError(f"{path} is no TOML: {error}") from error
    check_values(table, _SUITE, what=f"key of the suite {path.name}:")
    runs = tuple(table.get("run", []))
    if not runs:
        raise DenseGymError(f'{path} runs nothing; write [[run]] and below it env = "CartPole-v1"')
    for run in runs:
        check_values(run, _RUN, what=f"key of a [[run]] of {path.name}:")
        if "env" not in run:
            raise DenseGymError(f'{path}: a [[run]] needs env = "DenseGym/..."')
    seeds, protocol = tuple(table.get("seeds", [0])), table.get("protocol", OWN)
    return Suite(path.stem, table.get("title", ""), seeds, runs, protocol)


def jobs_of(
    suite: Suite,
    root: Path,
    *,
    seeds: Sequence[int] | None = None,
    steps: int | None = None,
    protocol: str | None = None,
    overrides: Sequence[str] = (),
) -> list[Job]:
    """Return the jobs of a suite, seed by seed so that every arm gets its first seed early."""
    require("stable_baselines3", extra="agents")
    from densegym.agents.training.folders import run_folder

    jobs = []
    for seed in seeds or suite.seeds:
        for run in suite.runs:
            film = bool(run.get("film")) and seed == (seeds or suite.seeds)[0]
            for env, reward in itertools.product(
                _many(run["env"]), _many(run.get("reward", "env"))
            ):
                under = protocol or run.get("protocol", suite.protocol)
                config = _config(run, env, reward, seed, steps, under, overrides)
                jobs.append(Job(config, run_folder(root, config), film))
    return jobs


def run_jobs(
    jobs: Sequence[Job],
    *,
    workers: int = 2,
    on_change: Callable[[Sequence[JobState]], None] = lambda states: None,
) -> list[JobState]:
    """Carry out jobs, ``workers`` at a time, and return how each ended.

    Ctrl-C stops the running jobs, which leave their checkpoints; call again to go on.

    Args:
        jobs: what to run.
        workers: processes at a time.
        on_change: told about every job twice a second.
    """
    states = {job.folder: _initial_state(job) for job in jobs}
    waiting = [job for job in jobs if states[job.folder].state == "waiting"]
    running: dict[Path, tuple[Job, BaseProcess]] = {}
    context = worker_context("densegym.agents.training.run")
    stopped = False
    while waiting or running:
        try:
            while waiting and len(running) < workers and not stopped:
                job = waiting.pop(0)
                running[job.folder] = (job, _start(context, job))
            for folder, (job, process) in list(running.items()):
                states[folder] = _state_of(job, process)
                if not process.is_alive():
                    process.join()
                    del running[folder]
            on_change(list(states.values()))
            time.sleep(_POLL_S if running else 0.0)
        except KeyboardInterrupt:
            stopped, waiting = True, []
            for _, process in running.values():
                process.terminate()
    return [states[job.folder] for job in jobs]


def _initial_state(job: Job) -> JobState:
    if not job.folder.exists():
        return JobState(job, "waiting")
    run = load_run(job.folder)
    if run.meta.get("fingerprint") != job.config.fingerprint():
        raise ResultsError(
            f"{job.folder} holds a run with other settings. Choose another --out, or remove it."
        )
    return JobState(job, "kept", 1.0, "finished", run.success_rate)


def _start(context: Any, job: Job) -> BaseProcess:
    process: BaseProcess = context.Process(
        target=_carry_out, args=(job.config.as_dict(), str(job.folder), job.film), daemon=False
    )
    with one_thread():
        process.start()
    return process


def _carry_out(config: Mapping[str, Any], folder: str, film: bool) -> None:
    """Train one job in this process; progress and errors go to files in its folder."""
    end_with_parent()
    job = Job(configuration.from_dict(config), Path(folder), film)
    job.work.mkdir(parents=True, exist_ok=True)
    with (
        (job.work / "run.log").open("a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        try:
            _train(job)
        except (Interrupted, KeyboardInterrupt) as stop:
            print(stop or "stopped")
            sys.exit(130)
        except BaseException:  # whatever it was, the log holds it and the parent is told
            traceback.print_exc()
            sys.exit(1)


def _train(job: Job) -> None:
    require("stable_baselines3", extra="agents")
    from densegym.agents.films.film import film_learner
    from densegym.agents.training.run import RunStatus, train

    def tell(progress: RunStatus) -> None:
        write_json(job.work / _PROGRESS, asdict(progress))

    after = {"filming": film_learner} if job.film else {}
    train(job.config, job.folder, resume=True, after=after, on_progress=tell)


def _state_of(job: Job, process: BaseProcess) -> JobState:
    if not process.is_alive() and job.folder.exists():
        run = load_run(job.folder)
        return JobState(job, "finished", 1.0, "finished", run.success_rate)
    done, phase, success = _read_progress(job.work / _PROGRESS)
    if process.is_alive():
        return JobState(job, "running", done, phase, success)
    stopped = process.exitcode in (130, -15, -2)
    why = "" if stopped else _last_line(job.work / "run.log", process.exitcode)
    return JobState(job, "stopped" if stopped else "failed", done, phase, success, why)


def _read_progress(path: Path) -> tuple[float, str, float | None]:
    if not path.is_file():
        return 0.0, "starting", None
    told = json.loads(path.read_text(encoding="utf-8"))
    return told["step"] / max(told["steps"], 1), told["phase"], told["success"]


def _last_line(path: Path, code: int | None) -> str:
    lines = path.read_text(encoding="utf-8").strip().splitlines() if path.is_file() else []
    ending = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return f"{ending}; {lines[-1] if lines else 'no output'} (see {path})"


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _config(
    run: Mapping[str, Any],
    env: str,
    reward: RewardSpec,
    seed: int,
    steps: int | None,
    protocol: str,
    overrides: Sequence[str],
) -> TrainConfig:
    settings = [
        f"{key}={configuration.toml_value(value)}" for key, value in run.get("set", {}).items()
    ]
    return configuration.resolve(
        env,
        reward=reward,
        algo=run.get("algo", "ppo"),
        seed=seed,
        steps=steps or run.get("steps"),
        protocol=protocol,
        overrides=[*settings, *overrides],
    )


def shipped() -> list[str]:
    """Return the names of the shipped suites."""
    return assets.names("suites", ".toml")
