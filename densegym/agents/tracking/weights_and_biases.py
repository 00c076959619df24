"""Runs of Weights & Biases."""

from __future__ import annotations

import os
import uuid
from typing import Any

import wandb
from stable_baselines3.common.logger import KVWriter

from densegym.agents.tracking.trackers import PROJECT, Experiment, numbers

_STEP = "global_step"


class WeightsAndBiases(KVWriter):
    """A run in ``WANDB_PROJECT`` (``densegym``); offline where no key is found.

    Records lie in ``WANDB_DIR`` (``./wandb``); ``wandb sync`` sends offline ones later. Steps are
    an axis of their own, because evaluations are written later than the steps they belong to.
    """

    def __init__(self, experiment: Experiment) -> None:
        keyed = wandb.login(prompt=False)
        mode: Any = os.environ.get("WANDB_MODE") or ("online" if keyed else "offline")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=experiment.name,
            id=experiment.kept("wandb") or experiment.keep("wandb", uuid.uuid4().hex[:12]),
            resume=None if mode == "offline" else "allow",
            config=dict(experiment.config),
            mode=mode,
            settings=wandb.Settings(console="off", silent=True),
        )
        self._run.define_metric(_STEP)
        self._run.define_metric("*", step_metric=_STEP)

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        """Log the numbers of one step."""
        self._run.log({**numbers(key_values, key_excluded, "wandb"), _STEP: step})

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()
