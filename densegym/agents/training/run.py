"""One training run in one folder: learn, evaluate on the world's outcome, checkpoint, resume.

The folder is called ``<name>.partial`` while the run lasts and is renamed at the end, so a folder
without that suffix is always whole.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure

import densegym
from densegym.agents.training import checkpoint
from densegym.agents.training.config import TrainConfig, to_toml
from densegym.agents.training.learner import Learner, build_learner, seed_everything
from densegym.agents.training.provenance import cpu_model, installed_versions, revision
from densegym.agents.training.results import append_jsonl, false_progress, write_json
from densegym.agents.training.stopping import deaf, stoppable
from densegym.envs.protocols import OWN
from densegym.envs.tasks import task_card
from densegym.errors import Interrupted, ResultsError
from densegym.reward_models.spec import label

EVAL_SEED = 1_000_003  # evaluation placements: the same for every run, never seen in training
_ALARM = 0.5  # mean largest potential of failed episodes that is warned of

AfterTraining: TypeAlias = Callable[[Learner, TrainConfig, Path], None]
"""Is given a trained learner, its configuration and its run's folder."""


@dataclass(frozen=True, slots=True)
class Progress:
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
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Path:
    """Carry out a run and return its finished folder.

    Args:
        config: the resolved configuration.
        folder: where the finished run will lie; must not exist.
        resume: go on from the checkpoint in ``<folder>.partial``; without one, start anew.
        after: what is done with the trained learner before its final evaluation, by the name of the
            phase that people are told; given the learner, the configuration and the run's folder.
        on_progress: told about every evaluation and about a hundred points in between.

    Raises:
        ResultsError: the folder exists, or the checkpoint does not belong to this run.
        Interrupted: SIGINT or SIGTERM came; a checkpoint was written first.
    """
    if folder.exists():
        raise ResultsError(f"{folder} already holds a finished run; choose another --out or seed.")
    work = folder.with_name(f"{folder.name}.partial")
    saved = work / "checkpoint.pt"
    if work.exists() and not resume:
        raise ResultsError(
            f"{work} holds an unfinished run. Add --resume to go on, or remove the folder."
        )
    seed_everything(config.seed)
    with warnings.catch_warnings():
        # On-policy SB3 advises against recurrent policies' CPU use; we ask for the CPU on purpose.
        warnings.filterwarnings("ignore", message=".*primarily intended to run on the CPU.*")
        learner = build_learner(config)
    work.mkdir(parents=True, exist_ok=True)
    try:
        _Run(config, work, learner, on_progress).carry_out(
            saved if saved.is_file() else None, after
        )
    finally:
        learner.close()
    os.replace(work, folder)
    return folder


