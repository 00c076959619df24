"""The study ``shop-speed``: steps, resets, searches, start-up and memory of the shop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from densegym.agents.studies.study import Figures, Monitor, Request
from densegym.envs.shop.speed import measure, measure_searches

if TYPE_CHECKING:
    from rich.console import RenderableType


class ShopFigures(Figures):
    """Figures of the shop, in a table."""

    def report(self) -> list[RenderableType]:
        """Return one table with a row for each figure."""
        table = Table("figure", "measured", header_style="bold")
        for name, value in self.figures.items():
            table.add_row(name, f"{value:,.3f}" if isinstance(value, float) else str(value))
        return [table]


def run(request: Request, monitor: Monitor) -> ShopFigures:
    """Carry out the study ``shop-speed``.

    Its settings are ``store`` and ``goals``, and ``searches``, which measures nothing but the
    search, for stores of a million products.
    """
    store, goals = request.settings["store"], request.settings["goals"]
    monitor.progress("measuring the shop, about half a minute", 0, None)
    if request.settings["searches"]:
        return ShopFigures(measure_searches(store))
    return ShopFigures(measure(store, goals=goals, steps=request.steps))
