"""``densegym shop``: build a catalogue, play it, serve it, compare it with the original."""

from __future__ import annotations

import dataclasses
import json
import secrets
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.prompt import Prompt
from rich.table import Table

from densegym.agents.studies.registry import find_study
from densegym.cli import shop_agents
from densegym.cli.shared.options import CONSOLE, Json, seed_option, table_console
from densegym.cli.shared.progress import counting
from densegym.cli.shop_agents import Goals, Scoring
from densegym.errors import require

app = typer.Typer(no_args_is_help=True, help="A web shop: build, play, serve, measure.")
_CONSOLE = Console()  # of a game, which --quiet does not silence
_DEMOS = Path("results/shop/demos")


def add_to(root: typer.Typer) -> None:
    """Add the verbs to the command."""
    shop_agents.add_to(app)
    root.add_typer(app, name="shop")


StoreName = Annotated[
    str, typer.Option(help="synthetic-1k, -10k, -100k (-level2 to 4), webshop-1k, or a folder.")
]
Split = Annotated[str, typer.Option(help="train, dev, test or all.")]


def _world(**setting: Any) -> Any:
    require("rapidfuzz", extra="shop")
    from densegym.envs.shop.environments.text import make_setting
    from densegym.envs.shop.session.world import ShopWorld

    return ShopWorld(make_setting(setting))


@app.command()
def build(
    data: Annotated[
        Path | None, typer.Option(help="Folder with the original's files; none: made-up products.")
    ] = None,
    store: Annotated[Path, typer.Option(help="Folder for the store.")] = Path("shop-store"),
    products: Annotated[
        int, typer.Option(min=0, help="How many made-up products, or at most.")
    ] = 0,
    level: Annotated[
        int, typer.Option(min=1, max=4, help="Level of the made-up catalogue, 1 to 4.")
    ] = 1,
    seed: Annotated[int, seed_option("Of the made-up catalogue and of drawn prices.")] = 0,
) -> None:
    """Build a memory-mapped store from the original's files or from made-up products.

    Examples:
      densegym shop build --data ~/webshop-data --store webshop-store

      densegym shop build --products 100000 --store big-store
    """
    from densegym.envs.shop.sources.original import find_files, read_products
    from densegym.envs.shop.sources.synthetic import SyntheticCatalogue
    from densegym.envs.shop.store.store import build_store

    made: Any
    if data is None:
        made = SyntheticCatalogue(products or 1_000, seed=seed, level=level)
    else:
        made = read_products(find_files(data), limit=products or None)
    began, source = time.process_time(), _Clocked(made)
    with counting("products") as on_progress:
        info = build_store(source, store, seed=seed, on_progress=on_progress)
    size, indexed = info.bytes / 2**20, time.process_time() - began - source.cpu_s
    CONSOLE.print(f"{info.products:,} products, {info.terms:,} terms, {size:,.1f} MiB in {store}")
    made_or_read = "made up" if data is None else "read"
    CONSOLE.print(
        f"{source.cpu_s:.1f} CPU s {made_or_read}, {indexed:.1f} CPU s stored and indexed"
    )


class _Clocked:
    """Products, and the CPU seconds it takes to get them."""

    def __init__(self, products: Iterable[Any]) -> None:
        self._products, self.cpu_s = iter(products), 0.0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        began = time.process_time()
        try:
            return next(self._products)
        finally:
            self.cpu_s += time.process_time() - began


