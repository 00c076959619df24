"""The verbs under ``densegym author``: search for reward programs, check and audit them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from densegym.cli.author_view import watch_search
from densegym.cli.shared.fields import Group, Spelling, takes
from densegym.cli.shared.options import CONSOLE, Json, JsonLine, read_text, table_console
from densegym.cli.shared.progress import bank_bar
from densegym.envs import tasks
from densegym.errors import DenseGymError, require
from densegym.reward_models.authored.authors import AUTHORS, find_author
from densegym.reward_models.authored.search.search import SearchConfig
from densegym.reward_models.llm.build import LLMConfig
from densegym.reward_models.types import TaskCard

_ASKED = ("model", "base_url", "key_env", "max_tokens", "mailbox", "prices")  # of a language model
_BUDGET = ("budget_usd", "budget_tokens", "budget_calls")
Task = Annotated[str, typer.Option("--task", help="Environment id, e.g. DenseGym/DoorUnlock-v0.")]
app = typer.Typer(
    help="Reward programs: search for them with or without a language model, check, audit.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


def add_to(root: typer.Typer) -> None:
    """Add the verbs to the command."""
    root.add_typer(app, name="author")


def _shares(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise DenseGymError(f'--rungs takes shares such as 0.1,0.3,1; given "{text}"') from error


def _options(texts: list[str]) -> dict[str, Any]:
    from densegym.agents.training.config import read_pair

    return dict(read_pair(text, "--option", "islands=4") for text in texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How a search is carried out.

    Attributes:
        replay: a recorded search: its name or folder; needs no key.
        retrain: with --replay: train anew.
        engine: where candidates are trained: process or ray.
        address: of a Ray cluster.
        workers: candidates trained side by side.
        human: ask you for feedback after iterations.
        full: also train all candidates in full, to measure halving.
        out: folder; results/author/... by default.
        as_json: end with one line of JSON.
    """

    replay: str | None = None
    retrain: bool = False
    engine: str = "process"
    address: str | None = None
    workers: int = 2
    human: bool = False
    full: bool = False
    out: Path | None = None
    as_json: bool = False


@app.command()
@takes(
    config=Group(
        SearchConfig,
        spelled={
            "task": Spelling(""),
            "fractions": Spelling("--rungs", str, _shares),
            "settings": Spelling("--set", list[str], tuple),
            "options": Spelling("--option", list[str], _options),
        },
    ),
    llm=Group(LLMConfig, only=(*_ASKED, *_BUDGET)),
    how=Group(Running, spelled={"as_json": Spelling("--json")}),
)
def run(config: dict[str, Any], llm: dict[str, Any], how: dict[str, Any]) -> None:
    """Search for a reward program; run it again to go on where it stopped.

    Examples:
      densegym author run DenseGym/DoorUnlock-v0 --author random --candidates 4

      densegym author run DenseGym/DoorUnlock-v0 --model gpt-4.1 --budget-usd 2

      densegym author run DenseGym/DoorUnlock-v0 --model llama3 --base-url http://localhost:11434/v1

      densegym author run DenseGym/DoorUnlock-v0 --mailbox prompts

      densegym author run --replay eureka-door-unlock
    """
    require("stable_baselines3", extra="agents")
    from densegym.agents.authoring.folder import find_record, read_config, short_name

    running = Running(**how)
    record = None if running.replay is None else find_record(running.replay)
    merged = _config(config, None if record is None else read_config(record))
    folder = running.out or Path("results/author") / f"{short_name(merged.task)}-{merged.author}"
    found = _search(merged, running, folder, record, llm)
    _conclude(folder, found, None if running.retrain else record, running.as_json)


def _search(
    config: SearchConfig,
    running: Running,
    folder: Path,
    record: Path | None,
    llm: dict[str, Any],
) -> Any:
    from densegym.agents.authoring import search

    asked = {key: llm[key] for key in _ASKED if key in llm}
    usd, tokens, calls = (llm.get(key) for key in _BUDGET)
    request = search.Request(
        config=config,
        folder=folder,
        llm=search.language_model(
            folder=folder, record=record, budget=(usd, tokens, calls), **asked
        ),
        engine=search.Engine(name=running.engine, workers=running.workers, address=running.address),
        replay=None if running.retrain else record,
        feedback=_feedback(folder, ask=running.human),
        full=running.full,
    )
    search.check_request(request)
    with bank_bar() as on_bank:
        bank = search.prepare(config.task, on_bank)
    with watch_search(f"{config.author} on {config.task}") as on_change:
        return search.run_search(request, bank, on_change=on_change)


