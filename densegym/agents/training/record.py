"""What a finished run says about itself, as ``meta.json`` keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import densegym
from densegym.agents.training.config import TrainConfig
from densegym.agents.training.learner import Learner
from densegym.agents.training.provenance import cpu_model, installed_versions, revision
from densegym.envs.tasks import task_card
from densegym.reward_models.spec import label


def record(
    config: TrainConfig,
    learner: Learner,
    *,
    callbacks: Sequence[str] = (),
    extended_from: Sequence[int] = (),
    times: Mapping[str, Any],
) -> dict[str, Any]:
    """Return settings, cost and provenance of a run, JSON-friendly.

    Args:
        config: of the run.
        learner: as it ended.
        callbacks: of users, as they were typed.
        extended_from: budgets of the runs that this one extends.
        times: when it started, and what it took.
    """
    card, engine = task_card(config.env), learner.engine
    usage, metrics = engine.usage, engine.metrics()
    return {
        "schema": 1,
        "densegym": densegym.__version__,
        "env": config.env,
        "reward": label(config.reward, task=card),
        "algo": config.algo,
        "seed": config.seed,
        "steps": int(learner.model.num_timesteps),
        "steps_asked": config.run.steps,
        "callbacks": list(callbacks),
        "extended_from": list(extended_from),
        "gamma": getattr(learner.model, "gamma", None),
        "terminate_on_success": learner.stops_at_success,
        **config.terms().as_dict(),
        "bootstrap": engine.bootstraps,
        "family": card.family,
        "versions": installed_versions(),
        "git": revision(),
        "cpu": cpu_model(),
        **times,
        "reward_s": usage.seconds,
        "abstention_rate": usage.abstentions / max(usage.steps, 1),
        "model_calls": metrics.get("model_calls", 0),
        "cost_usd": metrics.get("cost_usd", 0.0),
        "reward_metrics": metrics,
        "fingerprint": config.fingerprint(),
    }
