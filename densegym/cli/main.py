"""The ``densegym`` command and how it fails: one line on stderr, exit code 2."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

import densegym
from densegym.cli import (
    author,
    bench,
    captions,
    episodes,
    market,
    progress_models,
    sharing,
    shop,
    tasks,
    training,
    worlds,
)
from densegym.cli.shared.usage import UsageError, sentence
from densegym.errors import DenseGymError, Interrupted
from densegym.requirements import missing_extra

app = typer.Typer(
    name="densegym",
    help="Learned dense rewards for reinforcement-learning environments.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
worlds.add_to(app)
tasks.add_to(app)
training.add_to(app)
bench.add_to(app)
episodes.add_to(app)
author.add_to(app)
captions.add_to(app)
progress_models.add_to(app)
shop.add_to(app)
market.add_to(app)
sharing.add_to(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"densegym {densegym.__version__}")
        raise typer.Exit()


@app.callback()
def everywhere(
    module: Annotated[
        list[str] | None,
        typer.Option(
            tasks.IMPORT, help="Import a module that registers environments; may be repeated."
        ),
    ] = None,
    card: Annotated[
        list[Path] | None,
        typer.Option(tasks.CARD, help="A task card: densegym task draft ID > card.toml."),
    ] = None,
    quiet: Annotated[
        bool, typer.Option(tasks.QUIET, help="Print JSON and errors alone, without progress.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and stop.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Learned dense rewards for reinforcement-learning environments.

    --import, --card and --quiet stand before or behind any verb:

      densegym train CartPole-v1 --card card.toml --quiet

    Exit codes: 0 done; 1 it was done and something does not hold, or a run
    failed; 2 wrong use; 130 stopped by Ctrl-C or SIGTERM.
    """
    # Those three were carried out by take_worlds; they are declared for --help.


def main() -> None:
    """Run the command line."""
    words = sys.argv[1:]
    try:
        words = tasks.take_worlds(words)
        sys.exit(app(words, prog_name="densegym", standalone_mode=False))
    except DenseGymError as error:
        _fail(str(error), 130 if isinstance(error, Interrupted) else 2)
    except ModuleNotFoundError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        _fail(str(missing), 2)
    except UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # which was shown
            sys.exit(2)
        _fail(sentence(error, words), 2)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)


def _fail(why: str, code: int) -> NoReturn:
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print("error:", why, markup=False)
    sys.exit(code)


if __name__ == "__main__":
    main()
