"""The verbs that work: ``train``, ``eval``, ``bench``, ``report``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from densegym.cli.progress import run_bar, watch_jobs
from densegym.envs import tasks
from densegym.errors import DenseGymError, require
from densegym.reward_models.spec import from_text, label

Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="key=value: a run setting, a hyper-parameter, policy.<k>, env.<k>, extra.<k>."
    ),
]
_CONSOLE = Console(highlight=False, soft_wrap=True, markup=False)


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.command()(train)
    app.command(name="eval")(evaluate)
    app.command()(bench)
    app.command()(report)


def train(
    env: Annotated[str, typer.Argument(help="Environment id, e.g. DenseGym/ButtonPress-v0.")],
    reward: Annotated[str, typer.Option(help="A reward name, or JSON of a dict or list.")] = "env",
    algo: Annotated[str, typer.Option(help="ppo, a2c, recurrent-ppo, dqn, sac, td3, tqc.")] = "ppo",
    steps: Annotated[
        int | None, typer.Option(help="Environment steps; the preset's if left out.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything.")] = 0,
    settings: Sets = None,
    out: Annotated[Path, typer.Option(help="Results folder.")] = Path("results/train"),
    resume: Annotated[bool, typer.Option(help="Go on from the run's last checkpoint.")] = False,
    film: Annotated[bool, typer.Option(help="Film the trained policy.")] = False,
) -> None:
    """Train an agent; evaluate it on the world's own outcome.

    Examples:
      densegym train DenseGym/ButtonPress-v0 --reward authored

      densegym train DenseGym/FetchReach-v0 --algo tqc

      densegym train DenseGym/ButtonPress-v0 --reward expert --steps 50000 --set n_envs=8

      densegym train DenseGym/ButtonPress-v0 --reward '{"model": "authored", "scale": 0.5}'

      densegym train DenseGym/HopperForward-v0 --reward credit/uniform
    """
    card = tasks.task_card(env)
    spec = from_text(reward)
    name = label(spec, task=card)  # unknown rewards are refused before anything heavy loads
    require("stable_baselines3", extra="agents")
    from densegym.agents.config import resolve
    from densegym.agents.train import run_folder
    from densegym.agents.train import train as carry_out

    config = resolve(env, reward=spec, algo=algo, seed=seed, steps=steps, overrides=settings or ())
    folder = run_folder(out, config)
    with run_bar(f"{env} {name} {algo} seed {seed}") as tell:
        done = carry_out(config, folder, resume=resume, film=film, on_progress=tell)
    _print_outcome(done)


def _print_outcome(folder: Path) -> None:
    from densegym.agents.results import load_run

    run = load_run(folder)
    ends = run.meta["terminate_on_success"]
    rule = (
        "" if ends is None else f"; training episodes {'ended' if ends else 'went on'} at success"
    )
    _CONSOLE.print(
        f"success {run.success.mean():.2f} (drawn actions {run.success_stochastic.mean():.2f}), "
        f"return/env {run.return_env.mean():.3f} over {len(run.success)} episodes{rule}"
    )
    _CONSOLE.print(f"run: {folder}\ncurves: tensorboard --logdir {folder}/tensorboard")
    for path in sorted(folder.glob("media/*")):
        _CONSOLE.print(f"film: {path}")


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a finished or unfinished run.")],
    episodes: Annotated[int, typer.Option(help="Episodes to play.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the first episode.")] = 0,
    drawn: Annotated[
        bool, typer.Option(help="Draw actions instead of taking the likeliest.")
    ] = False,
    film: Annotated[
        Path | None, typer.Option(help="Also film one episode into this folder.")
    ] = None,
    episodes_to: Annotated[
        Path | None, typer.Option("--record", help="Write the episodes here, for densegym relabel.")
    ] = None,
) -> None:
    """Evaluate a trained agent on the world's own outcome; prints one JSON object.

    Examples:
      densegym eval results/train/DenseGym.ButtonPress-v0/authored.button-press-v1/ppo/seed-0

      densegym eval results/train/.../seed-0 --episodes 50 --record button.npz
    """
    require("stable_baselines3", extra="agents")
    from densegym.agents.load import load_learner
    from densegym.agents.statistics import wilson
    from densegym.cli.progress import episode_bar

    learner, config = load_learner(run)
    try:
        with episode_bar(episodes) as tell:
            seen = learner.evaluate(
                episodes=episodes, seed=seed, deterministic=not drawn, on_episode=tell
            )
        if episodes_to is not None:
            from densegym.agents.recording import record_episodes

            record_episodes(
                episodes_to,
                config.env,
                learner.policy(deterministic=not drawn),
                episodes=episodes,
                seed=seed,
                env_kwargs=config.env_kwargs,
            )
            _CONSOLE.print(f"episodes: {episodes_to}")
        if film is not None:
            from densegym.agents.film import record, write_film

            policy = learner.policy(deterministic=not drawn)
            footage = record(
                policy,
                config.env,
                config.reward,
                seed=seed,
                trained=learner.engine,
                **config.env_kwargs,
            )
            for path in write_film(footage, film, f"{run.name}-episode-{seed}"):
                _CONSOLE.print(f"film: {path}")
    finally:
        learner.close()
    rate = float(seen.success.mean())
    outcome: dict[str, Any] = {
        "env": config.env,
        "episodes": episodes,
        "success": rate,
        "success_wilson_95": wilson(float(seen.success.sum()), episodes),
        "return_env": float(seen.return_env.mean()),
        "length": float(seen.length.mean()),
    }
    print(json.dumps(outcome))


def bench(
    suite: Annotated[
        str,
        typer.Argument(
            help="A suite, its TOML file, overhead, render, nethack-speed, relabel, delayed, "
            "fidelity or hacking."
        ),
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
    show: Annotated[bool, typer.Option("--list", help="List the shipped suites and stop.")] = False,
) -> None:
    """Run a benchmark suite; run it again to go on where it stopped.

    Examples:
      densegym bench demo

      densegym bench demo --seeds 0,1,2,3,4 --out results/five-seeds

      densegym bench overhead --json

      densegym bench render --json

      densegym bench nethack-speed --json

      densegym bench relabel --json

      densegym bench fidelity --envs HalfCheetah-v5 --seeds 3 --json

      densegym bench hacking --seeds 3

      densegym bench delayed --steps 100000 --seeds 0
    """
    require("stable_baselines3", extra="agents")
    from densegym.agents import bench as suites
    from densegym.cli import credit_bench

    if show:
        for name in suites.shipped():
            _CONSOLE.print(f"{name:12} {suites.load_suite(name).title}")
        return
    if suite == "overhead":
        _bench_overhead(as_json)
        return
    if suite == "render":
        _bench_render(as_json)
        return
    if suite == "nethack-speed":
        _bench_nethack(as_json)
        return
    if suite == "fidelity":
        credit_bench.fidelity(envs=envs, seeds=_first(seeds, 5), workers=workers, as_json=as_json)
        return
    if suite == "hacking":
        credit_bench.hacking(seeds=_first(seeds, 3), as_json=as_json)
        return
    if suite in ("relabel", "delayed"):
        _bench_hindsight(suite, out or Path("results") / suite, seeds, steps, as_json)
        return
    loaded = suites.load_suite(suite)
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


def _bench_hindsight(
    suite: str, folder: Path, seeds: str | None, steps: int | None, as_json: bool
) -> None:
    from densegym.cli import hindsight_bench

    chosen = parse_seeds(seeds) if seeds is not None else (0, 1, 2)
    if suite == "relabel":
        hindsight_bench.relabel(seeds=chosen, folder=folder, as_json=as_json)
    else:
        hindsight_bench.delayed(seeds=chosen, steps=steps, folder=folder, as_json=as_json)


def _bench_render(as_json: bool) -> None:
    from densegym.agents.render_speed import measure

    with _CONSOLE.status("drawing a Meta-World task, a few seconds"):
        figures = measure()
    _print_figures(figures, as_json)


def _bench_overhead(as_json: bool) -> None:
    from densegym.agents.overhead import measure

    with _CONSOLE.status("measuring the cost of rewards per step, about a minute"):
        figures = measure()
    _print_figures(figures, as_json)


def _bench_nethack(as_json: bool) -> None:
    require("nle", extra="nethack")
    from densegym.envs.nethack.speed import measure

    with _CONSOLE.status("measuring NetHack steps, about two minutes"):
        figures = measure()
    _print_figures(figures, as_json)


def _print_figures(figures: Mapping[str, Any], as_json: bool) -> None:
    for name, value in figures.items():
        _CONSOLE.print(f"{name:40} {value}")
    if as_json:
        print(json.dumps(figures))


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
    from densegym.agents.report import write_report
    from densegym.agents.tables import to_text

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
