"""What several verbs share: options, the console they print to, files named by the user."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from densegym.envs.protocols import PROTOCOLS
from densegym.errors import DenseGymError
from densegym.values import LARGEST_SEED

CONSOLE = Console(highlight=False, soft_wrap=True, markup=False)
"""What results are printed to; nothing with ``--quiet``."""


def stderr() -> Console:
    """Return the console of progress and of remarks, which are not results."""
    return Console(stderr=True, quiet=CONSOLE.quiet, highlight=False, soft_wrap=True, markup=False)


def table_console(width: int = 110) -> Console:
    """Return the console of tables: as wide as the terminal, or so wide in a file or a pipe."""
    if CONSOLE.is_terminal:
        return Console(quiet=CONSOLE.quiet, highlight=False)
    return Console(width=width, quiet=CONSOLE.quiet, highlight=False)


def seed_option(told: str) -> Any:
    """Return an option that takes a seed."""
    return typer.Option(min=0, max=LARGEST_SEED, help=told)


Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
JsonLine = Annotated[bool, typer.Option("--json", help="Print one line of JSON instead.")]
Reward = Annotated[str, typer.Option(help="A reward name, or JSON of a dict or list.")]
Protocol = Annotated[
    str | None, typer.Option(help=f"Limit, ending and success rule: {', '.join(PROTOCOLS)}.")
]
Drawn = Annotated[bool, typer.Option(help="Draw actions instead of taking the likeliest.")]

Model = Annotated[str, typer.Option(help="Model name as the endpoint knows it.")]
BaseUrl = Annotated[
    str | None, typer.Option(help="OpenAI-compatible endpoint, e.g. http://localhost:8000/v1.")
]
KeyEnv = Annotated[str, typer.Option(help="Environment variable that holds the key.")]
Mailbox = Annotated[
    Path | None, typer.Option(help="Write prompts into this folder and wait for replies.")
]
MaxTokens = Annotated[int | None, typer.Option(min=1, help="Longest reply.")]
BudgetUsd = Annotated[float | None, typer.Option(min=0, help="Stop before spending more.")]
BudgetTokens = Annotated[int | None, typer.Option(min=1, help="Stop before using more.")]
BudgetCalls = Annotated[int | None, typer.Option(min=1, help="Stop before asking more often.")]


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        DenseGymError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DenseGymError(f"{path} cannot be read as UTF-8 text: {error}") from error
