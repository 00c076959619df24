"""Turns a results folder into tables, curves and one self-contained page."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from densegym import assets
from densegym.agents import plots, tables
from densegym.agents.results import Run, load_results, unfinished
from densegym.errors import require

_MEDIA = {".png": "image/png", ".mp4": "video/mp4"}
_EMBED_LIMIT = 12 * 2**20  # bytes; a larger file is named, not embedded


@dataclass(frozen=True, slots=True)
class Report:
    """What ``write_report`` made.

    Attributes:
        rows: of the table.
        caption: the line under it.
        files: every file written.
        unfinished: runs that were started and not finished.
    """

    rows: Sequence[tables.Row]
    caption: str
    files: Sequence[Path]
    unfinished: Sequence[Path]


def write_report(root: Path, *, seeds: Sequence[int] | None = None) -> Report:
    """Write table.{md,csv,tex,json}, learning_curves.png and report.html into a results folder.

    Args:
        root: a folder of runs.
        seeds: the seeds every row must have, if that is to be checked.

    Raises:
        ResultsError: no run, or a damaged, foreign or mixed one.
    """
    runs = load_results(root)
    rows = tables.tabulate(runs, seeds=seeds)
    command = f"densegym report {root}"
    caption = tables.caption(rows, runs, command)
    pending = unfinished(root)
    figure = plots.learning_curves(runs)
    texts = {
        "table.md": f"{tables.to_markdown(rows)}\n{caption}\n",
        "table.csv": tables.to_csv(rows),
        "table.tex": tables.to_latex(rows),
        "table.json": json.dumps([_plain(row) for row in rows], indent=2) + "\n",
        "report.html": _page(root, runs, rows, caption, pending, plots.to_svg(figure)),
    }
    for name, text in texts.items():
        (root / name).write_text(text, encoding="utf-8")
    plots.save_png(figure, root / "learning_curves.png")
    files = [root / name for name in (*texts, "learning_curves.png")]
    return Report(rows, caption, files, pending)


def _plain(row: tables.Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__}


def _page(
    root: Path,
    runs: Sequence[Run],
    rows: Sequence[tables.Row],
    caption: str,
    pending: Sequence[Path],
    curves: str,
) -> str:
    jinja2 = require("jinja2", extra="agents")
    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        assets.text("templates/report.html.j2")
    )
    rendered: str = page.render(
        title=root.name,
        columns=tables.COLUMNS,
        rows=[row.cells() for row in rows],
        caption=caption,
        curves=curves,
        media=[_medium(path, root) for path in sorted(root.rglob("media/*"))],
        runs=[_run(run, root) for run in runs],
        pending=[str(path.relative_to(root)) for path in pending],
        versions=runs[0].meta["versions"],
        cpu=runs[0].meta.get("cpu", ""),
    )
    return rendered


def _medium(path: Path, root: Path) -> dict[str, str]:
    kind = _MEDIA.get(path.suffix, "")
    embed = kind and path.stat().st_size <= _EMBED_LIMIT
    data = base64.b64encode(path.read_bytes()).decode() if embed else ""
    name = str(path.relative_to(root))
    return {"name": name, "kind": kind, "uri": f"data:{kind};base64,{data}" if data else ""}


def _run(run: Run, root: Path) -> dict[str, Any]:
    return {
        "name": str(run.folder.relative_to(root)),
        "success": f"{run.success.mean():.2f}",
        "cpu": f"{run.meta['cpu_s']:.0f}",
        "config": run.config,
        "meta": json.dumps(run.meta, indent=2, sort_keys=True),
    }
