"""Compares searches on one task at equal numbers of candidates, whoever wrote them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from densegym.agents.authoring.folder import TRANSCRIPT, read_clocks, read_config, read_rows
from densegym.agents.bench.plots import PALETTE
from densegym.envs.protocols import OWN
from densegym.errors import ResultsError
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.search import SearchConfig
from densegym.reward_models.authored.search.summary import best_of_k, cost, summarise
from densegym.reward_models.llm.transcript import spent

_SHOWN_K = (1, 4, 12, 80)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found: a Markdown table, its plain values, and the files written."""

    text: str
    data: Mapping[str, Any]
    files: tuple[Path, ...]


def compare_searches(folders: Sequence[Path], out: Path | None) -> Comparison:
    """Compare searches on one task.

    Args:
        folders: of the searches.
        out: where ``compare.md``, ``compare.json`` and ``compare.svg`` go, or None for nowhere.

    Raises:
        ResultsError: the searches are of different tasks or budgets, so their F says nothing.
    """
    if not folders:
        raise ResultsError("compare takes the folders of at least one search")
    searches = [(folder, read_config(folder), read_rows(folder)) for folder in folders]
    asked = {(config.task, config.steps, config.eval_episodes) for _, config, _ in searches}
    if len(asked) > 1:
        raise ResultsError(
            f"these searches differ in task, steps of a run or episodes behind F: {sorted(asked)}; "
            "only searches that share all three can be compared"
        )
    lines = [_measure(*search) for search in searches]
    verdicts = _verdicts(lines)
    data = {
        "task": searches[0][1].task,
        "protocol": OWN,
        "searches": lines,
        "verdicts": verdicts,
    }
    text = _table(lines) + "\n\n" + "\n".join(verdicts)
    return Comparison(text, data, _write(out, text, data) if out else ())


def _measure(folder: Path, config: SearchConfig, rows: Sequence[Row]) -> dict[str, Any]:
    summary = summarise(rows, config.steps)
    return {
        "folder": folder.name,
        "author": config.author,
        "seed": config.seed,
        "best_of_k": best_of_k(rows),
        **{
            key: summary[key]
            for key in ("candidates", "stopped_before_training", "search_steps", "final_steps")
        },
        **{key: summary[key] for key in ("winner", "winner_F", "final_F", "final_success")},
        **spent(folder / TRANSCRIPT),
        **cost(read_clocks(folder)),
    }


def _verdicts(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say, for every pair with and without a model, whose band lies above at equal k."""
    controls = [
        line for line in lines if line["author"] in ("random", "random-screen", "gp", "cmaes")
    ]
    told = []
    for line in lines:
        for control in controls:
            if line in controls:
                continue
            k = min(len(line["best_of_k"]["k"]), len(control["best_of_k"]["k"]))
            above = line["best_of_k"]["low"][k - 1] > control["best_of_k"]["high"][k - 1]
            below = line["best_of_k"]["high"][k - 1] < control["best_of_k"]["low"][k - 1]
            word = "beats" if above else "loses to" if below else "is not told apart from"
            told.append(f"- At k = {k} `{line['author']}` {word} `{control['author']}`.")
    return told


def _table(lines: Sequence[Mapping[str, Any]]) -> str:
    longest = max(len(line["best_of_k"]["k"]) for line in lines)
    shown = sorted({k for k in (*_SHOWN_K, longest) if k <= longest})
    head = ["author", "candidates", "stopped before training", *(f"best of {k}" for k in shown)]
    head += ["F on fresh seeds", "search steps", "CPU s", "tokens"]
    body = [_cells(line, shown) for line in lines]
    lines_of_cells: list[list[str]] = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines_of_cells)


def _cells(line: Mapping[str, Any], shown: Sequence[int]) -> list[str]:
    curve = line["best_of_k"]
    of_k = [
        f"{curve['mean'][k - 1]:.2f} [{curve['low'][k - 1]:.2f}, {curve['high'][k - 1]:.2f}]"
        if k <= len(curve["k"])
        else "-"
        for k in shown
    ]
    fresh = ", ".join(f"{value:.2f}" for value in line["final_F"]) or "-"
    steps, cpu = f"{line['search_steps']:,}", f"{line['cpu_s']:.0f}"
    counts = [str(line["candidates"]), str(line["stopped_before_training"])]
    return [
        f"{line['author']}",
        *counts,
        *of_k,
        fresh,
        steps,
        cpu,
        f"{line['tokens_in'] + line['tokens_out']:,}",
    ]


def _write(out: Path, text: str, data: Mapping[str, Any]) -> tuple[Path, ...]:
    out.mkdir(parents=True, exist_ok=True)
    table, values, curves = out / "compare.md", out / "compare.json", out / "compare.svg"
    table.write_text(text + "\n", encoding="utf-8")
    values.write_text(json.dumps(data, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    figure, axes = plt.subplots(figsize=(7, 4))
    for line, colour in zip(data["searches"], PALETTE, strict=False):
        curve = line["best_of_k"]
        axes.plot(curve["k"], curve["mean"], color=colour, label=line["author"])
        axes.fill_between(curve["k"], curve["low"], curve["high"], color=colour, alpha=0.15)
    axes.set(
        xlabel="candidates (k)",
        ylabel="best F of k",
        title=f"{data['task']}, protocol {data['protocol']}",
    )
    axes.set_xticks(np.unique(np.linspace(1, axes.get_xlim()[1], 8).astype(int)))
    axes.legend(frameon=False)
    with matplotlib.rc_context({"svg.hashsalt": "densegym"}):
        figure.savefig(curves, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    return table, values, curves