class _Run:
    """The state of one run between its phases."""

    def __init__(
        self,
        config: TrainConfig,
        work: Path,
        learner: Learner,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.config, self.work, self.learner = config, work, learner
        self.started = datetime.now(UTC)
        self._tell = on_progress
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        self._earlier = {"wall_s": 0.0, "cpu_s": 0.0}
        self._success: float | None = None
        self._warned = False

    def carry_out(self, saved: Path | None, after: Mapping[str, AfterTraining]) -> None:
        """Learn the remaining steps, evaluate, and write the results."""
        if saved is not None:
            checkpoint.restore(checkpoint.load(saved, self.config), self.learner)
            self._take_up()
        else:  # a run killed before its first checkpoint starts anew, and so do its books
            for name in ("eval.jsonl", "clocks.json"):
                (self.work / name).unlink(missing_ok=True)
        model = self.learner.model
        (self.work / "config.toml").write_text(to_toml(self.config.as_dict()), encoding="utf-8")
        model.set_logger(configure(str(self.work / "tensorboard"), ["tensorboard"]))
        remaining = self.config.run.steps - model.num_timesteps
        with stoppable():
            try:
                if remaining > 0:
                    callback = [_Schedule(self), *self.learner.callbacks]
                    model.learn(remaining, callback=callback, reset_num_timesteps=saved is None)
            except KeyboardInterrupt:
                with deaf():  # a second Ctrl-C must not tear the checkpoint
                    self.checkpoint()
                raise Interrupted(
                    f"stopped at step {model.num_timesteps} of {self.config.run.steps}; the run "
                    f"in {self.work} is kept. Add --resume to go on."
                ) from None
        self.checkpoint()
        for phase, act in after.items():
            self.report(phase)
            act(self.learner, self.config, self.work)
        self._finish()

    def evaluate(self) -> None:
        """Evaluate the current policy and append a line to ``eval.jsonl``."""
        run = self.config.run
        self.report("evaluating")
        seen = self.learner.evaluate(episodes=run.eval_episodes, seed=EVAL_SEED)
        self._success = float(seen.success.mean())
        line = {"step": int(self.learner.model.num_timesteps), **self._clocks(), **seen.as_dict()}
        if metrics := self.learner.engine.metrics():
            line["reward_metrics"] = metrics
        if (seen_in_failures := false_progress(metrics)) is not None:
            self._watch(seen_in_failures)
        append_jsonl(self.work / "eval.jsonl", line)
        logger = self.learner.model.logger
        logger.record("eval/success", self._success)
        logger.record("eval/return_env", float(seen.return_env.mean()))
        self.report()

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
        """Write a checkpoint and the clocks that belong to it."""
        checkpoint.save(self.work / "checkpoint.pt", self.learner, self.config)
        write_json(self.work / "clocks.json", self._clocks())

    def report(self, phase: str = "training") -> None:
        """Tell whoever watches where the run stands."""
        step, steps = int(self.learner.model.num_timesteps), self.config.run.steps
        cpu = self._clocks()["cpu_s"]
        self._tell(Progress(min(step, steps), steps, phase, self._success, cpu))

    def _clocks(self) -> dict[str, float]:
        return {
            "wall_s": self._earlier["wall_s"] + time.perf_counter() - self._wall,
            "cpu_s": self._earlier["cpu_s"] + time.process_time() - self._cpu,
        }

    def _take_up(self) -> None:
        """Go on from an earlier call: its clocks, and the evaluations before the checkpoint."""
        clocks = self.work / "clocks.json"
        if clocks.is_file():
            self._earlier = json.loads(clocks.read_text(encoding="utf-8"))
        log = self.work / "eval.jsonl"
        if log.is_file():
            lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n")]
            step = self.learner.model.num_timesteps
            kept = [line for line in whole if json.loads(line)["step"] <= step]
            log.write_text("".join(kept), encoding="utf-8")

    def _finish(self) -> None:
        run = self.config.run
        self.report("evaluating")
        seed = EVAL_SEED + run.eval_episodes
        final = self.learner.evaluate(episodes=run.final_episodes, seed=seed)
        drawn = self.learner.evaluate(episodes=run.final_episodes, seed=seed, deterministic=False)
        self.learner.model.save(self.work / "model.zip")
        if self.learner.normalizer is not None:
            self.learner.normalizer.save(str(self.work / "vecnormalize.pkl"))
        write_json(self.work / "meta.json", self._meta())
        outcome = {"success_stochastic": drawn.success.tolist(), **final.as_dict()}
        if final.measures:
            told = drawn.as_dict()
            more = {"return/env": told["return_env"], **told["measures"]}
            outcome["measures"] |= {f"{key} drawn": values for key, values in more.items()}
        write_json(
            self.work / "final.json", {"schema": 1, "episodes": run.final_episodes, **outcome}
        )
        self._success = float(final.success.mean())
        self.report("finished")

    def _meta(self) -> dict[str, Any]:
        config, usage = self.config, self.learner.engine.usage
        card = task_card(config.env)
        metrics = self.learner.engine.metrics()
        return {
            "schema": 1,
            "densegym": densegym.__version__,
            "env": config.env,
            "reward": label(config.reward, task=card),
            "algo": config.algo,
            "seed": config.seed,
            "steps": config.run.steps,
            "gamma": getattr(self.learner.model, "gamma", None),
            "terminate_on_success": self.learner.stops_at_success,
            **config.terms().as_dict(),
            "bootstrap": self.learner.engine.bootstraps,
            "family": card.family,
            "versions": installed_versions(),
            "git": revision(),
            "cpu": cpu_model(),
            "started": self.started.isoformat(timespec="seconds"),
            **self._clocks(),
            "reward_s": usage.seconds,
            "abstention_rate": usage.abstentions / max(usage.steps, 1),
            "model_calls": metrics.get("model_calls", 0),
            "cost_usd": metrics.get("cost_usd", 0.0),
            "reward_metrics": metrics,
            "fingerprint": config.fingerprint(),
        }


class _Schedule(BaseCallback):
    """Evaluates, checkpoints, logs reward terms and reports when their step has come."""

    def __init__(self, run: _Run) -> None:
        super().__init__()
        self._run = run
        settings = run.config.run
        self._every = {
            "evaluate": settings.eval_every,
            "checkpoint": settings.checkpoint_every,
            "report": max(settings.steps // 100, 1),
        }
        self._due: dict[str, int] = {}

    def _on_training_start(self) -> None:
        self._due = {what: self._next(what) for what in self._every}
        self._run.report()

    def _next(self, what: str) -> int:
        return (self.num_timesteps // self._every[what] + 1) * self._every[what]

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        # Between rollouts the parameters are whole and nothing collected would be lost.
        for what, act in (
            ("evaluate", self._run.evaluate),
            ("checkpoint", self._run.checkpoint),
            ("report", self._run.report),
        ):
            if self.num_timesteps >= self._due[what]:
                self._due[what] = self._next(what)
                act()

    def _on_rollout_end(self) -> None:
        engine = self._run.learner.engine
        sums, steps = engine.pop_sums(), max(engine.usage.steps - self._logged_steps, 1)
        self._logged_steps = engine.usage.steps
        for key, total in sums.items():
            self.logger.record(key, total / steps)
        for key, value in engine.metrics().items():
            self.logger.record(f"model/{key}", value)

    _logged_steps = 0

    def _on_training_end(self) -> None:
        self._run.evaluate()


def run_folder(root: Path, config: TrainConfig) -> Path:
    """Return ``root/<env>/<reward>/<algo>/seed-<n>``, slashes written as dots.

    A protocol other than the worlds' own stands behind the env, after an ``@``.
    """
    reward = label(config.reward, task=task_card(config.env))
    env = slug(config.env) + ("" if config.protocol == OWN else f"@{config.protocol}")
    return root / env / slug(reward) / config.algo / f"seed-{config.seed}"


def slug(name: str) -> str:
    """Return a name that is safe as a folder: slashes become dots, braces and spaces dashes."""
    kept = "".join(c if c.isalnum() or c in "._-+" else ("." if c == "/" else "-") for c in name)
    return kept.strip("-.")[:120]
