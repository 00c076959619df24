"""The verb ``play``: watch what a trained policy does and what a reward sees in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from densegym.agents.studies.study import parse_seeds
from densegym.cli.progress import step_bar
from densegym.errors import require
from densegym.reward_models.spec import from_text

_CONSOLE = Console(highlight=False, soft_wrap=True, markup=False)


def add_to(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(play)


def play(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    seeds: Annotated[str, typer.Option(help="Comma-separated; an episode each.")] = "0",
    reward: Annotated[
        str | None, typer.Option(help="Let another reward judge the episode: a name, or JSON.")
    ] = None,
    drawn: Annotated[
        bool, typer.Option(help="Draw actions instead of taking the likeliest.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; the run's own media by default.")
    ] = None,
) -> None:
    """Play a trained run and film it, with what its reward saw drawn below.

    Writes a film (mp4) and a strip of pictures (png) of every episode.
    Drawn are the potential, hops and abstentions of a progress reward and
    how sure it is that the task is done, or what other rewards paid, and
    the true success. densegym report shows those in the run's own folder.

    Examples:
      densegym play results/train/DenseGym.ButtonPress-v0/progress.local/ppo/seed-0

      densegym play results/train/.../seed-0 --seeds 0,1,2 --drawn

      densegym play results/train/.../seed-0 --reward progress/local --out films
    """
    spec = None if reward is None else from_text(reward)
    chosen = parse_seeds(seeds)
    require("stable_baselines3", extra="agents")
    from densegym.agents.films.play import play as carry_out

    with step_bar() as tell:
        played = carry_out(run, seeds=chosen, reward=spec, drawn=drawn, out=out, tell=tell)
    for episode in played:
        seen = episode.footage
        phi = "" if seen.phi is None else f", highest potential {seen.phi.max():.2f}"
        _CONSOLE.print(f"seed {episode.seed}: {seen.outcome}, paid {seen.paid.sum():.2f}{phi}")
        for path in episode.files:
            _CONSOLE.print(str(path))
