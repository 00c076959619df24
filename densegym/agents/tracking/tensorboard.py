"""The TensorBoard file in a run's folder."""

from __future__ import annotations

from stable_baselines3.common.logger import TensorBoardOutputFormat
from torch.utils.tensorboard import SummaryWriter

from densegym.agents.tracking.trackers import Experiment


class TensorBoard(TensorBoardOutputFormat):
    """Event files under ``tensorboard``; what a stopped run wrote too much is not shown."""

    def __init__(self, experiment: Experiment) -> None:
        folder = str(experiment.folder / "tensorboard")
        super().__init__(folder)
        if experiment.resumed_at is not None:
            self.writer.close()
            self.writer = SummaryWriter(folder, purge_step=experiment.resumed_at + 1)
