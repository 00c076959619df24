"""How failed episodes of a bank ended, as tables that a language model can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from densegym.reward_models.authored.programs.runner import Scored, open_runner
from densegym.reward_models.authored.screening.bank import Bank, Trajectory
from densegym.reward_models.authored.screening.scoring import score_bank
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.features import feature_names
from densegym.reward_models.sandbox.allowlist import inspect_source
from densegym.reward_models.types import TaskCard

EPISODES = 2
STEPS = 10


def failed_endings(row: Row, card: TaskCard, bank: Bank) -> str:
    """Return the last steps of failed episodes with the terms that a program paid on them.

    Episodes of the program's own policy come first, then those that it pays most.

    Args:
        row: a candidate that passed.
        card: its task.
        bank: labelled trajectories of the task.

    Returns:
        A table an episode, or "" where none failed.
    """
    inspection = inspect_source(row.source, known=feature_names(card))
    with open_runner(inspection, isolated=True) as runner:
        scored = score_bank(runner, bank)
        names = runner.parameters
    failed = [
        (trajectory, paid)
        for trajectory, paid in zip(bank.trajectories, scored, strict=True)
        if not trajectory.success
    ]
    own = f"policy:{row.id}"
    failed.sort(key=lambda pair: (pair[0].source != own, -float(pair[1].total.sum())))
    return "\n\n".join(_table(names, *pair) for pair in failed[:EPISODES])


def _table(names: Sequence[str], trajectory: Trajectory, paid: Scored) -> str:
    columns: Mapping[str, Any] = {
        **{name: trajectory.features[name][-STEPS:] for name in names},
        **{f"term {term}": part[-STEPS:] for term, part in paid.parts.items()},
    }
    first = len(trajectory) - min(STEPS, len(trajectory))
    lines = [
        f"An episode of {len(trajectory)} steps ({trajectory.source}), paid "
        f"{paid.total.sum():.3g} in total:",
        " | ".join(["step", *columns]),
    ]
    for index in range(min(STEPS, len(trajectory))):
        cells = [_cell(values[index]) for values in columns.values()]
        lines.append(" | ".join([str(first + index), *cells]))
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if np.ndim(value) == 0:
        return f"{float(value):.3g}"
    return " ".join(f"{float(item):.3g}" for item in value)
