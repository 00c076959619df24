"""The verbs that measure: ``bench`` and ``report``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console

from densegym.cli.progress import watch_jobs
from densegym.cli.training import Sets
from densegym.errors import DenseGymError, require

_CONSOLE = Console(highlight=False, soft_wrap=True, markup=False)


class Asked(NamedTuple):
    """What a user asked of a measurement; each takes what it knows.

    Attributes:
        folder: where runs are kept.
        seeds: as typed, or None.
        steps: of every run, or None.
        envs: as typed, or None.
        workers: processes side by side.
        as_json: whether to end with one line of JSON.
    """

    folder: Path
    seeds: str | None
    steps: int | None
    envs: str | None
    workers: int
    as_json: bool


class Measurement(NamedTuple):
    """A benchmark that is no suite of runs.

    Attributes:
        title: for people.
        carry_out: measures and prints.
    """

    title: str
    carry_out: Callable[[Asked], None]


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.command()(bench)
    app.command()(report)


def bench(
    suite: Annotated[
        str, typer.Argument(help="A suite, its TOML file, or a measurement; --list shows them.")
    ] = "demo",
    out: Annotated[
        Path | None, typer.Option(help="Results folder; results/<suite> by default.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Runs side by side.")] = 2,
    seeds: Annotated[
        str | None,
        typer.Option(help="Comma-separated seeds, or for fidelity and hacking how many."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of every run instead of the suite's.")
    ] = None,
    envs: Annotated[
        str | None, typer.Option(help="Comma-separated Gymnasium ids, for fidelity.")
    ] = None,
    settings: Sets = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON.")] = False,
    show: Annotated[
        bool, typer.Option("--list", help="List suites and measurements and stop.")
    ] = False,
) -> None:
    """Run a benchmark suite; run it again to go on where it stopped.

    Examples:
      densegym bench demo

      densegym bench demo --seeds 0,1,2,3,4 --out results/five-seeds

      densegym bench overhead --json

      densegym bench render --json

      densegym bench landscape --envs WindowOpen --json

      densegym bench nethack-speed --json

      densegym bench relabel --json

      densegym bench fidelity --envs HalfCheetah-v5 --seeds 3 --json

      densegym bench hacking --seeds 3

      densegym bench delayed --steps 100000 --seeds 0
    """
    require("stable_baselines3", extra="agents")
    from densegym.agents.bench import suite as suites

    if show:
        for name in suites.shipped():
            _CONSOLE.print(f"{name:16} {suites.load_suite(name).title}")
        for name, one in MEASUREMENTS.items():
            _CONSOLE.print(f"{name:16} {one.title}")
        return
    if suite in MEASUREMENTS:
        folder = out or Path("results") / suite
        MEASUREMENTS[suite].carry_out(Asked(folder, seeds, steps, envs, workers, as_json))
        return
    loaded = suites.load_suite(suite, others=MEASUREMENTS)
    root = out or Path("results") / loaded.name
    chosen = parse_seeds(seeds) if seeds is not None else loaded.seeds
    jobs = suites.jobs_of(loaded, root, seeds=chosen, steps=steps, overrides=settings or ())
    with watch_jobs(loaded.title) as show_states:
        states = suites.run_jobs(jobs, workers=workers, on_change=show_states)
    _conclude(root, states, chosen, as_json)


def _conclude(root: Path, states: Any, seeds: tuple[int, ...], as_json: bool) -> None:
    failed = [state for state in states if state.state == "failed"]
    stopped = [state for state in states if state.state in ("stopped", "waiting")]
    for state in failed:
        _CONSOLE.print(f"failed: {state.job.title}: {state.why}")
    if stopped:
        _CONSOLE.print(f"{len(stopped)} runs are not finished; the same command goes on.")
    if any(state.state in ("finished", "kept") for state in states):
        _print_report(root, None if failed or stopped else seeds, as_json)
    if failed or stopped:
        raise typer.Exit(130 if stopped and not failed else 1)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the numbers of a comma-separated list.

    Raises:
        DenseGymError: something else; says what was expected.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise DenseGymError(f'--seeds takes numbers such as 0,1,2; given "{text}"') from error


def _first(text: str | None, count: int) -> tuple[int, ...]:
    """Return the seeds 0 to N - 1 for a single number N, the listed ones, or the default's."""
    if text is None:
        return tuple(range(count))
    listed = parse_seeds(text)
    return listed if len(listed) > 1 else tuple(range(listed[0]))