def _conclude(folder: Path, found: Any, record: Path | None, as_json: bool) -> None:
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    if as_json:
        print(json.dumps(summary, sort_keys=True))
        if found.stopped:
            raise typer.Exit(1)
        return
    if found.stopped:
        CONSOLE.print(f"stopped early: {found.stopped}")
    if found.winner is None:
        CONSOLE.print("no candidate was trained; the page says what was wrong with each")
    else:
        fresh = [f"{value:.3g}" for value in summary["final_F"]]
        CONSOLE.print(
            f"winner {found.winner.id}: F {summary['winner_F']:.3g} while selecting, on fresh "
            f"seeds {', '.join(fresh) or 'not confirmed'}"
        )
    CONSOLE.print(
        f"{summary['candidates']} candidates; {summary['stopped_before_training']} of "
        f"{summary['failing']} failing ones stopped before training; "
        f"{summary['search_steps']:,} + {summary['final_steps']:,} steps, {summary['cpu_s']:.0f} "
        f"CPU s, {_money(summary)}"
    )
    if record is not None:
        from densegym.agents.authoring.folder import same_ledger

        same = same_ledger(folder, record)
        CONSOLE.print(f"ledger {'equals' if same else 'differs from'} the record byte for byte")
    for name in ("page.html", "winner.py", "ledger.jsonl"):
        if (folder / name).is_file():
            CONSOLE.print(f"wrote {folder / name}")
    if found.stopped:
        raise typer.Exit(1)


def _money(summary: dict[str, Any]) -> str:
    tokens = f"{summary['tokens_in']} + {summary['tokens_out']} tokens"
    price = summary["usd"]
    estimated = summary.get("calls_estimated")
    if estimated:
        tokens += f" ({estimated} of {summary['calls']} replies estimated from their text)"
    unknown = "price unknown: give a table with --prices FILE"
    return f"{tokens}, {unknown if price is None else f'${price:.2f}'}"


def _config(stated: dict[str, Any], recorded: SearchConfig | None) -> SearchConfig:
    """Merge what was typed over a recorded search's settings, or over the defaults."""
    if recorded is not None:
        return dataclasses.replace(recorded, **stated)
    if "task" not in stated:
        raise DenseGymError(
            "which task? Type: densegym author run DenseGym/DoorUnlock-v0 --author random"
        )
    tasks.task_card(stated["task"])
    find_author(stated.get("author", "eureka"))
    return SearchConfig(**stated)


def _feedback(folder: Path, *, ask: bool) -> Callable[[int], str]:
    """Return what a person says about an iteration: from its file, or asked for once."""

    def about(iteration: int) -> str:
        path = folder / f"feedback-{iteration:02d}.md"
        if iteration < 0:
            return ""
        if not path.is_file() and ask:
            told = typer.prompt(
                f"What should change after iteration {iteration + 1}? (empty: nothing)", default=""
            )
            path.write_text(told, encoding="utf-8")
        return path.read_text(encoding="utf-8").strip() if path.is_file() else ""

    return about


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A reward program.")],
    task: Task,
) -> None:
    """Check a program as a search would: allow-list, worker process, behaviour; prints JSON.

    The exit code is 0 only for status ok.

    Example:
      densegym author check my_reward.py --task DenseGym/DoorUnlock-v0
    """
    from densegym.reward_models.authored.verification.verify import verify

    card = tasks.task_card(task)
    verdict = verify(read_text(file), card, samples=_samples(card))
    print(json.dumps(verdict.as_dict(), sort_keys=True))
    if verdict.status != "ok":
        raise typer.Exit(1)


def _samples(card: TaskCard) -> dict[str, Any]:
    """Return states a program is tried on: of the task's bank, collected on first use."""
    require("stable_baselines3", extra="agents")
    from densegym.agents.authoring.search import prepare
    from densegym.reward_models.authored.search.judge import bank_samples

    with bank_bar() as on_bank:
        return bank_samples(prepare(card.id, on_bank))


