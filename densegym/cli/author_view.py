"""The live view of a search: a table of candidates in a terminal, lines in a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.halving import best

_SHOWN = 14  # candidates; older failing ones give way
_FEEDBACK = 160  # characters of it in a log; the ledger has it all


@contextmanager
def watch_search(title: str) -> Iterator[Callable[[Any], None]]:
    """Show a search; the yielded function takes every ``search.Moment``."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Log(console)
        return
    with Live(Text(f"{title}: starting"), console=console, refresh_per_second=4) as live:
        yield lambda moment: live.update(_picture(title, moment))


def _picture(title: str, moment: Any) -> Group:
    rows: list[Row] = list(moment.rows)
    leader = best([row for row in rows if row.status.passed])
    head = Text(f"{title}  iteration {moment.iteration + 1}, {moment.phase}", style="bold")
    if moment.running:
        head.append(f"  {moment.running} in training", style="cyan")
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("id", "from", "status", "AUC", "F at its rungs", "fresh seeds", "steps"):
        table.add_column(name, justify="left" if name in ("id", "from", "status") else "right")
    shown = [row for row in rows if row.status.passed or row.iteration == moment.iteration]
    for row in shown[-_SHOWN:]:
        style = "green" if leader is not None and row.id == leader.id else ""
        table.add_row(*_cells(row), style=style if row.status.passed else "dim")
    stopped = sum(not row.status.passed for row in rows)
    steps = sum(row.env_steps for row in rows)
    foot = f"{len(rows)} candidates, {stopped} stopped by checks and screens, {steps:,} steps"
    return Group(head, table, Text(foot, style="dim"))


def _cells(row: Row) -> list[str]:
    auc = row.screen.get("auc")
    return [
        row.id,
        ", ".join(row.parents) or "-",
        f"same as {row.duplicate_of}" if row.duplicate_of else str(row.status),
        "-" if auc is None else f"{auc:.2f}",
        " → ".join(f"{entry['F_mean']:.2f}" for entry in row.rungs) or "-",
        " ".join(f"{entry['F_mean']:.2f}" for entry in row.final) or "-",
        f"{row.env_steps:,}" if row.env_steps else "-",
    ]


class _Log:
    """Prints a line for every candidate whose row changed, and for every phase."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._known: dict[str, Row] = {}
        self._phase = ("", -1)

    def __call__(self, moment: Any) -> None:
        if (moment.phase, moment.iteration) != self._phase:
            self._phase = (moment.phase, moment.iteration)
            self._say(f"iteration {moment.iteration + 1}: {moment.phase}")
        for row in moment.rows:
            if self._known.get(row.id) != row:
                self._known[row.id] = row
                told = row.feedback.partition("\n")[0][:_FEEDBACK]
                self._say("  " + "  ".join(_cells(row)) + f"  {told}".rstrip())

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
