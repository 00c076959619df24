"""The TensorBoard file of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat
from torch.utils.tensorboard import SummaryWriter


def curves(folder: Path, *, resumed_at: int | None = None) -> Logger:
    """Return SB3's logger for a folder.

    Args:
        folder: of the event files.
        resumed_at: step from which on what is there was written by a run that was stopped, and is
            not shown; None for a new run.
    """
    form = TensorBoardOutputFormat(str(folder))
    if resumed_at is not None:
        form.writer.close()
        form.writer = SummaryWriter(str(folder), purge_step=resumed_at + 1)
    return Logger(str(folder), [form])


def draw(logger: Logger, values: Mapping[str, float], step: int) -> None:
    """Write values at their own step, leaving what the learner has not written yet."""
    for form in logger.output_formats:
        form.write(dict(values), dict.fromkeys(values, ()), step)
