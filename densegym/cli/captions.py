"""The verbs under ``densegym captions``: label, look at, compare and join caption tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from densegym.agents.studies.registry import find_study
from densegym.agents.studies.study import Request
from densegym.cli.bench import run_study
from densegym.cli.shared.options import (
    CONSOLE,
    BaseUrl,
    BudgetCalls,
    BudgetTokens,
    BudgetUsd,
    Json,
    JsonLine,
    KeyEnv,
    Mailbox,
    Model,
    read_text,
    seed_option,
    table_console,
)
from densegym.cli.shared.progress import episode_bar
from densegym.envs.tasks import task_card
from densegym.errors import DenseGymError, unknown
from densegym.reward_models.intrinsic.annotation.agreement import agreement
from densegym.reward_models.intrinsic.annotation.comparing import (
    SEPARATOR,
    Comparer,
    pair_key,
    pair_of,
)
from densegym.reward_models.intrinsic.annotation.grading import Grader
from densegym.reward_models.intrinsic.annotation.judging import SubgoalJudge
from densegym.reward_models.intrinsic.annotation.labelling import (
    MakeAnnotator,
    build_service,
    llm_config,
)
from densegym.reward_models.intrinsic.annotation.sources import (
    Labels,
    build_source,
    shipped_captions,
)
from densegym.reward_models.intrinsic.annotation.table import CaptionTable
from densegym.reward_models.intrinsic.captions.subgoals import find_plan
from densegym.reward_models.llm.build import check_llm

app = typer.Typer(
    help="Captions of games: label them with a language model, compare and join tables.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


def add_to(root: typer.Typer) -> None:
    """Add the verbs to the command."""
    root.add_typer(app, name="captions")


@app.command()
def label(
    captions: Annotated[Path, typer.Argument(help="Canonical captions (or pairs, with a tab).")],
    out: Annotated[Path, typer.Option(help="Table to write, or to go on with.")],
    model: Model,
    ask: Annotated[
        str, typer.Option(help="grade, compare (two captions a line, a tab between), subgoals.")
    ] = "grade",
    goal: Annotated[
        str,
        typer.Option(help="progress, score, gold, combat, stairs; or a key of subgoals: keyroom."),
    ] = "progress",
    base_url: BaseUrl = None,
    key_env: KeyEnv = "OPENAI_API_KEY",
    mailbox: Mailbox = None,
    transcript: Annotated[Path | None, typer.Option(help="Also record every reply here.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Captions a prompt.")] = 50,
    parallel: Annotated[int, typer.Option(min=1, help="Prompts at a time.")] = 4,
    budget_usd: BudgetUsd = None,
    budget_tokens: BudgetTokens = None,
    budget_calls: BudgetCalls = None,
) -> None:
    """Label captions with a language model; the same command goes on where it stopped.

    Examples:
      densegym captions label captions.txt --out labels.jsonl --model qwen3 --base-url http://localhost:8000/v1

      densegym captions label captions.txt --out labels.jsonl --model me --mailbox prompts

      densegym captions label pairs.txt --out pairs.jsonl --ask compare --model me --mailbox prompts
    """
    make = _asking(ask, goal)
    wanted = list(dict.fromkeys(line for line in read_text(captions).splitlines() if line.strip()))
    if ask == "compare":
        wanted = [pair_key(*pair_of(line.replace("\t", SEPARATOR, 1))) for line in wanted]
    options = {
        "model": model,
        "base_url": base_url,
        "key_env": key_env,
        "mailbox": mailbox,
        "transcript": transcript,
        "n_parallel": parallel,
        "budget_usd": budget_usd,
        "budget_tokens": budget_tokens,
        "budget_calls": budget_calls,
    }
    config = llm_config(options)
    check_llm(config)
    service = build_service(config, out, make=make, batch=batch, priority="fifo", capacity=100_000)
    try:
        for caption in wanted:
            service.ask(caption)
        service.start()
        _watch(service, len(wanted))
    finally:
        service.close()
    if service.halted:
        raise DenseGymError(f"stopped: {service.halted}. The same command goes on.")
    counted = service.metrics()
    CONSOLE.print(
        f"{len(service.table)} captions labelled in {out}; {counted['model_calls']:.0f} calls, "
        f"{counted['unusable']:.0f} unusable replies, {counted['failed']:.0f} given up for now"
    )


@app.command()
def stress(
    folder: Annotated[Path, typer.Argument(help="New folder for the labels and logs.")],
    captions: Annotated[int, typer.Option(min=1, help="Distinct captions.")] = 100_000,
    failure: Annotated[float, typer.Option(min=0, max=0.9, help="Share of calls that fail.")] = 0.2,
    kills: Annotated[int, typer.Option(min=0, help="How often the server is killed.")] = 2,
    workers: Annotated[int, typer.Option(min=1, help="Prompts at a time.")] = 4,
    as_json: JsonLine = False,
) -> None:
    """Measure the annotation service against a local server that fails and is killed.

    Exits with 1 if a label was lost or given twice.

    Example:
      densegym captions stress results/stress
    """
    study = find_study("caption-stress")
    settings = {"captions": captions, "failure": failure, "kills": kills}
    run_study(study, Request(out=folder, workers=workers, settings=settings), as_json=as_json)


@app.command()
def merge(
    out: Annotated[Path, typer.Argument(help="Table to write into; begun if it does not exist.")],
    tables: Annotated[list[Path], typer.Argument(help="Tables to join.")],
) -> None:
    """Join tables of equal provenance; where two disagree the first one stays.

    Example:
      densegym captions merge all.jsonl results/captions-seed-0.jsonl results/captions-seed-1.jsonl
    """
    read = [CaptionTable(path=path, readonly=True) for path in tables]
    joined = CaptionTable(read[0].provenance, out)
    for table in read:
        before = len(joined)
        clashes = joined.merge(table)
        CONSOLE.print(f"{table.path}: {len(joined) - before} new, {len(clashes)} contradicted")
    joined.close()
    CONSOLE.print(f"{len(joined)} captions in {out}")


@app.command()
def agree(
    tables: Annotated[
        list[Path] | None, typer.Argument(help="Tables of grades to compare as well.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare annotators on the shipped captions: labels, and preferences with ties apart.

    Example:
      densegym captions agree my-labels.jsonl
    """
    captions = shipped_captions()
    sources: dict[str, Mapping[str, float]] = {
        name: build_source(Labels(annotator=name)).grades
        for name in ("recorded", "lexicon", "random")
    }
    sources |= {str(path): CaptionTable(path=path, readonly=True) for path in tables or ()}
    rows = {
        (one, other): agreement(sources[one], sources[other], captions)
        for one, other in combinations(sources, 2)
    }
    if as_json:
        print(json.dumps([{"between": key, **asdict(row)} for key, row in rows.items()]))
        return
    shown = Table("between", "captions", "positive", "agree", "kappa", "same", "other", "ties")
    for (one, other), row in rows.items():
        shown.add_row(
            f"{one} and {other}",
            str(row.captions),
            f"{row.positive[0]:.2f}, {row.positive[1]:.2f}",
            f"{row.agree:.2f}",
            f"{row.kappa:.2f}",
            f"{row.prefer_same:.2f}",
            f"{row.prefer_other:.2f}",
            f"{row.ties:.2f}",
        )
    table_console().print(shown)


