"""Trains one candidate reward program through one rung: a job in, an outcome out.

Runs in a worker process. A job goes on from the checkpoint of the rung before; its outcome is
written beside it, so a job that was finished once is never carried out again.
"""

from __future__ import annotations

import contextlib
import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.logger import configure

from densegym.agents.authoring.watch import Beat, Beating
from densegym.agents.collecting.bank import play
from densegym.agents.training import checkpoint
from densegym.agents.training.config import TrainConfig, resolve, toml_value
from densegym.agents.training.cuts import begin_episodes, end_episodes
from densegym.agents.training.learner import Learner, build_learner, seed_everything
from densegym.agents.training.results import write_json
from densegym.envs.robot.fitness import evaluation_kwargs
from densegym.envs.tasks import task_card
from densegym.errors import DenseGymError
from densegym.reward_models.authored.programs.runner import open_runner
from densegym.reward_models.authored.screening.bank import Bank, Trajectory
from densegym.reward_models.authored.screening.scoring import score_bank
from densegym.reward_models.authored.search.evaluation import Job, Outcome
from densegym.reward_models.features import feature_names
from densegym.reward_models.sandbox.allowlist import inspect_source
from densegym.reward_models.sandbox.frames import one_line
from densegym.reward_models.sandbox.status import Status

PROGRAM = "program.py"
POINTS = 10  # term series are recorded at tenths of a full run
POINT_EPISODES = 4  # enough for the mean of a term; F takes the job's own number of episodes
MOST_ABSTENTIONS = 1e-3  # of training steps without a finite reward
_POINT_SEED = 1_500_009


