"""``densegym shop eval`` and ``densegym shop agents``: who plays the shop, and how well."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from densegym.agents.studies.study import parse_seeds
from densegym.cli.shared.options import (
    CONSOLE,
    BaseUrl,
    BudgetCalls,
    BudgetUsd,
    Json,
    KeyEnv,
    Mailbox,
    MaxTokens,
    table_console,
)
from densegym.cli.shared.progress import step_bar
from densegym.errors import DenseGymError, require, unknown

_RULES = {"both": ("product", "original"), "product": ("product",), "original": ("original",)}


Agents = Annotated[
    list[str],
    typer.Option(
        "--agent",
        help="Name, `all`, `llm`, or a run's folder; again for more. Linear is always shown.",
    ),
]
Parts = Annotated[list[str] | None, typer.Option(help="train, dev or test; again for more.")]
Rule = Annotated[str, typer.Option(help="product, original (leaks), or both.")]
Store = Annotated[str, typer.Option(help="As of `densegym shop play`.")]
Goals = Annotated[str, typer.Option(help="auto, human or synthetic.")]
Scoring = Annotated[str, typer.Option(help="strict, webshop or success.")]
Limit = Annotated[str, typer.Option(help="Actions, or default, paper, spa, gigpo.")]
Seeds = Annotated[str, typer.Option(help="Of agents that learn, comma-separated.")]
Episodes = Annotated[int | None, typer.Option(min=1, help="Goals per part; all of them without.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Training steps; each agent's own without.")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", help="key=value for ChoicePPO, as `densegym train`.")
]
Workers = Annotated[int, typer.Option(min=1, help="Agents trained side by side.")]
Out = Annotated[Path, typer.Option(help="Folder of results and trained agents.")]
Model = Annotated[str, typer.Option(help="Of the agent llm, as the endpoint names it.")]
Parallel = Annotated[int, typer.Option(min=1, help="Episodes that the model plays side by side.")]


def add_to(app: typer.Typer) -> None:
    """Add the verbs to ``densegym shop``."""
    app.command(name="eval")(evaluate)
    app.command()(agents)


def evaluate(
    agent: Agents,
    split: Parts = None,
    split_rule: Rule = "product",
    store: Store = "synthetic-1k",
    goals: Goals = "auto",
    scoring: Scoring = "strict",
    max_steps: Limit = "default",
    seeds: Seeds = "0",
    episodes: Episodes = None,
    steps: Steps = None,
    settings: Sets = None,
    workers: Workers = 1,
    out: Out = Path("results/shop/eval"),
    model: Model = "",
    base_url: BaseUrl = None,
    key_env: KeyEnv = "OPENAI_API_KEY",
    mailbox: Mailbox = None,
    parallel: Parallel = 4,
    max_tokens: MaxTokens = None,
    budget_usd: BudgetUsd = None,
    budget_calls: BudgetCalls = None,
    as_json: Json = False,
) -> None:
    """Evaluate agents on parts of the goals; agents that learn are trained first, once.

    Prints a table with 95 % intervals, and writes it to table.md. Type the same command again to
    go on where it stopped.

    Examples:
      densegym shop eval --agent rule --agent rule-options

      densegym shop eval --agent choice-ppo --seeds 0,1,2 --workers 2

      densegym shop eval --agent all --store webshop-1k --goals synthetic --split-rule both

      densegym shop eval --agent llm --model llama3 --base-url http://localhost:11434/v1
    """
    require("rapidfuzz", extra="shop")
    require("stable_baselines3", extra="agents")
    from densegym.agents.shop.compare import Comparison, compare
    from densegym.agents.shop.roster import AGENTS
    from densegym.agents.shop.table import tabulate

    asked = Comparison(
        agents=list(AGENTS) if "all" in agent else agent,
        settings=_settings(
            split_rule,
            split or ["test"],
            store=store,
            goals=goals,
            scoring=scoring,
            max_steps=int(max_steps) if max_steps.isdecimal() else max_steps,
        ),
        seeds=parse_seeds(seeds),
        out=out,
        episodes=episodes,
        steps=steps,
        overrides=settings or (),
        workers=workers,
    )
    how: dict[str, Any] = {
        "model": model,
        "base_url": base_url,
        "key_env": key_env,
        "mailbox": mailbox,
    }
    how |= {"max_tokens": max_tokens, "budget": (budget_usd, None, budget_calls)}
    language = _language(out, parallel, how) if "llm" in agent else None
    with step_bar() as watch:
        rows = tabulate(compare(asked, language=language, watch=watch))
    _show(rows, out, as_json)


def _settings(rule: str, parts: list[str], **shared: Any) -> list[Any]:
    from densegym.envs.shop.environments.text import make_setting

    if rule not in _RULES:
        raise unknown("split rule", rule, _RULES)
    return [
        make_setting({"split": part, "split_rule": name, **shared})
        for name in _RULES[rule]
        for part in parts
    ]


def _show(rows: Any, out: Path, as_json: bool) -> None:
    from densegym.agents.shop.table import to_markdown, to_text

    command = f"densegym {shlex.join(sys.argv[1:])}"
    (out / "table.md").write_text(to_markdown(rows, command), encoding="utf-8")
    if as_json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], default=str))
        return
    for table in to_text(rows):
        table_console().print(table)
    CONSOLE.print(f"wrote {out / 'table.md'}")


def _language(out: Path, parallel: int, how: dict[str, Any]) -> Any:
    from densegym.agents.authoring.search import language_model
    from densegym.agents.shop.language import LanguagePlayer
    from densegym.reward_models.llm.build import build_client, check_llm

    config = language_model(folder=out, parallel=parallel, **how)
    if config is None:
        raise DenseGymError(
            "the agent llm needs to know whom to ask: --model NAME (with --base-url for a local "
            "server), or --mailbox FOLDER"
        )
    check_llm(config)
    out.mkdir(parents=True, exist_ok=True)
    return LanguagePlayer(
        build_client(config), config.model, max_tokens=config.max_tokens, parallel=parallel
    )


def agents(as_json: Json = False) -> None:
    """List the agents that play the shop.

    Example:
      densegym shop agents
    """
    require("rapidfuzz", extra="shop")
    from densegym.agents.shop.roster import AGENTS

    if as_json:
        told = {name: {"learns": one.learns, "note": one.note} for name, one in AGENTS.items()}
        print(json.dumps(told))
        return
    table = Table("agent", "learns", "what it is", header_style="bold")
    for name, agent in AGENTS.items():
        table.add_row(name, "yes" if agent.learns else "", agent.note)
    table.add_row("llm", "", "a language model, by an endpoint or a mailbox")
    table_console().print(table)
