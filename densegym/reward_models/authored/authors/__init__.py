"""Authors of reward programs by name: with a language model, and the controls without one."""

from __future__ import annotations

import importlib

from densegym.errors import unknown
from densegym.reward_models.authored.author import Author

_ROOM = "densegym.reward_models.authored.authors"
AUTHORS: dict[str, tuple[str, str]] = {
    "eureka": ("eureka:Eureka", "K samples, then mutation of the best by reward reflection"),
    "text2reward": ("text2reward:Text2Reward", "zero- or few-shot on a compact abstraction"),
    "auto-mc": ("auto_mc:AutoMC", "designer, critic and trajectory analyzer; only signs count"),
    "card": ("card:Card", "one program, introspected until the screens pass"),
    "revolve": ("revolve:Revolve", "islands with mutation, crossover and migration"),
    "l2r": ("l2r:L2R", "a motion description turned into weights of fixed cost terms"),
    "lare": ("lare:LaRe", "latent factors for credit assignment; trains nothing by itself"),
    "heron": ("heron:Heron", "ranked factors, aggregated by preference instead of weights"),
    "random": ("uniform:Uniform", "control: uniform programs of the grammar"),
    "random-screen": ("uniform:ScreenedUniform", "control: the same, screened before training"),
    "gp": ("genetic:Genetic", "control: genetic programming over the grammar"),
    "cmaes": ("cmaes:WeightSearch", "control: CMA-ES on the weights of fixed cost terms"),
}


def find_author(name: str) -> Author:
    """Return an author by the name typed after ``--author``.

    Raises:
        UnknownNameError: no such author; names the closest.
    """
    if name not in AUTHORS:
        raise unknown("author", name, AUTHORS, see="densegym author authors")
    module, _, attribute = AUTHORS[name][0].partition(":")
    author: Author = getattr(importlib.import_module(f"{_ROOM}.{module}"), attribute)()
    return author
