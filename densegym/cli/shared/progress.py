"""Progress bars: one run, several runs side by side, episodes of an evaluation."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from densegym.cli.shared.options import CONSOLE


def _bars(*columns: Any) -> Progress:
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        *columns,
        TextColumn("{task.fields[note]}"),
        *times,
        console=Console(stderr=True, quiet=CONSOLE.quiet),
        redirect_stdout=sys.stdout.isatty(),  # lines for a file must not end up on the terminal
    )


@contextmanager
def run_bar(title: str) -> Iterator[Callable[[Any], None]]:
    """Show one training run; the yielded function takes its progress."""
    with _bars(MofNCompleteColumn()) as bars:
        task = bars.add_task(title, total=None, note="starting")

        def tell(progress: Any) -> None:
            success = "" if progress.success is None else f", success {progress.success:.2f}"
            bars.update(
                task,
                completed=progress.step,
                total=progress.steps,
                note=f"{progress.phase}{success}",
            )

        yield tell


@contextmanager
def episode_bar(total: int, title: str = "evaluating") -> Iterator[Callable[[int], None]]:
    """Show an evaluation or the like; the yielded function takes how many are finished."""
    with _bars(MofNCompleteColumn()) as bars:
        task = bars.add_task(title, total=total, note="")
        yield lambda finished: bars.update(task, completed=finished)


@contextmanager
def bank_bar(title: str = "collecting trajectories") -> Iterator[Callable[[int, int], None]]:
    """Show the collection of a trajectory bank or the like; nothing if there is none to do.

    A terminal gets a bar; a log gets a line at every tenth.
    """
    console = Console(stderr=True, quiet=CONSOLE.quiet)
    if not console.is_terminal:
        yield _Tenths(console, title)
        return
    with _bars(MofNCompleteColumn()) as bars:
        shown: list[Any] = []

        def tell(finished: int, episodes: int) -> None:
            if not shown:
                shown.append(bars.add_task(title, total=episodes, note=""))
            bars.update(shown[0], completed=finished, total=episodes)

        yield tell


@contextmanager
def watch_jobs(title: str) -> Iterator[Callable[[Sequence[Any]], None]]:
    """Show the runs of a suite; the yielded function takes the state of every run.

    A terminal gets bars; a log gets a line whenever a run starts or ends.
    """
    console = Console(stderr=True, quiet=CONSOLE.quiet)
    if not console.is_terminal:
        yield _Log(console)
        return
    with _bars(TextColumn("{task.percentage:>3.0f}%")) as bars:
        whole = bars.add_task(f"[bold]{title or 'suite'}", total=None, note="")
        shown: dict[Any, Any] = {}

        def tell(states: Sequence[Any]) -> None:
            done = sum(state.done for state in states)
            bars.update(whole, total=len(states), completed=done, note=_count(states))
            for state in states:
                if state.state == "waiting":
                    continue
                if state.job.folder not in shown:
                    shown[state.job.folder] = bars.add_task(state.job.title, total=1.0, note="")
                bars.update(shown[state.job.folder], completed=state.done, note=_note(state))

        yield tell


class _Tenths:
    """Prints a line whenever another tenth is done."""

    def __init__(self, console: Console, title: str) -> None:
        self._console, self._title, self._began = console, title, time.monotonic()
        self._told = -1

    def __call__(self, finished: int, total: int) -> None:
        tenth = 10 * finished // max(total, 1)
        if tenth > max(self._told, 0) or (self._told < 0 and finished >= total):
            seconds = time.monotonic() - self._began
            line = f"{self._title}: {finished} of {total}, {seconds:.0f} s"
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)
            self._told = tenth


class _Log:
    """Prints a line whenever a run changes its state."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._known: dict[Any, str] = {}

    def __call__(self, states: Sequence[Any]) -> None:
        for state in states:
            if state.state not in ("waiting", self._known.get(state.job.folder)):
                self._known[state.job.folder] = state.state
                line = f"{_count(states)}: {state.job.title}: {_note(state)}"
                self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def _count(states: Sequence[Any]) -> str:
    ended = sum(state.state in ("finished", "kept", "failed") for state in states)
    return f"{ended} of {len(states)} runs"


def _note(state: Any) -> str:
    success = "" if state.success is None else f", success {state.success:.2f}"
    return f"{state.phase if state.state == 'running' else state.state}{success}"


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], None]]:
    """Show how many things were done where their number is not known before."""
    with Progress(
        TextColumn("{task.completed:,.0f} " + what),
        TimeElapsedColumn(),
        console=Console(stderr=True, quiet=CONSOLE.quiet),
    ) as bars:
        task = bars.add_task("", total=None)
        yield lambda done: bars.update(task, completed=done)


@contextmanager
def step_bar() -> Iterator[Callable[[str, int, int | None], None]]:
    """Show a chain of tasks; the yielded function takes what is done, how far, of how many.

    A terminal gets a bar, without an end where the number is None; a log gets a line whenever a
    task is done, or begins and has no number.
    """
    console = Console(stderr=True, quiet=CONSOLE.quiet)
    if not console.is_terminal:
        yield _StepLog(console)
        return
    with _bars(MofNCompleteColumn()) as bars:
        shown: dict[str, Any] = {}

        def tell(what: str, done: int, total: int | None) -> None:
            if what not in shown:
                for task in shown.values():
                    bars.update(task, visible=False)
                shown[what] = bars.add_task(what, total=total, note="")
            bars.update(shown[what], completed=done, total=total)

        yield tell
        for task in bars.tasks:  # a bar without an end would stay half drawn
            if task.total is None:
                bars.update(task.id, visible=False)


class _StepLog:
    """Prints a line whenever a task is done, or begins and has no number; none twice in a row."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: tuple[str, int, int | None] | None = None

    def __call__(self, what: str, done: int, total: int | None) -> None:
        if (what, done, total) == self._last or (total is not None and done < total):
            return
        self._last = (what, done, total)
        line = what if total is None else f"{what}: {done} of {total}"
        self._console.print(line, highlight=False, markup=False)
