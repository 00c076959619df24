"""Runs of Trackio."""

from __future__ import annotations

import os
import uuid
from typing import Any

import trackio
from stable_baselines3.common.logger import KVWriter

from densegym.agents.tracking.trackers import PROJECT, Experiment, numbers


class TrackioRun(KVWriter):
    """A run in the project ``TRACKIO_PROJECT`` (``densegym``), kept in ``TRACKIO_DIR``.

    ``trackio show`` draws it; ``TRACKIO_SPACE_ID`` sends it to a Space.
    """

    def __init__(self, experiment: Experiment) -> None:
        # A name is all that tells its runs apart.
        new = f"{experiment.name} {uuid.uuid4().hex[:6]}"
        name = experiment.kept("trackio") or experiment.keep("trackio", new)
        self._run = trackio.init(
            project=os.environ.get("TRACKIO_PROJECT", PROJECT),
            name=name,
            space_id=os.environ.get("TRACKIO_SPACE_ID"),
            config=experiment.flat_config(),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        """Log the numbers of one step."""
        self._run.log(numbers(key_values, key_excluded, "trackio"), step=step)

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()
