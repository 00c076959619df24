"""The verbs on episodes: ``play`` a policy, ``score`` a film, ``relabel`` what was stored.

All say what a reward sees, or would have paid.
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from densegym.agents.studies.study import parse_seeds
from densegym.cli.shared.options import CONSOLE, Drawn, JsonLine, Reward, seed_option
from densegym.cli.shared.progress import bank_bar, episode_bar, step_bar
from densegym.envs import tasks
from densegym.errors import require
from densegym.reward_models import episodes as files
from densegym.reward_models.spec import build_engine, from_text, label

_LANES = 16


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.command()(play)
    app.command()(score)
    app.command()(relabel)


def play(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    seeds: Annotated[str, typer.Option(help="Such as 0,1,2 or 0-4; an episode each.")] = "0",
    reward: Annotated[
        str | None, typer.Option(help="Let another reward judge the episode: a name, or JSON.")
    ] = None,
    drawn: Drawn = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; the run's own media by default.")
    ] = None,
    plain: Annotated[
        bool, typer.Option(help="Write films of the pictures alone, too, for densegym score.")
    ] = False,
    as_json: JsonLine = False,
) -> None:
    """Play a trained run and film it, with what its reward saw drawn below.

    Writes a film (mp4) and a strip of pictures (png) of every episode.
    Beside the scene are the pictures that a judge saw. Drawn are the
    potential, hops and abstentions of a progress reward and how sure it is
    that the task is done, or what other rewards paid, and the true
    success. A report (densegym report) shows those in the run's own folder.

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
        played = carry_out(
            run, seeds=chosen, reward=spec, drawn=drawn, out=out, plain=plain, tell=tell
        )
    if as_json:
        told = [
            {
                "seed": episode.seed,
                "outcome": episode.footage.outcome,
                "paid": float(episode.footage.paid.sum()),
                "files": [str(path) for path in episode.files],
            }
            for episode in played
        ]
        print(json.dumps(told))
        return
    for episode in played:
        seen = episode.footage
        phi = "" if seen.phi is None else f", highest potential {seen.phi.max():.2f}"
        CONSOLE.print(f"seed {episode.seed}: {seen.outcome}, paid {seen.paid.sum():.2f}{phi}")
        for path in episode.files:
            CONSOLE.print(str(path))


def score(
    films: Annotated[
        list[str],
        typer.Argument(help="A film or folder of pictures; of several cameras, one for each."),
    ],
    reward: Annotated[str, typer.Option(help="A progress reward: a name, or JSON of a dict.")],
    task: Annotated[str, typer.Option(help="Environment id, whose fitted judge is meant.")] = "",
    sentence: Annotated[str, typer.Option(help="What is to be done, for judges that read.")] = "",
    every: Annotated[
        int | None,
        typer.Option(min=1, help="Judge every so many-th picture; 60 in all by default."),
    ] = None,
    online: Annotated[
        bool, typer.Option(help="Judge as in training, even what could see the whole film.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Draw pictures and curve into this file (png).")
    ] = None,
    seed: Annotated[int, seed_option("Seed of judges that draw numbers.")] = 0,
    as_json: JsonLine = False,
) -> None:
    """Score a film by a progress reward: how far, and whether it is done.

    Nothing is played, so films of any robot will do. GVL is shown all pictures
    in one question, shuffled, as published; others judge as in training.

    Examples:
      densegym score attempt.mp4 --reward progress/local --task Toy/Cup-v0 --import my_world

      densegym score top.mp4 behind.mp4 --reward progress/local --task DenseGym/ButtonPress-v0

      densegym score a.mp4 --sentence "Open it." --reward '{"model": "progress/gvl", "served": "M"}'
    """
    from densegym.agents.films.scores import score as carry_out

    with bank_bar("judging pictures") as tell:
        scored = carry_out(
            films,
            from_text(reward),
            task=task,
            sentence=sentence,
            every=every,
            whole=not online,
            seed=seed,
            on_picture=tell,
        )
    if out is not None:
        scored.draw(out)
    told = scored.as_dict()
    if as_json:
        print(json.dumps(told))
        return
    silent = f", silent at {told['abstained']}" if told["abstained"] else ""
    done = [value for value in told["done"] if value is not None]
    sure = f", done {done[-1]:.2f}" if done else ""
    CONSOLE.print(f"{scored.name}: {len(told['phi'])} pictures{silent}")
    CONSOLE.print(scored.line())
    CONSOLE.print(f"Φ {told['last_phi']:.2f} at the end, {told['largest_phi']:.2f} at most{sure}")
    if out is not None:
        CONSOLE.print(f"wrote {out}")


def relabel(
    episodes: Annotated[Path, typer.Argument(help="Episodes: densegym eval RUN --record FILE.")],
    reward: Reward,
    out: Annotated[Path | None, typer.Option(help="Where to write the relabelled file.")] = None,
    seed: Annotated[int, seed_option("Seed of rewards that draw numbers.")] = 0,
    as_json: JsonLine = False,
) -> None:
    """Recompute the rewards of stored episodes with another reward.

    Rewards of whole episodes are paid as in training. The world's own reward stays as it was.

    Examples:
      densegym eval results/train/.../seed-0 --episodes 50 --record hopper.npz

      densegym relabel hopper.npz --reward credit/uniform --out hopper-uniform.npz
    """
    stored = files.load_episodes(episodes)
    card = tasks.task_card(stored.task)
    spec = from_text(reward)
    name = label(spec, task=card)
    engine = build_engine(spec, min(_LANES, len(stored.episodes)), task=card, seed=seed)
    engine.show()
    with episode_bar(len(stored.episodes)) as tell:
        paid = files.relabel(engine, stored.episodes, on_episode=tell)
    changed = [
        dataclasses.replace(episode, dense_reward=dense)
        for episode, dense in zip(stored.episodes, paid, strict=True)
    ]
    rows = {stored.reward: files.summary(stored.episodes), name: files.summary(changed)}
    if out is not None:
        files.save_episodes(out, files.EpisodeFile(stored.task, name, changed))
    if as_json:
        finite = {k: v if math.isfinite(v) else None for k, v in rows[name].items()}
        print(json.dumps({"env": stored.task, "reward": name, **finite}))
        return
    CONSOLE.print(_table(stored.task, len(changed), rows))
    if out is not None:
        CONSOLE.print(f"wrote {out}")


def _table(task: str, count: int, rows: dict[str, dict[str, float]]) -> Table:
    table = Table(title=f"{count} episodes of {task}")
    table.add_column("reward")
    keys = list(next(iter(rows.values())))
    for key in keys:
        table.add_column(key, justify="right")
    for name, row in rows.items():
        table.add_row(name, *(f"{row[key]:.4g}" for key in keys))
    return table
