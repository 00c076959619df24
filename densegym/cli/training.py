"""The verbs that work: ``train`` and ``eval``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from densegym.agents.training.algorithms import algorithm_names, find_algorithm
from densegym.cli.shared.options import (
    CONSOLE,
    Drawn,
    JsonLine,
    Protocol,
    Reward,
    seed_option,
    stderr,
)
from densegym.cli.shared.progress import run_bar
from densegym.envs import tasks
from densegym.envs.protocols import OWN
from densegym.errors import DenseGymError, require
from densegym.reward_models.spec import check, from_text, label

Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="key=value: a run setting, a hyper-parameter, policy.<k>, env.<k>, extra.<k>."
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.command()(train)
    app.command(name="eval")(evaluate)


def train(
    env: Annotated[str, typer.Argument(help="Environment id, e.g. DenseGym/ButtonPress-v0.")],
    reward: Reward = "env",
    algo: Annotated[str, typer.Option(help=f"{', '.join(algorithm_names())}.")] = "ppo",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Environment steps; the preset's if left out.")
    ] = None,
    seed: Annotated[int, seed_option("Seed of everything.")] = 0,
    protocol: Protocol = None,
    settings: Sets = None,
    out: Annotated[Path, typer.Option(help="Results folder.")] = Path("results/train"),
    resume: Annotated[bool, typer.Option(help="Go on from the run's last checkpoint.")] = False,
    film: Annotated[bool, typer.Option(help="Film the trained policy.")] = False,
    callback: Annotated[
        list[str] | None,
        typer.Option(help="module:Class of an SB3 callback, found here too; may be repeated."),
    ] = None,
    log: Annotated[
        str, typer.Option(help="Comma-separated: tensorboard, wandb, mlflow, trackio; or none.")
    ] = "tensorboard",
    as_json: JsonLine = False,
) -> None:
    """Train an agent; evaluate it on the world's own outcome.

    Examples:
      densegym train DenseGym/ButtonPress-v0 --reward authored

      densegym train DenseGym/FetchReach-v0 --algo tqc

      densegym train DenseGym/ButtonPress-v0 --reward expert --steps 50000 --set n_envs=8

      densegym train DenseGym/ButtonPress-v0 --reward '{"model": "authored", "scale": 0.5}'

      densegym train DenseGym/HopperForward-v0 --reward credit/uniform

      densegym train DenseGym/ButtonPress-v0 --protocol metaworld-500

      densegym train DenseGym/ButtonPress-v0 --log tensorboard,wandb --callback my_module:MyCallback
    """
    card = tasks.task_card(env)
    spec = from_text(reward)
    name = label(spec, task=card)  # unknown names are refused before anything heavy loads
    check(spec, task=card)
    find_algorithm(algo)
    if "numbers" not in card.gives and tasks.find_world(env) is not None:
        raise DenseGymError(
            f"{env} is played in text actions, which {algo} does not write; use "
            "DenseGym/ShopChoice-v0, or an agent that writes: densegym shop eval"
        )
    require("stable_baselines3", extra="agents")
    from densegym.agents.films.film import film_learner
    from densegym.agents.tracking.trackers import check_trackers
    from densegym.agents.training.callbacks import load_callbacks
    from densegym.agents.training.config import resolve
    from densegym.agents.training.folders import run_folder
    from densegym.agents.training.run import train as carry_out

    config = resolve(
        env,
        reward=spec,
        algo=algo,
        seed=seed,
        steps=steps,
        protocol=protocol or OWN,
        overrides=settings or (),
    )
    trackers = [] if log == "none" else [name.strip() for name in log.split(",")]
    check_trackers(trackers)
    callbacks = load_callbacks(callback or ())
    folder = run_folder(out, config)
    after = {"filming": film_learner} if film else {}
    with run_bar(f"{env} {name} {algo} seed {seed}, protocol {config.protocol}") as tell:
        done = carry_out(
            config,
            folder,
            resume=resume,
            after=after,
            callbacks=callbacks,
            log=trackers,
            on_progress=tell,
        )
    _print_outcome(done, as_json)


def _print_outcome(folder: Path, as_json: bool) -> None:
    from densegym.agents.training.results import load_run
    from densegym.envs.terms import meta_terms

    run = load_run(folder)
    terms = meta_terms(run.meta)
    if as_json:
        told = {
            "run": str(folder),
            "env": run.meta["env"],
            "reward": run.meta["reward"],
            "steps": run.meta["steps"],
            "episodes": len(run.return_env),
            "success": run.success_rate,
            "return_env": float(run.return_env.mean()),
            "protocol": run.meta.get("protocol", OWN),
            "cpu_s": run.meta["cpu_s"],
            "media": [str(path) for path in sorted(folder.glob("media/*"))],
        }
        print(json.dumps(told))
        return
    ends = run.meta["terminate_on_success"]
    rule = (
        "" if ends is None else f"; training episodes {'ended' if ends else 'went on'} at success"
    )
    success = (
        "the world tells no success"
        if run.success_rate is None
        else f"success {run.success_rate:.2f} (drawn actions {run.success_stochastic.mean():.2f})"
    )
    CONSOLE.print(
        f"{success}, return/env {run.return_env.mean():.3f} over {len(run.success)} episodes{rule}"
    )
    if terms is not None:
        CONSOLE.print(f"protocol {terms}{_levels(run, terms)}")
    for name, seen in run.measures.items():
        CONSOLE.print(f"{name}: {seen.mean():.3f}")
    card = tasks.task_card(run.meta["env"])
    if card.family == "market":  # the best constant always stands beside a learner
        CONSOLE.print(card.goal)
    CONSOLE.print(f"run: {folder}")
    if (folder / "tensorboard").is_dir():
        CONSOLE.print(f"curves: tensorboard --logdir {folder}/tensorboard")
    for path in sorted(folder.glob("media/*")):
        CONSOLE.print(f"film: {path}")


def _levels(run: Any, terms: Any) -> str:
    """Return latched and last-step success, chance levels and ceiling, as far as they are known."""
    from densegym.envs.terms import beside

    seen = {"latched": run.latched, "last step": run.last}
    rates = {name: float(column.mean()) for name, column in seen.items() if column is not None}
    rates |= {
        name.replace("_", " "): rate
        for name, rate in beside(run.meta["env"], terms).items()
        if rate is not None
    }
    return "".join(f"; {name} {rate:.2f}" for name, rate in rates.items())


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a finished or unfinished run.")],
    episodes: Annotated[int, typer.Option(min=1, help="Episodes to play.")] = 100,
    seed: Annotated[int, seed_option("Seed of the first episode.")] = 0,
    protocol: Protocol = None,
    drawn: Drawn = False,
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

      densegym eval results/train/.../seed-0 --protocol metaworld-500
    """
    require("stable_baselines3", extra="agents")
    from densegym.agents.bench.statistics import wilson
    from densegym.agents.training.load import load_learner
    from densegym.cli.shared.progress import episode_bar
    from densegym.envs.terms import beside

    learner, config = load_learner(run)
    try:
        if protocol is not None:
            config = learner.judge_under(protocol, config)
        terms = config.terms()
        with episode_bar(episodes) as tell:
            seen = learner.evaluate(
                episodes=episodes, seed=seed, deterministic=not drawn, on_episode=tell
            )
        if episodes_to is not None:
            from densegym.agents.collecting.recording import record_episodes

            record_episodes(
                episodes_to,
                config.env,
                learner.policy(deterministic=not drawn),
                episodes=episodes,
                seed=seed,
                env_kwargs=config.env_kwargs,
                protocol=config.protocol,
            )
            stderr().print(f"episodes: {episodes_to}")
        if film is not None:
            from densegym.agents.films.film import record, write_film

            policy = learner.policy(deterministic=not drawn)
            footage = record(
                policy,
                config.env,
                config.reward,
                seed=seed,
                trained=learner.engine,
                protocol=config.protocol,
                **config.env_kwargs,
            )
            for path in write_film(footage, film, f"{run.name}-episode-{seed}"):
                stderr().print(f"film: {path}")
    finally:
        learner.close()
    rate = seen.success_rate
    outcome: dict[str, Any] = {
        "env": config.env,
        **terms.as_dict(),
        "episodes": episodes,
        "success": rate,
        "success_wilson_95": None if rate is None else wilson(float(seen.success.sum()), episodes),
        "return_env": float(seen.return_env.mean()),
        "length": float(seen.length.mean()),
        "success_latched": None if seen.latched is None else float(seen.latched.mean()),
        "success_last": None if seen.last is None else float(seen.last.mean()),
        **beside(config.env, terms),
    }
    print(json.dumps(outcome))
