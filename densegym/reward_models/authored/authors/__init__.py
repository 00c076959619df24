"""Authors of reward programs by name: with a language model, and the controls without one."""

from __future__ import annotations

from densegym.errors import unknown
from densegym.plugins import resolve
from densegym.reward_models.authored.search.author import Author

_PACKAGE = "densegym.reward_models.authored"
AUTHORS: dict[str, tuple[str, str]] = {
    "eureka": (
        "authors.eureka:Eureka",
        "K samples, then mutation of the best by reward reflection",
    ),
    "text2reward": (
        "authors.text2reward:Text2Reward",
        "zero- or few-shot on a compact abstraction",
    ),
    "auto-mc": (
        "authors.auto_mc:AutoMC",
        "designer, critic and trajectory analyzer; only signs count",
    ),
    "card": ("authors.card:Card", "one program, introspected until the screens pass"),
    "revolve": ("authors.revolve:Revolve", "islands with mutation, crossover and migration"),
    "l2r": ("authors.l2r:L2R", "a motion description turned into weights of fixed cost terms"),
    "lare": ("authors.lare:LaRe", "latent factors for credit assignment; trains nothing by itself"),
    "heron": ("authors.heron:Heron", "ranked factors, aggregated by preference instead of weights"),
    "random": ("controls.uniform:Uniform", "control: uniform programs of the grammar"),
    "random-screen": (
        "controls.uniform:ScreenedUniform",
        "control: the same, screened before training",
    ),
    "gp": ("controls.genetic:Genetic", "control: genetic programming over the grammar"),
    "cmaes": ("controls.cmaes:WeightSearch", "control: CMA-ES on the weights of fixed cost terms"),
}


def find_author(name: str) -> Author:
    """Return an author by the name typed after ``--author``.

    Raises:
        UnknownNameError: no such author; names the closest.
    """
    if name not in AUTHORS:
        raise unknown("author", name, AUTHORS, see="densegym author authors")
    author: Author = resolve(f"{_PACKAGE}.{AUTHORS[name][0]}")()
    return author
