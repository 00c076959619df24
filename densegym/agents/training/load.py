"""Rebuilds the learner of a run from its folder, without unpickling anything."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from densegym.agents.training import checkpoint
from densegym.agents.training.config import TrainConfig, from_dict
from densegym.agents.training.learner import Learner, build_learner
from densegym.envs.custom.register import take_card
from densegym.errors import ResultsError


def load_config(folder: Path) -> TrainConfig:
    """Return the configuration of a run.

    Raises:
        ResultsError: the folder is no run, or its configuration is damaged.
    """
    path = folder / "config.toml"
    if not path.is_file():
        raise ResultsError(
            f"{folder} is no run: it has no config.toml. A run is a folder such as "
            "results/<suite>/<env>/<reward>/<algo>/seed-0."
        )
    take_card(folder)
    try:
        return from_dict(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, TypeError) as error:
        raise ResultsError(f"{path} is damaged: {error}") from error


def load_learner(folder: Path) -> tuple[Learner, TrainConfig]:
    """Return the trained learner of a run, and its configuration.

    Raises:
        ResultsError: the folder is no run, or its checkpoint is damaged or of another version.
    """
    config = load_config(folder)
    content = checkpoint.load(folder / "checkpoint.pt", config)
    learner = build_learner(config)
    checkpoint.restore(content, learner)
    return learner, config