def carry_out(job: Mapping[str, Any], *, beat: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Train and evaluate; plain data in and out, so that any engine can carry it.

    Args:
        job: ``evaluation.Job.as_dict()``.
        beat: told that the job goes on, at every step.

    Returns:
        ``evaluation.Outcome.as_dict()``; failures of the program are told in its ``feedback``.

    Raises:
        OSError: the disk is full, or the like.
        ImportError: something is not installed.
    """
    return _carry_out(read_job(job), beat).as_dict()


def read_job(job: Mapping[str, Any]) -> Job:
    """Return a job from its plain values."""
    return Job(**{**job, "settings": tuple(job["settings"])})


def outcome_path(job: Job) -> Path:
    """Return where a job's outcome is kept."""
    return Path(job.folder) / f"outcome-{job.until}.json"


def finished(job: Job) -> Outcome | None:
    """Return the outcome of a job that was carried out before, or None."""
    path = outcome_path(job)
    return Outcome(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def _carry_out(job: Job, beat: Callable[[], None]) -> Outcome:
    done = finished(job)
    if done is not None:
        return done
    folder = Path(job.folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PROGRAM).write_text(job.source, encoding="utf-8")
    cpu, wall = time.process_time(), time.perf_counter()
    try:
        # A path inside the folder, so that checkpoints of a search that was moved still fit.
        with contextlib.chdir(folder), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*primarily intended to run on the CPU.*")
            outcome = _train(job, folder, beat)
    except (OSError, ImportError):
        raise
    except Exception as error:  # whatever stops a candidate's training is told of that candidate
        outcome = failed(error)
    clocks = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    write_json(outcome_path(job), {**outcome, "clocks": clocks})
    return Outcome(**outcome, clocks=clocks)


def failed(error: Exception) -> dict[str, Any]:
    """Return the status and feedback of a job that an exception stopped."""
    if isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError):
        told = f"in training it asked for more memory than its process may have: {error}"
        return {"status": str(Status.OOM), "feedback": one_line(told)}
    told = str(error) if isinstance(error, DenseGymError) else f"{type(error).__name__}: {error}"
    return {"status": str(Status.RUNTIME_ERROR), "feedback": one_line(told)}


def _train(job: Job, folder: Path, beat: Callable[[], None]) -> dict[str, Any]:
    reward = {"model": "authored/file", "path": PROGRAM}
    # Training episodes end where those behind F do, which is also what authors are told.
    ends = [f"env.{key}={toml_value(value)}" for key, value in evaluation_kwargs(job.task).items()]
    config = resolve(
        job.task, reward=reward, seed=job.seed, steps=job.steps, overrides=[*ends, *job.settings]
    )
    seed_everything(job.seed)
    learner = build_learner(config)
    try:
        return _learn(job, config, learner, folder, beat)
    finally:
        learner.close()


def _learn(
    job: Job, config: TrainConfig, learner: Learner, folder: Path, beat: Callable[[], None]
) -> dict[str, Any]:
    model = learner.model
    model.set_logger(configure(None, []))
    saved, log = folder / "checkpoint.pt", folder / "series.json"
    series: list[dict[str, Any]] = []
    if saved.is_file():
        checkpoint.restore(checkpoint.load(saved, config), learner)
        begin_episodes(learner, job.seed)
        series = json.loads(log.read_text(encoding="utf-8"))["points"]
    for target in _targets(job, model.num_timesteps, bool(series)):
        if target > model.num_timesteps:
            model.learn(
                target - model.num_timesteps,
                callback=Beat(beat),
                reset_num_timesteps=model.num_timesteps == 0,
            )
        series.append(_point(job, config, learner, beat))
        # Books first: a checkpoint without its series would leave a hole in it.
        write_json(log, {"points": series})
        end_episodes(learner)
        checkpoint.save(saved, learner, config)
        begin_episodes(learner, job.seed)
    usage = learner.engine.usage
    abstention = usage.abstentions / max(usage.steps, 1)
    if abstention > MOST_ABSTENTIONS:
        told = (
            f"in training {abstention:.1%} of the steps got no finite reward; guard divisions "
            "and logarithms"
        )
        return {"status": str(Status.UNSTABLE), "feedback": told}
    seen = _play(job, config, learner, beat, job.eval_episodes, job.eval_seed)
    fitness = [item.fitness for item in seen]
    result = {
        "F_mean": float(np.mean(fitness)),
        "F_std": float(np.std(fitness)),
        "success": float(np.mean([item.success for item in seen])),
        "length": float(np.mean([len(item) for item in seen])),
        "episodes": len(seen),
        "training_success": _training_success(model),
        "env_steps": int(model.num_timesteps),
    }
    components = {term: _component(series, term) for term in series[-1]}
    return {"result": result, "components": components}


def _targets(job: Job, done: int, begun: bool) -> list[int]:
    """Return the step counts at which this job still records the terms; 0 is the untrained one."""
    tenths = [round(job.steps * k / POINTS) for k in range(POINTS + 1)]
    ahead = [step for step in tenths if done < step < job.until or (step == 0 and not begun)]
    return [*ahead, job.until] if done < job.until else ahead


def _point(
    job: Job, config: TrainConfig, learner: Learner, beat: Callable[[], None]
) -> dict[str, Any]:
    """Return the terms of a few evaluation episodes: mean per step, sum per episode."""
    seen = _play(job, config, learner, beat, POINT_EPISODES, _POINT_SEED)
    inspection = inspect_source(job.source, known=feature_names(task_card(job.task)))
    bank = Bank(
        task=job.task, gamma=float(getattr(learner.model, "gamma", 0.99)), trajectories=seen
    )
    with open_runner(inspection, isolated=False) as runner:
        scored = score_bank(runner, bank)
    point = {
        term: {
            "mean": float(np.mean(np.concatenate([item.parts[term] for item in scored]))),
            "sum": float(np.mean([item.parts[term].sum() for item in scored])),
        }
        for term in scored[0].parts
    }
    fitness, length = [item.fitness for item in seen], [len(item) for item in seen]
    point["fitness"] = {"mean": float(np.mean(fitness)), "sum": float(np.mean(fitness))}
    point["episode_length"] = {"mean": float(np.mean(length)), "sum": float(np.mean(length))}
    return point


def _component(points: Sequence[Mapping[str, Any]], term: str) -> dict[str, Any]:
    """Return a term's course over training, as ``evaluation.Outcome.components`` describes it."""
    series = [point[term]["mean"] for point in points]
    return {
        "series": series,
        "sums": [point[term]["sum"] for point in points],
        "max": max(series),
        "mean": float(np.mean(series)),
        "min": min(series),
    }


def _play(
    job: Job,
    config: TrainConfig,
    learner: Learner,
    beat: Callable[[], None],
    episodes: int,
    seed: int,
) -> tuple[Trajectory, ...]:
    # The policy has seen the world as the preset makes it, such as with other observations.
    return tuple(
        play(
            Beating(learner.policy(), beat),
            job.task,
            episodes=episodes,
            seed=seed,
            source=f"policy:{job.candidate}",
            env_kwargs={
                **config.env_kwargs,
                **config.eval_kwargs,
                **evaluation_kwargs(job.task),
            },
        )
    )


def _training_success(model: Any) -> float:
    """Return the share of successful ones among SB3's last hundred training episodes."""
    buffer = model.ep_success_buffer
    return float(np.mean(buffer)) if buffer else 0.0
