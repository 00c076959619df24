"""The verbs of task cards, and the options of any verb that tell DenseGym about other worlds."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from densegym.cli.shared.options import CONSOLE, Json, seed_option
from densegym.errors import DenseGymError

IMPORT, CARD, QUIET = "--import", "--card", "--quiet"
task = typer.Typer(no_args_is_help=True, help="Task cards of environments of others and of yours.")


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.add_typer(task, name="task")


@task.command()
def draft(
    env: Annotated[str, typer.Argument(help="Any id that Gymnasium knows, or MODULE:ID.")],
    seed: Annotated[int, seed_option("Of the random episodes.")] = 0,
) -> None:
    """Print a card, drafted from the spaces and a few random episodes of an environment.

    Fill it in, and give it to any verb with --card FILE. Success is told in info
    (is_success), by the end of the episode (terminated, truncated), by an
    expression over the features, steps and return_env, or not at all (none).

    Examples:
      densegym task draft CartPole-v1 > card.toml

      densegym train CartPole-v1 --card card.toml
    """
    from densegym.envs.custom.files import to_toml
    from densegym.envs.custom.registry import drafted

    found = drafted(env, seed)
    print(to_toml(found.card, found.success), end="")


@task.command()
def check(
    card: Annotated[Path, typer.Argument(help="A card file.")],
    as_json: Json = False,
) -> None:
    """Check a card against its environment.

    Example:
      densegym task check card.toml
    """
    from densegym.envs.custom.register import register_card

    found = register_card(card)
    if as_json:
        print(json.dumps(dataclasses.asdict(found)))
        return
    names = ", ".join(feature.name for feature in found.features) or "none"
    CONSOLE.print(f"{found.id}: success is {found.success}; features: {names}")


def take_worlds(words: list[str]) -> list[str]:
    """Carry out ``--import``, ``--card`` and ``--quiet``, wherever they stand; return the rest.

    Raises:
        DenseGymError: one lacks its value, or what it names cannot be used.
    """
    rest, given = [], []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        name, equals, value = word.partition("=")
        if word == "--":
            rest += [word, *queue]
            break
        if word == QUIET:
            CONSOLE.quiet = True
            continue
        if name not in (IMPORT, CARD):
            rest.append(word)
            continue
        if not equals:
            if not queue:
                raise DenseGymError(f"{name} needs a value: {_example(name)}")
            value = queue.pop(0)
        given.append((name, value))
    for name, value in sorted(given, key=lambda pair: pair[0] == CARD):  # modules first
        _use(name, value)
    return rest


def _use(name: str, value: str) -> None:
    if name == IMPORT:
        from densegym.envs.custom.registry import import_for_all

        import_for_all(value)
    else:
        from densegym.envs.custom.register import register_card

        register_card(Path(value))


def _example(name: str) -> str:
    return f"{IMPORT} my_envs" if name == IMPORT else f"{CARD} card.toml"