@app.command()
def play(
    goal: Annotated[
        int | None, typer.Option(min=0, help="Number of a request; drawn without.")
    ] = None,
    store: StoreName = "synthetic-1k",
    goals: Goals = "auto",
    split: Split = "all",
    scoring: Scoring = "strict",
    out: Annotated[Path, typer.Option(help="Folder for recorded sessions.")] = _DEMOS,
) -> None:
    """Go shopping in the terminal; the session is recorded as a demonstration.

    Examples:
      densegym shop play

      densegym shop play --goal 17 --store synthetic-1k-level2
    """
    import numpy as np

    from densegym.envs.shop.demos import Recorder
    from densegym.envs.shop.play import play as play_episode
    from densegym.envs.shop.session.core import ShopCore

    world = _world(store=store, goals=goals, split=split, scoring=scoring, max_steps=100)
    core = ShopCore(world.shop)
    core.begin(world.goal(np.random.default_rng()) if goal is None else world.find_goal(goal))
    path = out / f"terminal-{secrets.token_hex(4)}.jsonl"
    paid = play_episode(
        core,
        Recorder(path, world),
        lambda text: Prompt.ask(f"[bold]{text}[/] (q to leave)", console=_CONSOLE, default=""),
        lambda line: _CONSOLE.print(line, highlight=False),
        max_steps=world.max_steps,
    )
    if paid is not None:
        _CONSOLE.print(f"[bold]score {100 * paid:.1f} of 100[/]")
    CONSOLE.print(f"recorded in {path}")


@app.command()
def serve(
    store: StoreName = "synthetic-1k",
    goals: Goals = "auto",
    split: Split = "all",
    scoring: Scoring = "strict",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port on this machine.")] = 3000,
    host: Annotated[str, typer.Option(help="The loopback, by one of its names.")] = "127.0.0.1",
    out: Annotated[Path, typer.Option(help="Folder for recorded sessions.")] = _DEMOS,
) -> None:
    """Serve the shop to a browser on this machine; sessions are recorded.

    Example:
      densegym shop serve --port 3000
    """
    from densegym.envs.shop.server import serve as serve_shop

    world = _world(store=store, goals=goals, split=split, scoring=scoring)
    CONSOLE.print(f"open http://{host}:{port}/ (Ctrl-C to stop)")
    serve_shop(world, out, host=host, port=port)


@app.command()
def demos(
    files: Annotated[list[Path], typer.Argument(help="Recorded sessions.")],
    store: StoreName = "synthetic-1k",
    goals: Goals = "auto",
    split: Split = "all",
    scoring: Scoring = "strict",
    as_json: Json = False,
) -> None:
    """Play recorded sessions again and check that they lead where they say.

    Example:
      densegym shop demos results/shop/demos/*.jsonl
    """
    from densegym.envs.shop.demos import load_demos

    world = _world(store=store, goals=goals, split=split, scoring=scoring)
    table = Table("file", "request", "steps", "score", header_style="bold")
    told = []
    for path in files:
        for demo in load_demos(path, world):
            steps, score = len(demo.steps) - 1, 100 * demo.reward
            table.add_row(path.name, demo.goal.instruction, str(steps), f"{score:.1f}")
            request = demo.goal.instruction
            told.append({"file": str(path), "request": request, "steps": steps, "score": score})
    if as_json:
        print(json.dumps(told))
        return
    table_console().print(table)


@app.command()
def parity(
    data: Annotated[Path, typer.Option(help="Folder with the original's files.")],
    fixtures: Annotated[Path | None, typer.Option(help="Folder with fixture files.")] = None,
) -> None:
    """Compare rewards, pages, search and goals with recordings of the original; prints JSON.

    The exit code is 0 only where every bar holds.

    Example:
      densegym shop parity --data ~/webshop-data --fixtures ~/webshop-fixtures
    """
    require("rapidfuzz", extra="shop")
    from densegym.envs.shop.parity import check

    report = check(data, fixtures or data)
    print(json.dumps(report, sort_keys=True, ensure_ascii=False))
    if not report["passed"]:
        raise typer.Exit(1)


@app.command()
def bench(
    store: StoreName = "synthetic-1k",
    goals: Goals = "auto",
    searches: Annotated[
        bool, typer.Option("--searches", help="Only the search, for stores of a million products.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure steps per CPU second, resets, searches, start-up and memory.

    Examples:
      densegym shop bench --store synthetic-1k --json

      densegym shop bench --store big-store --searches
    """
    study = find_study("shop-speed")
    settings = {"store": store, "goals": goals, "searches": searches}
    result = study.run(dataclasses.replace(study.request(), settings=settings))
    if as_json:
        print(json.dumps(result.as_json(), sort_keys=True))
        return
    for shown in result.report():
        table_console().print(shown)
