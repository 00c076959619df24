"""One training run in one folder: learn, evaluate on the world's outcome, checkpoint, resume.

The folder is called ``<name>.partial`` while the run lasts and is renamed at the end, so a folder
without that suffix is always whole. A checkpoint ends the open episodes of all lanes, in every run,
so that one that is stopped or killed and goes on from there equals one that never was, bit for bit.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from densegym.agents.tracking.trackers import (
    DEFAULT,
    Experiment,
    check_trackers,
    draw,
    open_logger,
)
from densegym.agents.training import checkpoint
from densegym.agents.training.callbacks import UserCallback
from densegym.agents.training.config import TrainConfig, to_toml
from densegym.agents.training.cuts import begin_episodes, end_episodes
from densegym.agents.training.evaluate import Evaluation
from densegym.agents.training.folders import (
    SAVED,
    check_extends,
    copy_finished,
    put_finished,
)
from densegym.agents.training.guards import LOCK, full_disk_told, locked, stoppable
from densegym.agents.training.learner import Learner, build_learner, seed_everything
from densegym.agents.training.record import record
from densegym.agents.training.results import (
    append_jsonl,
    false_progress,
    whole_file,
    write_json,
)
from densegym.envs.custom.register import keep_card
from densegym.envs.tasks import task_card
from densegym.errors import Interrupted, ResultsError
from densegym.reward_models.spec import label

EVAL_SEED = 1_000_003  # evaluation placements: the same for every run, never seen in training
_ALARM = 0.5  # mean largest potential of failed episodes that is warned of

AfterTraining: TypeAlias = Callable[[Learner, TrainConfig, Path], None]
"""Is given a trained learner, its configuration and its run's folder."""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Where a run stands.

    Attributes:
        step: environment steps done.
        steps: environment steps in all.
        phase: ``"training"``, ``"evaluating"``, a name in ``after``, or ``"finished"``.
        success: share of successful episodes in the last evaluation, or None before the first.
        cpu_s: CPU seconds so far.
    """

    step: int
    steps: int
    phase: str = "training"
    success: float | None = None
    cpu_s: float = 0.0


def train(
    config: TrainConfig,
    folder: Path,
    *,
    resume: bool = False,
    after: Mapping[str, AfterTraining] = MappingProxyType({}),
    callbacks: Sequence[BaseCallback] = (),
    log: Sequence[str] = DEFAULT,
    on_progress: Callable[[RunStatus], None] = lambda progress: None,
) -> Path:
    """Carry out a run and return its finished folder.

    Args:
        config: the resolved configuration.
        folder: where the finished run will lie; must not exist, unless it is resumed with more
            steps than it took, which extends it.
        resume: go on from the checkpoint in ``<folder>.partial``; without one, start anew.
        after: what is done with the trained learner before its final evaluation, by the name of the
            phase that people are told; given the learner, the configuration and the run's folder.
        callbacks: what else SB3 calls while the learner learns.
        log: where curves are written; see ``tracking.trackers.TRACKERS``.
        on_progress: told about every evaluation and about a hundred points in between.

    Raises:
        ResultsError: the folder exists, another process works in it, the checkpoint does not
            belong to this run, or there is no room left for its files.
        Interrupted: SIGINT or SIGTERM came; the last checkpoint is kept.
        DenseGymError: no such tracker, or its library is missing.
    """
    check_trackers(log)
    work = folder.with_name(f"{folder.name}.partial")
    with full_disk_told(work), locked(work):
        if not resume and any(path.name != LOCK for path in work.iterdir()):
            raise ResultsError(
                f"{work} holds an unfinished run. Add --resume to go on, or remove the folder."
            )
        if folder.exists() and not (work / SAVED).is_file():
            check_extends(folder, config, resume)
            copy_finished(folder, work)
        _carry_out(config, work, after, callbacks, log, on_progress)
        put_finished(work, folder)
    return folder


def _carry_out(
    config: TrainConfig,
    work: Path,
    after: Mapping[str, AfterTraining],
    callbacks: Sequence[BaseCallback],
    log: Sequence[str],
    on_progress: Callable[[RunStatus], None],
) -> None:
    seed_everything(config.seed)
    with warnings.catch_warnings():
        # On-policy SB3 advises against recurrent policies' CPU use; we ask for the CPU on purpose.
        warnings.filterwarnings("ignore", message=".*primarily intended to run on the CPU.*")
        learner = build_learner(config)
    try:
        run = _Run(config, work, learner, on_progress)
        try:
            run.learn(callbacks, log)
            run.conclude(after)
        finally:
            run.stop_logging()
    finally:
        learner.close()


class _Run:
    """The state of one run between its phases."""

    def __init__(
        self,
        config: TrainConfig,
        work: Path,
        learner: Learner,
        on_progress: Callable[[RunStatus], None],
    ) -> None:
        self.config, self.work, self.learner = config, work, learner
        self.started = datetime.now(UTC)
        self._tell = on_progress
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        self._earlier = {"wall_s": 0.0, "cpu_s": 0.0}
        self._success: float | None = None
        self._warned = False
        self._budgets: list[int] = []  # of the runs that this one extends
        self._saved_at: int | None = None
        self._logger: Logger | None = None
        self._callbacks: list[str] = []

    def learn(self, callbacks: Sequence[BaseCallback], log: Sequence[str]) -> None:
        """Learn the remaining steps, from the checkpoint on where there is one."""
        model: Any = self.learner.model
        content = self._take_up()
        (self.work / "config.toml").write_text(to_toml(self.config.as_dict()), encoding="utf-8")
        keep_card(self.config.env, self.work)
        self._callbacks = [one.target for one in callbacks if isinstance(one, UserCallback)]
        self._logger = self._open_logger(log)
        model.set_logger(self._logger)
        remaining = self.config.run.steps - model.num_timesteps
        if remaining <= 0:
            return
        generators = None
        if content is not None:
            generators = content["generators"]
            model._last_obs = ()  # so that SB3 resets nothing before the schedule does
        schedule = _Schedule(self, generators)
        every = [schedule, *self.learner.callbacks, *callbacks]
        try:
            with stoppable():
                model.learn(remaining, callback=every, reset_num_timesteps=content is None)
                self.checkpoint()
        except KeyboardInterrupt:
            raise Interrupted(self._stopped()) from None

    def conclude(self, after: Mapping[str, AfterTraining]) -> None:
        """Do what comes after training, evaluate, and write the results."""
        for phase, act in after.items():
            self.report(phase)
            act(self.learner, self.config, self.work)
        self._finish()

    def stop_logging(self) -> None:
        """Close what curves are written to."""
        if self._logger is not None:
            self._logger.close()

    def _open_logger(self, log: Sequence[str]) -> Logger:
        config = self.config
        reward = label(config.reward, task=task_card(config.env))
        name = f"{config.env} {reward} {config.algo} seed {config.seed}"
        told = config.as_dict()
        return open_logger(
            log, Experiment(name=name, config=told, folder=self.work, resumed_at=self._saved_at)
        )

    def begin(self, generators: Mapping[str, Any] | None = None) -> None:
        """Begin new episodes at a checkpoint, which may just have been restored."""
        begin_episodes(self.learner, self.config.seed, generators)

    def _stopped(self) -> str:
        step, steps = self.learner.model.num_timesteps, self.config.run.steps
        if self._saved_at is None:
            every = self.config.run.checkpoint_every
            kept = f"checkpoints come every {every} steps, so --resume starts it anew"
        else:
            kept = f"add --resume to go on from the checkpoint of step {self._saved_at}"
        return f"stopped at step {step} of {steps}; {kept}. The run lies in {self.work}."

    def evaluate(self) -> None:
        """Evaluate the current policy and append a line to ``eval.jsonl``."""
        run = self.config.run
        self.report("evaluating")
        seen = self.learner.evaluate(episodes=run.eval_episodes, seed=EVAL_SEED)
        self._success = seen.success_rate
        line = {"step": int(self.learner.model.num_timesteps), **self._clocks(), **seen.as_dict()}
        if metrics := self.learner.engine.metrics():
            line["reward_metrics"] = metrics
        if (seen_in_failures := false_progress(metrics)) is not None:
            self._watch(seen_in_failures)
        append_jsonl(self.work / "eval.jsonl", line)
        self._draw("eval", seen)
        self.report()

    def _draw(self, kind: str, seen: Evaluation) -> None:
        drawn = {f"{kind}/return_env": float(seen.return_env.mean())}
        if seen.success_rate is not None:
            drawn[f"{kind}/success"] = seen.success_rate
        if self._logger is not None:
            draw(self._logger, drawn, int(self.learner.model.num_timesteps))

    def _watch(self, seen: float) -> None:
        """Warn where a progress reward sees success in failures; again when it has fallen since."""
        if seen > _ALARM and not self._warned:
            warnings.warn(
                f"false progress: {self.learner.engine.reward.name} rises to {seen:.2f} in failed "
                "episodes, on average. It may take for success what it never saw fail; judge by "
                "the success of the evaluations.",
                RuntimeWarning,
                stacklevel=2,
            )
        self._warned = seen > _ALARM

    def checkpoint(self) -> None:
        """End all open episodes and write a checkpoint."""
        end_episodes(self.learner)
        books = {"clocks": self._clocks(), "budgets": self._budgets}
        checkpoint.save(self.work / SAVED, self.learner, self.config, books)
        self._saved_at = int(self.learner.model.num_timesteps)

    def report(self, phase: str = "training") -> None:
        """Tell whoever watches where the run stands."""
        step, steps = int(self.learner.model.num_timesteps), self.config.run.steps
        cpu = self._clocks()["cpu_s"]
        self._tell(RunStatus(min(step, steps), steps, phase, self._success, cpu))

    def _clocks(self) -> dict[str, float]:
        return {
            "wall_s": self._earlier["wall_s"] + time.perf_counter() - self._wall,
            "cpu_s": self._earlier["cpu_s"] + time.process_time() - self._cpu,
        }

    def _take_up(self) -> dict[str, Any] | None:
        """Go on from the checkpoint of an earlier call, and return it; None where there is none."""
        log, saved = self.work / "eval.jsonl", self.work / SAVED
        if not saved.is_file():  # a run killed before its first checkpoint starts anew
            log.unlink(missing_ok=True)
            return None
        content = checkpoint.load(saved, self.config)
        checkpoint.restore(content, self.learner)
        self._earlier, self._budgets = content["books"]["clocks"], content["books"]["budgets"]
        if self.config.run.steps > content["steps"]:
            self._budgets.append(content["steps"])
        self._saved_at = content["step"]
        if log.is_file():
            lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n")]
            kept = [line for line in whole if json.loads(line)["step"] <= content["step"]]
            with whole_file(log) as file:
                file.write("".join(kept).encode())
        return content

    def _finish(self) -> None:
        run = self.config.run
        self.report("evaluating")
        seed = EVAL_SEED + run.eval_episodes
        final = self.learner.evaluate(episodes=run.final_episodes, seed=seed)
        drawn = self.learner.evaluate(episodes=run.final_episodes, seed=seed, deterministic=False)
        self.learner.model.save(self.work / "model.zip")
        if self.learner.normalizer is not None:
            self.learner.normalizer.save(str(self.work / "vecnormalize.pkl"))
        write_json(self.work / "meta.json", self._record())
        outcome = {"success_stochastic": drawn.told_success, **final.as_dict()}
        if final.measures:
            told = drawn.as_dict()
            more = {"return/env": told["return_env"], **told["measures"]}
            outcome["measures"] |= {f"{key} drawn": values for key, values in more.items()}
        write_json(
            self.work / "final.json", {"schema": 1, "episodes": run.final_episodes, **outcome}
        )
        self._success = final.success_rate
        self._draw("final", final)
        self.report("finished")

    def _record(self) -> dict[str, Any]:
        times = {"started": self.started.isoformat(timespec="seconds"), **self._clocks()}
        return record(
            self.config,
            self.learner,
            callbacks=self._callbacks,
            extended_from=self._budgets,
            times=times,
        )


class _Schedule(BaseCallback):
    """Evaluates, checkpoints, logs reward terms and reports when their step has come."""

    def __init__(self, run: _Run, generators: Mapping[str, Any] | None) -> None:
        super().__init__()
        self._run, self._restored = run, generators
        settings = run.config.run
        self._every = {
            "evaluate": settings.eval_every,
            "checkpoint": settings.checkpoint_every,
            "report": max(settings.steps // 100, 1),
        }
        self._due: dict[str, int] = {}
        self._logged_steps = 0

    def _on_training_start(self) -> None:
        self._logged_steps = self._run.learner.engine.usage.steps
        self._due = {what: self._next(what) for what in self._every}
        self._run.report()

    def _next(self, what: str) -> int:
        return (self.num_timesteps // self._every[what] + 1) * self._every[what]

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        # Between rollouts the parameters are whole and nothing collected would be lost.
        if self._restored is not None:
            self._run.begin(self._restored)
            self._restored = None
        for what, act in (
            ("evaluate", self._run.evaluate),
            ("checkpoint", self._cut),
            ("report", self._run.report),
        ):
            if self.num_timesteps >= self._due[what]:
                self._due[what] = self._next(what)
                act()

    def _cut(self) -> None:
        self._run.checkpoint()
        self._run.begin()

    def _on_rollout_end(self) -> None:
        engine = self._run.learner.engine
        sums, steps = engine.pop_sums(), max(engine.usage.steps - self._logged_steps, 1)
        self._logged_steps = engine.usage.steps
        for key, total in sums.items():
            self.logger.record(key, total / steps)
        for key, value in engine.metrics().items():
            self.logger.record(key if "/" in key else f"model/{key}", value)

    def _on_training_end(self) -> None:
        self._run.evaluate()