@app.command()
def audit(
    file: Annotated[Path | None, typer.Argument(help="A reward program.")] = None,
    task: Task = "",
    expert: Annotated[
        bool, typer.Option("--expert", help="Audit the suite's hand-written reward instead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Audit a reward on labelled trajectories: dead, constant, dominating, wrong-sign terms.

    The exit code is 1 where something was found.

    Examples:
      densegym author audit my_reward.py --task DenseGym/DoorUnlock-v0

      densegym author audit --expert --task DenseGym/ButtonPress-v0
    """
    require("stable_baselines3", extra="agents")
    from densegym.agents.authoring import search

    if (file is None) != expert:
        raise DenseGymError("audit takes a FILE or --expert, and --task; see --help")
    if file is None:
        found = search.audit_program(None, task)
    else:
        with bank_bar() as on_bank:
            bank = search.prepare(task, on_bank)
        found = search.audit_program(read_text(file), task, bank)
    if as_json:
        print(json.dumps(found.as_dict(), sort_keys=True))
    else:
        _print_audit(found)
    if found.findings:
        raise typer.Exit(1)


def _print_audit(found: Any) -> None:
    table = Table("term", "finding", "measured", "what to do", header_style="bold")
    for item in found.findings:
        measured = ", ".join(f"{key} {value:.3g}" for key, value in item.measured.items())
        table.add_row(item.term or "whole reward", item.kind, measured, item.advice)
    table_console().print(table if found.findings else "nothing found")


@app.command()
def authors(as_json: Json = False) -> None:
    """List the authors, with and without a language model.

    Example:
      densegym author authors
    """
    if as_json:
        told = {n: {"asks": find_author(n).asks, "how": how} for n, (_, how) in AUTHORS.items()}
        print(json.dumps(told))
        return
    table = Table("author", "asks a model", "how it writes", header_style="bold")
    for name, (_, how) in AUTHORS.items():
        table.add_row(name, "yes" if find_author(name).asks else "no", how)
    table_console().print(table)


@app.command()
def records(as_json: Json = False) -> None:
    """List the recorded searches that ship; replay one with `author run --replay NAME`.

    Example:
      densegym author records
    """
    require("stable_baselines3", extra="agents")
    from densegym.agents.authoring.folder import list_records

    if as_json:
        told = [
            {"record": name, "author": config.author, "task": config.task, "model": model}
            for name, config, model in list_records()
        ]
        print(json.dumps(told))
        return
    name_column = Column("record", no_wrap=True)  # it is there to be typed
    table = Table(name_column, "author", "K x N", "steps", "model", header_style="bold")
    for name, config, model in list_records():
        shape = f"{config.candidates} x {config.iterations}"
        table.add_row(name, config.author, shape, f"{config.steps:,}", model or "-")
    table_console().print(table)


@app.command()
def export(
    search: Annotated[str, typer.Argument(help="Folder of a search, or a recorded one.")],
    name: Annotated[str, typer.Option(help="Name of the program; the task's by default.")] = "",
    version: Annotated[int, typer.Option(min=1, help="Version of the program.")] = 1,
    candidate: Annotated[str, typer.Option(help="Candidate id; the winner by default.")] = "",
    out: Annotated[Path, typer.Option(help="Folder for the program.")] = Path(),
) -> None:
    """Write a candidate as a versioned program file with its provenance.

    Example:
      densegym author export results/author/doorunlock-eureka --name door-unlock --version 3

      densegym author export eureka-door-unlock --out my-rewards
    """
    require("stable_baselines3", extra="agents")
    from densegym.agents.authoring.folder import export_program, find_record

    path = export_program(find_record(search), out, name=name, version=version, candidate=candidate)
    CONSOLE.print(f"wrote {path}")


@app.command()
def compare(
    searches: Annotated[
        list[str], typer.Argument(help="Folders or recorded searches, all on one task.")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder for the table and the curves.")] = None,
    as_json: JsonLine = False,
) -> None:
    """Compare searches at equal numbers of candidates: best-of-k with 95 % bands, steps, cost.

    Example:
      densegym author compare results/author/doorunlock-*

      densegym author compare eureka-door-unlock random-door-unlock gp-door-unlock --out compare
    """
    require("matplotlib", extra="agents")
    from densegym.agents.authoring.compare import compare_searches
    from densegym.agents.authoring.folder import find_record

    made = compare_searches([find_record(name) for name in searches], out)
    if as_json:
        print(json.dumps(made.data, sort_keys=True))
        return
    CONSOLE.print(made.text)
    for path in made.files:
        CONSOLE.print(f"wrote {path}")
