"""The verbs that measure: ``bench`` and ``report``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperCommand

from densegym.agents.studies.registry import find_study, list_studies
from densegym.agents.studies.study import Monitor, Request, Study, parse_seeds
from densegym.cli.shared.options import CONSOLE, JsonLine, Protocol, stderr, table_console
from densegym.cli.shared.progress import step_bar, watch_jobs
from densegym.cli.training import Sets
from densegym.errors import DenseGymError, require


class _BenchCommand(TyperCommand):
    """A command whose help ends with the studies there are."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        listed = (escape(_describe(study)) for study in list_studies())
        self.epilog = "\n\n".join(["Studies, each with the options it takes:", *listed])
        super().format_help(ctx, formatter)


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.command(cls=_BenchCommand)(bench)
    app.command()(report)


def bench(
    suite: Annotated[
        str, typer.Argument(help="A suite, its TOML file, or a study; --list shows them.")
    ] = "demo",
    out: Annotated[
        Path | None, typer.Option(help="Results folder; results/<suite> by default.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Runs side by side; 2 by default for suites.")
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="Seeds such as 0,1,2, or a range such as 0-4."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of every run instead of the suite's.")
    ] = None,
    envs: Annotated[
        str | None, typer.Option(help="Comma-separated environment ids, for studies.")
    ] = None,
    protocol: Protocol = None,
    settings: Sets = None,
    as_json: JsonLine = False,
    show: Annotated[bool, typer.Option("--list", help="List suites and studies and stop.")] = False,
) -> None:
    """Run a benchmark suite or a study.

    A suite goes on where it stopped when it is run again. A study exits
    with 1 where one of its bars does not hold.

    Examples:
      densegym bench demo

      densegym bench demo --seeds 0-4 --out results/five-seeds

      densegym bench metaworld --protocol metaworld-500

      densegym bench overhead --json

      densegym bench landscape --envs WindowOpen --json

      densegym bench fidelity --envs HalfCheetah-v5 --seeds 0-2 --json

      densegym bench delayed --steps 100000 --seeds 0

      densegym bench hosts --envs ButtonPress,Shop --json

      densegym bench caption-stress --set captions=5000 --set kills=1
    """
    from densegym.agents.bench import suite as suites

    if show:
        for name in suites.shipped():
            CONSOLE.print(f"{name:16} {suites.load_suite(name).title}")
        for study in list_studies():
            CONSOLE.print(_describe(study))
        return
    sets = settings or ()
    if suite.endswith(".toml") or suite in suites.shipped():
        if envs is not None:
            raise DenseGymError(f'--envs is for studies; suite "{suite}" names its own')
        _run_suite(suite, out, workers or 2, seeds, steps, protocol, sets, as_json)
        return
    if protocol is not None:
        raise DenseGymError(f'--protocol is for suites; study "{suite}" has its own')
    study = find_study(suite, others=suites.shipped())
    request = study.request(
        seeds=seeds, steps=steps, envs=envs, workers=workers, out=out, settings=sets
    )
    run_study(study, request, as_json=as_json)


def run_study(study: Study, request: Request, *, as_json: bool) -> None:
    """Run a study with a progress bar and print what it found.

    Raises:
        typer.Exit: a bar does not hold.
    """
    with step_bar() as tell:
        result = study.run(request, _Terminal(tell))
    if as_json:
        print(json.dumps(result.as_json()))
        if not result.bars_hold:
            raise typer.Exit(1)
        return
    for shown in result.report():
        table_console().print(shown)
    for bar in result.bars():
        CONSOLE.print(f"{'holds ' if bar.holds else 'MISSED'}  {bar.text}")
    if not result.bars_hold:
        raise typer.Exit(1)


class _Terminal(Monitor):
    """Shows progress as a bar and lines as they come."""

    def __init__(self, tell: Any) -> None:
        self._tell = tell

    def progress(self, what: str, done: int, total: int | None) -> None:
        self._tell(what, done, total)

    def line(self, text: str) -> None:
        # On stderr, because JSON is alone on stdout; a bar makes room for what is printed there.
        print(text, file=sys.stderr, flush=True)


def _describe(study: Study) -> str:
    options = ", ".join(study.options())
    return f"{study.name:16} {study.title}" + (f" ({options})" if options else "")


def _run_suite(
    name: str,
    out: Path | None,
    workers: int,
    seeds: str | None,
    steps: int | None,
    protocol: str | None,
    settings: Sequence[str],
    as_json: bool,
) -> None:
    typed = None if seeds is None else parse_seeds(seeds)
    require("stable_baselines3", extra="agents")
    from densegym.agents.bench import suite as suites

    loaded = suites.load_suite(name)
    root = out or Path("results") / loaded.name
    chosen = loaded.seeds if typed is None else typed
    jobs = suites.jobs_of(
        loaded, root, seeds=chosen, steps=steps, protocol=protocol, overrides=settings
    )
    with watch_jobs(loaded.title) as show_states:
        states = suites.run_jobs(jobs, workers=workers, on_change=show_states)
    _conclude(root, states, chosen, as_json)


def _conclude(root: Path, states: Any, seeds: tuple[int, ...], as_json: bool) -> None:
    failed = [state for state in states if state.state == "failed"]
    stopped = [state for state in states if state.state in ("stopped", "waiting")]
    for state in failed:
        stderr().print(f"failed: {state.job.title}: {state.why}")
    if stopped:
        stderr().print(f"{len(stopped)} runs are not finished; the same command goes on.")
    if any(state.state in ("finished", "kept") for state in states):
        _print_report(root, None if failed or stopped else seeds, as_json)
    if failed or stopped:
        raise typer.Exit(130 if stopped and not failed else 1)


def report(
    results: Annotated[Path, typer.Argument(help="A results folder.")] = Path("results/demo"),
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; the results folder by default.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds every row must have.")] = None,
    as_json: JsonLine = False,
) -> None:
    """Print the table of a results folder; write it with curves as Markdown, CSV, LaTeX and HTML.

    Examples:
      densegym report results/demo

      densegym report results/demo --out report --json
    """
    _print_report(results, None if seeds is None else parse_seeds(seeds), as_json, out)


def _print_report(
    root: Path, seeds: tuple[int, ...] | None, as_json: bool, out: Path | None = None
) -> None:
    require("matplotlib", extra="agents")
    from densegym.agents.bench.formats import to_text
    from densegym.agents.bench.report import write_report

    made = write_report(root, seeds=seeds, out=out)
    if as_json:
        print(((out or root) / "table.json").read_text(encoding="utf-8").replace("\n", ""))
        return
    for table in to_text(made.rows):
        table_console().print(table)
    CONSOLE.print(made.caption)
    for path in made.unfinished:
        CONSOLE.print(f"not finished: {path}")
    for path in [*made.files, *sorted(root.rglob("media/*"))]:
        CONSOLE.print(f"wrote {path}")
