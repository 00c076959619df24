"""Plays episodes of a finished run and films them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from densegym.agents.films.film import record, write_film, write_plain
from densegym.agents.films.footage import Footage
from densegym.agents.training.config import TrainConfig
from densegym.agents.training.folders import slug
from densegym.agents.training.load import load_learner
from densegym.agents.training.results import load_run
from densegym.envs.tasks import task_card
from densegym.errors import ResultsError
from densegym.reward_models.spec import RewardSpec, in_words

Told = Callable[[str, int, int], None]
"""Is given what is done, how far, and of how many."""


@dataclass(frozen=True, slots=True)
class Played:
    """A filmed episode.

    Attributes:
        seed: of the episode.
        footage: what was seen.
        files: the film and the strip.
    """

    seed: int
    footage: Footage
    files: Sequence[Path]


def play(
    folder: Path,
    *,
    seeds: Sequence[int] = (0,),
    reward: RewardSpec = None,
    drawn: bool = False,
    out: Path | None = None,
    plain: bool = False,
    tell: Told = lambda what, done, total: None,
) -> list[Played]:
    """Play an episode per seed and write a film and a strip of each.

    Args:
        folder: of a finished run.
        seeds: of the episodes.
        reward: what judges them instead of the run's own reward.
        drawn: draw actions instead of taking the likeliest.
        out: where to write; the run's ``media`` by default, which reports show.
        plain: write films of the pictures alone, too, for ``densegym score``.
        tell: told about the progress of every episode.

    Raises:
        ResultsError: no such run, an unfinished or a damaged one.
        DenseGymError: a world that draws no pictures.
    """
    _check_finished(folder)
    learner, config = load_learner(folder)
    played = []
    try:
        load_run(folder)
        for seed in seeds:
            footage = record(
                learner.policy(deterministic=not drawn),
                config.env,
                config.reward if reward is None else reward,
                seed=seed,
                title=_title(config, reward, seed),
                trained=learner.engine if reward is None else None,
                on_step=partial(tell, f"playing seed {seed}"),
                **config.env_kwargs,
            )
            stem, media = slug(footage.title), out or folder / "media"
            files = write_film(footage, media, stem, partial(tell, f"filming seed {seed}"))
            files += write_plain(footage, media, stem) if plain else []
            played.append(Played(seed, footage, files))
    finally:
        learner.close()
    return played


def _title(config: TrainConfig, reward: RewardSpec, seed: int) -> str:
    card = task_card(config.env)
    shown = f"{config.env.removeprefix('DenseGym/')}  seed {seed}"  # first: long names are cut
    own = in_words(config.reward, task=card)
    if reward is None:
        return f"{shown}  {own}"
    return f"{shown}  {in_words(reward, task=card)}  (trained on {own})"


def _check_finished(folder: Path) -> None:
    partial = folder if folder.suffix == ".partial" else folder.with_name(f"{folder.name}.partial")
    if partial.is_dir() and not (folder / "final.json").is_file():
        raise ResultsError(
            f"{partial} is not finished. Go on with the command that began it and --resume, or "
            f"film its last checkpoint: densegym eval {partial} --film FOLDER"
        )
