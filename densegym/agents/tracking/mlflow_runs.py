"""Runs of MLflow."""

from __future__ import annotations

import os
import time
from typing import Any

from mlflow.entities import Metric, Param, RunStatus
from mlflow.tracking import MlflowClient
from stable_baselines3.common.logger import KVWriter

from densegym.agents.tracking.trackers import PROJECT, Experiment, numbers

_LONGEST = 500  # characters of a parameter that every backend takes


class MLflowRun(KVWriter):
    """A run of the experiment ``MLFLOW_EXPERIMENT_NAME`` (``densegym``).

    It goes to ``MLFLOW_TRACKING_URI``; without one, to MLflow's own file ``mlflow.db`` here.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._client = MlflowClient()
        self._id = experiment.kept("mlflow") or experiment.keep("mlflow", self._begin(experiment))
        self._client.update_run(self._id, status=RunStatus.to_string(RunStatus.RUNNING))

    def _begin(self, experiment: Experiment) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self._client.get_experiment_by_name(name)
        group = self._client.create_experiment(name) if found is None else found.experiment_id
        identity: str = self._client.create_run(group, run_name=experiment.name).info.run_id
        told = experiment.flat_config().items()
        params = [Param(key, str(value)[:_LONGEST]) for key, value in told]
        self._client.log_batch(identity, params=params)
        return identity

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        """Log the numbers of one step."""
        now = int(time.time() * 1000)
        told = numbers(key_values, key_excluded, "mlflow")
        metrics = [Metric(key, value, now, step) for key, value in told.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def close(self) -> None:
        """Finish the run."""
        self._client.set_terminated(self._id)
