"""The verbs that share runs: ``push`` and ``pull``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from densegym.cli.shared.options import CONSOLE, Json
from densegym.errors import require


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.command()(push)
    app.command()(pull)


def push(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    target: Annotated[str, typer.Argument(help="A new folder, or hf:owner/name.")],
    private: Annotated[bool, typer.Option(help="Make a new repository private.")] = False,
    as_json: Json = False,
) -> None:
    """Share a run as a folder with a model card, on disk or on the Hugging Face Hub.

    The Hub needs a token (HF_TOKEN, or hf auth login). Nothing pickled
    travels. Films come along: densegym play RUN makes one.

    Examples:
      densegym push results/train/DenseGym.ButtonPress-v0/authored/ppo/seed-0 shared/button

      densegym push results/train/.../seed-0 hf:my-team/button-press
    """
    require("stable_baselines3", extra="agents")
    from densegym.agents.sharing.transfer import files_named
    from densegym.agents.sharing.transfer import push as carry_out
    from densegym.agents.training.load import load_config

    where = carry_out(run, target, private=private)
    if as_json:
        print(json.dumps({"run": str(run), "pushed": where}))
        return
    CONSOLE.print(f"pushed: {where}")
    for path in files_named(load_config(run)):
        CONSOLE.print(f"its reward needs {path}, which does not travel with it")


def pull(
    source: Annotated[str, typer.Argument(help="A folder, or hf:owner/name.")],
    out: Annotated[Path, typer.Option(help="Results folder.")] = Path("results/pulled"),
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit on the Hub; main if left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch a shared run, so that eval, play and report take it as one of yours.

    Examples:
      densegym pull shared/button

      densegym pull hf:my-team/button-press --out results/theirs
    """
    require("stable_baselines3", extra="agents")
    from densegym.agents.sharing.transfer import pull as carry_out

    folder = carry_out(source, out, revision=revision)
    if as_json:
        print(json.dumps({"source": source, "run": str(folder)}))
        return
    CONSOLE.print(f"pulled: {folder}\nplay it: densegym eval {folder}")
