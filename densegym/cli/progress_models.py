"""The verbs ``demos`` and ``fit``: demonstrations for progress models, and the models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from densegym.cli.shared.options import (
    CONSOLE,
    Json,
    JsonLine,
    seed_option,
    stderr,
    table_console,
)
from densegym.cli.shared.progress import bank_bar, counting
from densegym.envs import tasks
from densegym.errors import DenseGymError, Interrupted, require, unknown

_DEMOS = typer.Typer(no_args_is_help=True, help="Demonstrations for progress models.")


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.add_typer(_DEMOS, name="demos")
    app.command()(fit)


@_DEMOS.command()
def collect(
    env: Annotated[
        str,
        typer.Argument(help="A task with a scripted expert, or any with --expert."),
    ],
    episodes: Annotated[int, typer.Option(min=1, help="Expert episodes for training.")] = 10,
    seed: Annotated[int, seed_option("Seed of placements and noise.")] = 0,
    expert: Annotated[
        str | None,
        typer.Option(
            help="Who acts as the expert: FILE.py with act(obs), MODULE:FUNCTION, a run's folder, "
            "or an SB3 model file (.zip)."
        ),
    ] = None,
    algo: Annotated[str, typer.Option(help="Learner of an SB3 model file.")] = "ppo",
    lanes: Annotated[int, typer.Option(min=1, help="Processes that collect side by side.")] = 1,
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="Collect episodes of this policy alone, which judges are only evaluated on; "
            "given as --expert is, several times."
        ),
    ] = None,
) -> None:
    """Collect expert episodes, four kinds of failure and episodes of other controllers.

    They become Minari datasets on this machine. 16 more expert episodes and
    as many of the others are kept for evaluation, on placements that training
    never sees; one controller, a planner, acts there alone. Ctrl-C loses
    nothing: the same command goes on.

    Examples:
      densegym demos collect DenseGym/ButtonPress-v0 --episodes 20

      densegym demos collect DenseGym/PointMaze_Open-v0 --expert controller.py

      densegym demos collect CartPole-v1 --expert results/train/CartPole-v1/env/ppo/seed-0

      densegym demos collect DenseGym/FaucetOpen-v0 --against results/train/.../seed-0
    """
    require("minari", extra="demos")
    import gymnasium as gym

    from densegym.agents.collecting import demos as collecting
    from densegym.agents.collecting import policy_demos
    from densegym.agents.collecting.journal import journal_of
    from densegym.agents.collecting.policies import Brought, policy_of
    from densegym.agents.training.guards import stoppable
    from densegym.envs.registration import named_spec
    from densegym.reward_models.progress.demos import Look

    if against and expert is not None:
        raise DenseGymError("--against collects nothing else; leave out --expert")
    world = gym.make(named_spec(env))
    if against:
        acts = [policy_of(text, env, algo) for text in against]
        with bank_bar("collecting episodes") as tell:
            found = policy_demos.collect_policies(env, acts, seed=seed, on_episode=tell)
        _keep(found, env, Look(found.cameras), world)
        world.close()
        return
    if expert is not None:
        policy_of(expert, env, algo)  # refused here rather than in every lane
    journal = journal_of(env, episodes=episodes, seed=seed, expert=expert, algo=algo)
    if journal.count():
        CONSOLE.print(f"going on with {journal.count()} episodes from before")
    try:
        with stoppable(), bank_bar("collecting episodes") as tell:
            found = collecting.collect(
                env,
                episodes=episodes,
                seed=seed,
                expert=None if expert is None else Brought(expert, env, algo),
                journal=journal,
                lanes=lanes,
                on_episode=tell,
            )
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped with {journal.count()} episodes, which are kept; the same command goes on"
        ) from None
    _keep(found, env, Look(found.cameras), world)
    journal.clear()
    world.close()


@_DEMOS.command(name="import")
def import_(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Films, folders of pictures or of films, LeRobot folders, Minari ids; several."
        ),
    ],
    task: Annotated[str, typer.Option(help="Environment id.")],
    kind: Annotated[
        str, typer.Option(help="What they show: expert, or a failure: random, stall, ...")
    ] = "expert",
    done: Annotated[
        int, typer.Option(min=1, help="Last pictures of a success that show the task done.")
    ] = 1,
    every: Annotated[int, typer.Option(min=1, help="Keep every so many-th picture.")] = 1,
    view: Annotated[
        list[str] | None, typer.Option(help="Pictures of a data set by name, one per camera.")
    ] = None,
    camera: Annotated[
        list[str] | None,
        typer.Option(help="The world's camera that shows the same; its render() by default."),
    ] = None,
    size: Annotated[int, typer.Option(min=32, help="Pixels of a judge's pictures.")] = 64,
    seed: Annotated[int, seed_option("Seed of failures that are made.")] = 0,
) -> None:
    """Make demonstrations of films and data sets, for worlds without an expert.

    Attempts that start differently are split into those to learn from and
    those for evaluation. With successes come two kinds of failure: random
    actions, which the world plays, and successes that stop half-way.

    Minari data sets without pictures are played again in the world.

    Examples:
      densegym demos import films/*.mp4 --task DenseGym/PointMaze_Open-v0

      densegym demos import attempts/ --task Toy/Reach-v0 --import my_world --done 5

      densegym demos import failed/*.mp4 --task Toy/Reach-v0 --import my_world --kind stall

      densegym demos import lerobot/pusht --view observation.images.top --task Toy/Push-v0

      densegym demos import cartpole/mine-v0 --task CartPole-v1
    """
    require("minari", extra="demos")
    from densegym.agents.collecting import imports, replays
    from densegym.agents.collecting import sources as reading
    from densegym.reward_models.progress.demos import KINDS, Look

    if kind not in KINDS:
        raise unknown("kind of demonstration", kind, KINDS)
    if len(sources) == 1 and reading.is_recording_only(sources[0]):
        with bank_bar("playing episodes") as tell:
            found = replays.replay(task, sources[0], seed=seed, size=size, on_episode=tell)
        _keep(found, task, Look(found.cameras), None)
        return
    options = imports.Importing(
        kind=kind,
        size=size,
        every=every,
        done=done,
        views=tuple(view or ()),
        camera=tuple(camera or ()),
        seed=seed,
    )
    with counting("attempts read") as count:
        found, look = imports.import_demos(task, sources, options, on_attempt=count)
    _keep(found, task, look, None)


def _keep(found: Any, env: str, look: Any, world: Any) -> None:
    """Save demonstrations by kind and say how many there are."""
    from densegym.reward_models.progress import demos as files

    for kind in reversed(found.rejected):  # experts last: without them a set counts as missing
        kept = [demo for demo in found.demos if demo.kind == kind]
        name = files.save(kept, env, kind, env=world, cameras=look.cameras, pretty=look.pretty)
        held = sum(demo.held_out for demo in kept)
        CONSOLE.print(
            f"{name}: {len(kept)} episodes, {held} of them for evaluation; "
            f"{found.rejected[kind]} attempts had the wrong outcome"
        )


@_DEMOS.command(name="list")
def show(as_json: Json = False) -> None:
    """List the demonstrations on this machine.

    Example:
      densegym demos list
    """
    minari: Any = require("minari", extra="demos")
    names = [n for n in sorted(minari.list_local_datasets()) if n.startswith("densegym/")]
    if as_json:
        print(json.dumps(names))
        return
    for name in names:
        CONSOLE.print(name)


def fit(
    model: Annotated[str, typer.Argument(help="progress/local.")],
    task: Annotated[str, typer.Option(help="Environment id.")],
    updates: Annotated[int | None, typer.Option(min=1, help="Gradient steps.")] = None,
    seed: Annotated[int, seed_option("Seed of weights and batches.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Weights file; the cache by default.")] = None,
    episodes: Annotated[
        int | None,
        typer.Option(
            min=1, help="Learn from so few expert episodes, random ones and parts of the few."
        ),
    ] = None,
    adapt: Annotated[
        Path | None, typer.Option(help="Weights of another task to go on from.")
    ] = None,
    check: Annotated[
        bool,
        typer.Option(help="Train nothing: evaluate the weights that are there (--out) again."),
    ] = False,
    leave_one_out: Annotated[
        bool, typer.Option(help="Also train without each kind of failure and report it.")
    ] = False,
    as_json: JsonLine = False,
) -> None:
    """Train a progress model from demonstrations and print the evaluation protocol.

    Exits with 1 where the model does not pass; its weights are kept, and taken
    by "unchecked": true alone.

    Examples:
      densegym fit progress/local --task DenseGym/ButtonPress-v0

      densegym fit progress/local --task DenseGym/DrawerOpen-v0 --episodes 1

      densegym fit progress/local --task DenseGym/DrawerOpen-v0 --episodes 1 --adapt FILE

      densegym fit progress/local --task DenseGym/FaucetOpen-v0 --check
    """
    if model != "progress/local":
        raise unknown("model that can be fitted", model, ["progress/local"])
    if leave_one_out and (episodes is not None or adapt is not None):
        raise DenseGymError("--leave-one-out learns from all episodes; leave out the others")
    card = tasks.task_card(task)
    require("torch", extra="agents")
    from densegym.reward_models.progress.local import fitting

    if check and (leave_one_out or any(given is not None for given in (updates, episodes, adapt))):
        raise DenseGymError("--check trains nothing; leave out what says how to")
    with bank_bar("learning") as tell:
        fitted = (
            fitting.check_local(card, weights=out)
            if check
            else fitting.fit_local(
                card,
                updates=updates,
                seed=seed,
                out=out,
                episodes=episodes,
                adapt=adapt,
                on_update=tell,
            )
        )
        left_out = fitting.leave_one_out(card, updates=updates, seed=seed) if leave_one_out else {}
    if as_json:
        print(json.dumps({**fitted.as_dict(), "left_out": left_out}))
    else:
        _show(fitted.rows(), left_out)
        CONSOLE.print(
            f"trained in {fitted.cost['cpu_s']:.0f} CPU s; curve {fitted.curve:g}; "
            f"weights: {fitted.path}"
        )
    for control, reached in fitted.void.items():
        stderr().print(
            f"{control} reach the bar of {', '.join(reached)}: on these episodes it says nothing",
            style="yellow",
        )
    if not fitted.passed:
        missed = "; ".join(fitted.evaluation.missed)
        stderr().print(f"the judge did not pass its evaluation: {missed}", style="yellow")
        raise typer.Exit(1)


def _show(rows: dict[str, dict[str, Any]], left_out: dict[str, float]) -> None:
    table = Table("measure", *rows, header_style="bold")
    for key in dict.fromkeys(key for row in rows.values() for key in row):
        table.add_row(key, *(_text(row.get(key)) for row in rows.values()))
    for kind, value in left_out.items():
        table.add_row(f"gap/{kind} when untrained on it", _text(value))
    table_console(100).print(table)


def _text(value: Any) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
