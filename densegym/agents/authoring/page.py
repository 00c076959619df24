"""The page of a search: lineage, scores, terms, cost, and what the winner changed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from densegym import assets
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.summary import running_best
from densegym.reward_models.types import TaskCard

_COLUMN, _ROW, _RADIUS, _MARGIN = 150, 30, 9, 34  # pixels of the lineage drawing
_SPARK = (120, 28)


def write_page(path: Path, rows: Sequence[Row], summary: Mapping[str, Any], card: TaskCard) -> None:
    """Write the page of a search as one HTML file without scripts or outside links.

    Args:
        path: where to.
        rows: the ledger.
        summary: as in ``summary.json``.
        card: the task.
    """
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(assets.text("templates/author.html.j2"))
    by_id = {row.id: row for row in rows}
    best = by_id.get(summary["winner"] or "")
    page = template.render(
        summary=summary,
        card=card,
        rows=[_line(row) for row in rows],
        lineage=_lineage(rows, summary["winner"]),
        course=_spark(running_best(rows), 360, 90),
        winner=best,
        terms=[] if best is None else list(_terms(best)),
        diff=[] if best is None else list(_difference(best, by_id)),
        parent=best.parents[0] if best is not None and best.parents else "",
    )
    path.write_text(page, encoding="utf-8")


def _line(row: Row) -> dict[str, Any]:
    screen = row.screen
    return {
        "row": row,
        "reached": [f"{entry['F_mean']:.2f}" for entry in row.rungs],
        "final": [f"{entry['F_mean']:.2f}" for entry in row.final],
        "auc": "-" if screen.get("auc") is None else f"{screen['auc']:.2f}",
        "state": _state(row),
    }


def _state(row: Row) -> str:
    """Return the class a candidate is drawn in."""
    if row.duplicate_of is not None:
        return "duplicate"
    if not row.status.passed:
        return "failed"
    return "confirmed" if row.final else "trained" if row.rungs else "passed"


def _lineage(rows: Sequence[Row], winner: str | None) -> dict[str, Any]:
    """Return a drawing of who came from whom: a column an iteration, better candidates greener."""
    place: dict[str, tuple[int, int]] = {}
    filled: dict[int, int] = {}
    for row in rows:
        height = filled.get(row.iteration, 0)
        filled[row.iteration] = height + 1
        place[row.id] = (_MARGIN + row.iteration * _COLUMN, _MARGIN + height * _ROW)
    fitness = [row.fitness for row in rows if row.fitness is not None]
    low, high = min(fitness, default=0.0), max(fitness, default=1.0)
    nodes = [
        {
            "id": row.id,
            "x": place[row.id][0],
            "y": place[row.id][1],
            "state": _state(row),
            "share": 0.0
            if row.fitness is None or high == low
            else (row.fitness - low) / (high - low),
            "label": "" if row.fitness is None else f"{row.fitness:.2f}",
            "winner": row.id == winner,
        }
        for row in rows
    ]
    edges = [
        (*place[parent], *place[row.id])
        for row in rows
        for parent in row.parents
        if parent in place
    ]
    return {
        "nodes": nodes,
        "edges": edges,
        "radius": _RADIUS,
        "width": 2 * _MARGIN + _COLUMN * max(len(filled), 1),
        "height": 2 * _MARGIN + _ROW * (max(filled.values(), default=1) - 1),
        "columns": [(_MARGIN + i * _COLUMN, i) for i in sorted(filled)],
    }


def _terms(row: Row) -> Iterator[dict[str, Any]]:
    measured = row.dynamic.get("terms", {})
    for name, course in row.components.items():
        yield {
            "name": name,
            "spark": _spark(course["series"], *_SPARK),
            "first": course["series"][0],
            "last": course["series"][-1],
            "sum": course["sums"][-1],
            "share": measured.get(name, {}).get("share"),
        }


def _spark(values: Sequence[float], width: int, height: int) -> dict[str, Any]:
    """Return a small curve as SVG points."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    span, step = (high - low) or 1.0, (width - 8) / max(len(values) - 1, 1)
    points = [
        f"{4 + i * step:.1f},{height - 4 - (value - low) / span * (height - 8):.1f}"
        for i, value in enumerate(values)
    ]
    return {"points": " ".join(points), "width": width, "height": height, "low": low, "high": high}


def _difference(row: Row, by_id: Mapping[str, Row]) -> Iterator[tuple[str, str]]:
    """Yield (class, line) of the winner against its first parent, or of its whole source."""
    parent = next((by_id[name] for name in row.parents if name in by_id), None)
    before = parent.source.splitlines() if parent is not None else []
    after = row.source.splitlines()
    kinds = {" ": "same", "+": "added", "-": "removed"}
    for line in difflib.ndiff(before, after):
        if line[0] in kinds:
            yield ("same" if parent is None else kinds[line[0]]), line[2:]
