"""The study ``nethack-speed``: steps of NetHack and MiniHack per CPU second, against upstream's."""

from __future__ import annotations

from densegym.agents.studies.study import Figures, Monitor, Request
from densegym.envs.nethack.speed import measure


def run(request: Request, monitor: Monitor) -> Figures:
    """Carry out the study ``nethack-speed``; ``rounds`` is how often sides take turns."""
    monitor.progress("measuring NetHack steps, about two minutes", 0, None)
    return Figures(measure(rounds=request.settings["rounds"]))