def _overhead(asked: Asked) -> None:
    from densegym.agents.studies.overhead import measure

    _print_figures(measure, "measuring the cost of rewards per step, about a minute", asked)


def _render(asked: Asked) -> None:
    from densegym.agents.studies.render_speed import measure

    _print_figures(measure, "drawing a Meta-World task, a few seconds", asked)


def _landscape(asked: Asked) -> None:
    from densegym.cli.landscape_bench import landscape

    landscape(envs=asked.envs, seeds=_first(asked.seeds, 2), as_json=asked.as_json)


def _nethack_speed(asked: Asked) -> None:
    require("nle", extra="nethack")
    from densegym.envs.nethack.speed import measure

    _print_figures(measure, "measuring NetHack steps, about two minutes", asked)


def _print_figures(measure: Callable[[], Mapping[str, Any]], doing: str, asked: Asked) -> None:
    with _CONSOLE.status(doing):
        figures = measure()
    for name, value in figures.items():
        _CONSOLE.print(f"{name:40} {value}")
    if asked.as_json:
        print(json.dumps(figures))


def _fidelity(asked: Asked) -> None:
    from densegym.cli.credit_bench import fidelity

    seeds = _first(asked.seeds, 5)
    fidelity(envs=asked.envs, seeds=seeds, workers=asked.workers, as_json=asked.as_json)


def _hacking(asked: Asked) -> None:
    from densegym.cli.credit_bench import hacking

    hacking(seeds=_first(asked.seeds, 3), as_json=asked.as_json)


def _relabel(asked: Asked) -> None:
    from densegym.cli.hindsight_bench import relabel

    seeds = parse_seeds(asked.seeds or _SMOKE)
    relabel(seeds=seeds, folder=asked.folder, workers=asked.workers, as_json=asked.as_json)


def _delayed(asked: Asked) -> None:
    from densegym.cli.hindsight_bench import delayed

    seeds = parse_seeds(asked.seeds or _SMOKE)
    delayed(
        seeds=seeds,
        steps=asked.steps,
        folder=asked.folder,
        workers=asked.workers,
        as_json=asked.as_json,
    )


_SMOKE = "0,1,2"
MEASUREMENTS: Mapping[str, Measurement] = {
    "overhead": Measurement("what rewards cost per step", _overhead),
    "render": Measurement("pictures per second", _render),
    "landscape": Measurement("whether climbing a judge's potential leads there", _landscape),
    "nethack-speed": Measurement("steps of NetHack and MiniHack per CPU second", _nethack_speed),
    "relabel": Measurement("plumbing and cost of credits, for PPO and SAC", _relabel),
    "delayed": Measurement("redistributors on delayed HalfCheetah", _delayed),
    "fidelity": Measurement("credits against the dense rewards they never saw", _fidelity),
    "hacking": Measurement("which process rewards are farmed on a probe", _hacking),
}


def report(
    results: Annotated[Path, typer.Argument(help="A results folder.")] = Path("results/demo"),
    seeds: Annotated[str | None, typer.Option(help="Seeds every row must have.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON.")] = False,
) -> None:
    """Print the table of a results folder; write it with curves as Markdown, CSV, LaTeX and HTML.

    Example:
      densegym report results/demo
    """
    _print_report(results, None if seeds is None else parse_seeds(seeds), as_json)


def _print_report(root: Path, seeds: tuple[int, ...] | None, as_json: bool) -> None:
    require("matplotlib", extra="agents")
    from densegym.agents.bench.report import write_report
    from densegym.agents.bench.tables import to_text

    made = write_report(root, seeds=seeds)
    terminal = Console()
    for table in to_text(made.rows):
        (terminal if terminal.is_terminal else Console(width=110)).print(table)
    _CONSOLE.print(made.caption)
    for path in made.unfinished:
        _CONSOLE.print(f"not finished: {path}")
    for path in [*made.files, *sorted(root.rglob("media/*"))]:
        _CONSOLE.print(f"wrote {path}")
    if as_json:
        print((root / "table.json").read_text(encoding="utf-8").replace("\n", ""))