@app.command()
def harvest(
    env: Annotated[str, typer.Argument(help="Environment id, e.g. DenseGym/NetHackScore-v0.")],
    out: Annotated[Path, typer.Option(help="Text file for the captions, most frequent first.")],
    steps: Annotated[int, typer.Option(min=1, help="Steps of random play.")] = 20_000,
    seed: Annotated[int, seed_option("Seed of world and actions.")] = 0,
) -> None:
    """Play at random and write down what the game said, for `densegym captions label`.

    Example:
      densegym captions harvest DenseGym/MiniHack-KeyRoom-S5-v0 --out captions.txt
    """
    from densegym.agents.studies.captions.harvest import harvest as play

    task_card(env)  # an unknown id is refused with the closest one
    with episode_bar(steps, "playing") as tell:
        said = play(env, steps, seed=seed, on_progress=tell)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(f"{caption}\n" for caption, _ in said.most_common()), encoding="utf-8")
    labelled = sum(caption in shipped_captions() for caption in said)
    CONSOLE.print(f"{len(said)} captions in {out}, {labelled} of them in the shipped table")


@app.command()
def judge(
    env: Annotated[str, typer.Argument(help="A world with subgoals, e.g. KeyRoom.")],
    annotator: Annotated[str, typer.Option(help="recorded, random, oracle, or endpoint.")] = (
        "recorded"
    ),
    table: Annotated[Path | None, typer.Option(help="Judgements to use or to write.")] = None,
    model: Model = "",
    base_url: BaseUrl = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of random play.")] = 50_000,
    seed: Annotated[int, seed_option("Seed of world and actions.")] = 0,
) -> None:
    """Score a judge of subgoals (CALM) by F1 against the world's own milestones; prints JSON.

    Example:
      densegym captions judge DenseGym/MiniHack-KeyRoom-S5-v0 --annotator random
    """
    from densegym.agents.studies.captions.harvest import score_judge

    task_card(env)
    options: dict[str, Any] = {"annotator": annotator}
    if table is not None:
        options["table"] = str(table)
    if annotator == "endpoint":
        options["llm"] = {"model": model, "base_url": base_url}
    with episode_bar(steps, "playing") as tell:
        scored = score_judge(env, steps, seed=seed, on_progress=tell, **options)
    print(json.dumps({"env": env, "annotator": annotator, "steps": steps, **scored}))


def _asking(ask: str, goal: str) -> MakeAnnotator:
    if ask == "grade":
        return partial(Grader, goal=goal)
    if ask == "compare":
        return partial(Comparer, goal=goal)
    if ask == "subgoals":
        plan = find_plan(goal)
        texts = [subgoal.text for subgoal in plan.subgoals]
        return partial(SubgoalJudge, task=plan.task, subgoals=texts, key=plan.key)
    raise unknown("question", ask, ("grade", "compare", "subgoals"))


def _watch(service: Any, total: int) -> None:
    with episode_bar(total, "labelling") as tell:
        while not service.drain(1.0) and not service.halted:
            tell(len(service.table))
