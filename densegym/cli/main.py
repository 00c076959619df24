"""The ``densegym`` command and how it fails: one line on stderr, exit code 2."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from densegym.cli import (
    author,
    bench,
    captions,
    episodes,
    market,
    progress_models,
    sharing,
    shop,
    training,
    worlds,
)
from densegym.errors import DenseGymError, Interrupted

app = typer.Typer(
    name="densegym",
    help="Learned dense rewards for reinforcement-learning environments.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
worlds.add_to(app)
training.add_to(app)
bench.add_to(app)
episodes.add_to(app)
author.add_to(app)
captions.add_to(app)
progress_models.add_to(app)
shop.add_to(app)
market.add_to(app)
sharing.add_to(app)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except DenseGymError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(
            "error:", str(error), markup=False
        )
        sys.exit(130 if isinstance(error, Interrupted) else 2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
