"""The verbs of markets: ``parity``, ``table``, ``bench``, ``film``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from densegym.cli.shared.options import CONSOLE, Json, seed_option, table_console
from densegym.errors import DenseGymError, require

market = typer.Typer(no_args_is_help=True, help="Markets of rivals: parity, baselines, pictures.")


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.add_typer(market, name="market")


@market.command()
def parity(
    fixtures: Annotated[Path, typer.Option(help="Folder or file of recorded episodes.")],
) -> None:
    """Replay recorded episodes of the reference; one JSON object, exit 0 if tolerances hold.

    Example:
      densegym market parity --fixtures DIR
    """
    from densegym.envs.market.parity import replay

    told = replay(fixtures)
    print(json.dumps(told))
    if not told["ok"]:
        raise typer.Exit(1)


@market.command()
def table(
    world: Annotated[str, typer.Option(help="Comma-separated markets, or all.")] = "all",
    policy: Annotated[
        str,
        typer.Option(
            help="Comma-separated: constants, tft, grim, random, nash, stackelberg, optimum, "
            "sequence."
        ),
    ] = "constants,tft,grim,random,nash,stackelberg,optimum",
    payoff: Annotated[
        str | None, typer.Option(help="paper or reference, for the five worlds of TR-3.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what players that learn nothing earn, in every mode; beside the published figures.

    Examples:
      densegym market table --world PublicGoods

      densegym market table --world all --policy constants,tft,nash --payoff reference --json
    """
    from densegym.agents.market.table import Row, beside_published
    from densegym.agents.market.table import table as rows_of
    from densegym.envs.market.params import PAYOFFS
    from densegym.errors import unknown

    if payoff is not None and payoff not in PAYOFFS:
        raise unknown("payoff", payoff, PAYOFFS)
    rows: list[Row] = rows_of(_names(world), _names(policy), payoff=payoff)
    if as_json:
        print(json.dumps([row.as_json() for row in rows]))
        return
    shown = Table("world", "player", header_style="bold")
    for column in ("private", "integrated", "cooperative", "welfare", "steps", "trust"):
        shown.add_column(column, justify="right")
    for row in rows:
        sums = (f"{row.returns[mode]:,.0f}" for mode in ("private", "integrated", "cooperative"))
        shown.add_row(
            row.world,
            row.player,
            *sums,
            f"{row.welfare:.2f}",
            f"{row.length:.1f}",
            f"{row.trust:.2f}",
        )
    table_console(130).print(shown)
    CONSOLE.print("Sums over agents of the return; welfare per agent and step of the horizon.")
    if payoff == "reference":
        for line in beside_published(rows):
            CONSOLE.print(line)


@market.command()
def bench(as_json: Json = False) -> None:
    """Measure game-steps per CPU second; exits with 1 below the bars.

    Example:
      densegym market bench
    """
    from densegym.agents.market.speed import measure

    rows = measure()
    first = rows[0]
    holds = float(first["steps_per_cpu_s"]) >= 1e6 and float(first["times_reference"]) >= 300
    if as_json:
        print(json.dumps({"rows": rows, "holds": holds}))
    else:
        for row in rows:
            CONSOLE.print(
                f"{row['world']:24} {row['games']:>4} games of {row['agents']:>2}: "
                f"{row['steps_per_cpu_s']:>10,} steps/CPU s, {row['times_reference']} x reference"
            )
        CONSOLE.print(f"{'holds ' if holds else 'MISSED'}  1,000,000 and 300 x at two agents")
    if not holds:
        raise typer.Exit(1)


@market.command()
def film(
    run: Annotated[Path, typer.Argument(help="Folder of a run on a market.")],
    out: Annotated[Path, typer.Option(help="Where the strip and the film go.")] = Path(
        "results/market"
    ),
    seed: Annotated[int, seed_option("Seed of the game.")] = 0,
) -> None:
    """Draw one game of a trained policy: trust, efforts, welfare; a strip and an mp4.

    Example:
      densegym market film results/train/DenseGym.Market-PublicGoods-v0/market.difference/ppo/seed-0
    """
    require("stable_baselines3", extra="agents")
    from densegym.agents.market.pictures import draw_strip, film, tell
    from densegym.agents.training.load import load_learner
    from densegym.envs.market.games import Setting
    from densegym.envs.tasks import find_world, task_card

    learner, config = load_learner(run)
    try:
        if task_card(config.env).family != "market":
            raise DenseGymError(f"{run} is a run on {config.env}, which is no market")
        world = find_world(config.env)
        assert world is not None
        setting = Setting(**{**world.kwargs, **config.env_kwargs})
        title = f"{setting.name}, {learner.engine.reward.name}"
        story = tell(setting, learner.policy(), seed=seed, title=title)
    finally:
        learner.close()
    stem = f"{setting.name}-{learner.engine.reward.name.replace('/', '.')}-seed-{config.seed}"
    for path in (draw_strip(story, out / f"{stem}.png"), film(story, out / f"{stem}.mp4")):
        CONSOLE.print(f"wrote {path}")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]
