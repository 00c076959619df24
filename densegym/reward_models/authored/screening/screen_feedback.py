"""What an author is told when a screen stops a reward: the wrong ranking, term by term."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from densegym.reward_models.authored.programs.runner import Scored
from densegym.reward_models.authored.screening.bank import Bank
from densegym.reward_models.authored.screening.loops import Circling
from densegym.reward_models.types import Float

POINTS = 5  # steps at which the terms of a trajectory are shown


def explain(
    failed: Sequence[str],
    bank: Bank,
    scored: Sequence[Scored],
    returns: Float,
    circling: Circling | None,
) -> str:
    """Return the feedback for the failed screens.

    Args:
        failed: names of the screens, of ``auc``, ``idle`` and ``loop``.
        bank: labelled trajectories.
        scored: what the reward pays on each.
        returns: (trajectories,) discounted returns.
        circling: the loop that pays best, or None.
    """
    parts = []
    if "auc" in failed:
        parts.append(_ranking(bank, scored, returns))
    if "idle" in failed:
        parts.append(
            "Standing still for a whole episode earns at least as much as the median success. "
            "Pay for getting closer, not for where the robot is.\n"
            + _shown("an idle episode", _first_idle(bank), scored)
        )
    if "loop" in failed and circling is not None:
        shown = _shown(f"a {circling.length}-step loop lies in", circling.trajectory, scored)
        parts.append(
            f"Going round a closed loop of {circling.length} steps, which ends where it began, "
            f"earns {circling.gain:.4g} a turn; repeated for a whole episode it beats the median "
            "success. A reward that pays the change of a distance earns nothing on a loop.\n"
            + shown
        )
    return "\n\n".join(parts)


def _ranking(bank: Bank, scored: Sequence[Scored], returns: Float) -> str:
    """Tell of CARD's pair: the success that earns least and the failure that earns most."""
    success = bank.success()
    worst = int(np.flatnonzero(success)[returns[success].argmin()])
    best = int(np.flatnonzero(~success)[returns[~success].argmax()])
    lines = [
        "Failed episodes often earn more than successful ones. The worst ranked pair, by "
        f"discounted return (gamma {bank.gamma}): a success earns {returns[worst]:.4g} in "
        f"{len(scored[worst].total)} steps, a failure {returns[best]:.4g} in "
        f"{len(scored[best].total)}.",
        _shown(f"success ({bank.trajectories[worst].source})", worst, scored),
        _shown(f"failure ({bank.trajectories[best].source})", best, scored),
    ]
    dawdles = len(scored[best].total) > len(scored[worst].total)
    if dawdles and scored[worst].total.mean() > 0.0:
        lines.append(
            "Episodes end at success, so a reward that is positive at every step pays for not "
            "finishing. Pay differences between steps instead."
        )
    return "\n".join(lines)


def _shown(title: str, index: int, scored: Sequence[Scored]) -> str:
    """Return the terms of one trajectory at five steps, evenly spread."""
    item = scored[index]
    steps = np.unique(np.linspace(0, len(item.total) - 1, POINTS).round().astype(np.int64))
    columns = {**item.parts, "total": item.total}
    lines = [f"{title}, at steps {', '.join(str(step) for step in steps)}:"]
    for name, values in columns.items():
        lines.append(f"  {name}: {', '.join(f'{value:.4g}' for value in values[steps])}")
    return "\n".join(lines)


def _first_idle(bank: Bank) -> int:
    return next(i for i, item in enumerate(bank.trajectories) if item.source == "idle")
