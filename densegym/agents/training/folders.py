"""A run's folder: its name, when a finished one may be extended, and how it is replaced."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from densegym.agents.training import checkpoint
from densegym.agents.training.config import TrainConfig
from densegym.agents.training.guards import LOCK
from densegym.envs.protocols import OWN
from densegym.envs.tasks import task_card
from densegym.errors import ResultsError
from densegym.reward_models.spec import label

SAVED = "checkpoint.pt"


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


def check_extends(folder: Path, config: TrainConfig, resume: bool) -> None:
    """Refuse a finished run, unless it is to take more steps.

    Raises:
        ResultsError: it is not; says what to type.
    """
    saved = folder / SAVED
    if not resume or not saved.is_file():
        raise ResultsError(
            f"{folder} already holds a finished run; choose another --out or seed, or extend it "
            "with more --steps and --resume."
        )
    taken = checkpoint.load(saved, config)["step"]
    if config.run.steps <= taken:
        raise ResultsError(
            f"{folder} already holds a finished run of {taken} steps. To extend it, write --steps "
            f"above {taken} beside --resume."
        )


def copy_finished(folder: Path, work: Path) -> None:
    """Copy what an extended run goes on from; the finished one stays until that is finished too."""
    shutil.copytree(
        folder, work, ignore=shutil.ignore_patterns(LOCK, SAVED, "media"), dirs_exist_ok=True
    )
    # Last, because whoever finds it takes the copy for whole.
    shutil.copy2(folder / SAVED, work / f".{SAVED}")
    os.replace(work / f".{SAVED}", work / SAVED)


def put_finished(work: Path, folder: Path) -> None:
    """Give a finished run its name, in place of the one that it extends."""
    before = folder.with_name(f".{folder.name}.before")
    if folder.exists():
        os.replace(folder, before)
    os.replace(work, folder)
    shutil.rmtree(before, ignore_errors=True)
    (folder / LOCK).unlink()
