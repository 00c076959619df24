"""Benchmark tables as text for the terminal, as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Literal

from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from densegym.agents.bench.tables import COLUMNS, Row, measures_of, rate

_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    # In LaTeX's default fonts a bare < or > prints as an inverted mark.
    | {"<": "$<$", ">": "$>$", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"\\": r"\textbackslash{}"}
)

_NARROW = (
    "reward",
    "seeds",
    "success",
    "last step",
    "return/env",
    "steps to 0.9",
    "CPU s",
)
_WHOLE = ("reward", "seeds", "success", "return/env")  # of them, those that never break


def to_text(rows: Sequence[Row]) -> list[Table]:
    """Return tables for the terminal, one per env, learner, budget and protocol, of its width.

    Success at the last step has a column where it differs from success.
    """
    return [_narrow(title, members) for title, members in groups(rows).items()]


def groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return rows that belong into one table, by its title of two lines."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        ceiling = rate(row.levels.get("expert_ceiling"))
        title = (
            f"{row.env}, {row.algo}, {row.steps:,} steps\n"
            f"protocol {row.terms or row.protocol}; chance {row.chance}; ceiling {ceiling}"
        )
        found.setdefault(title, []).append(row)
    return found


def narrow(rows: Sequence[Row]) -> list[list[str]]:
    """Return the header and the cells of the columns that people read first, seven at most."""
    differs = any(row.last is not None and row.last != row.success[0] for row in rows)
    columns = [column for column in _NARROW if differs or column != "last step"]
    every = [dict(zip(COLUMNS, row.cells(), strict=True)) for row in rows]
    return [columns, *([cells[column] for column in columns] for cells in every)]


def _narrow(title: str, rows: Sequence[Row]) -> Table:
    columns, *cells = narrow(rows)
    table = Table(title=title, title_justify="left", box=SIMPLE)
    for column in columns:
        justify: Literal["left", "right"] = "left" if column == "reward" else "right"
        table.add_column(column, justify=justify, no_wrap=column in _WHOLE)
    for row in cells:
        table.add_row(*map(escape, row))
    return table


def to_markdown(rows: Sequence[Row]) -> str:
    """Return a Markdown table of few columns per env, learner and protocol, and all folded away."""
    parts = []
    for title, members in groups(rows).items():
        first, _, second = title.partition("\n")
        parts += [f"**{first}**", second, _markdown(narrow(members))]
    whole = _markdown(_grid(rows))
    folded = f"<details><summary>All columns</summary>\n\n{whole}\n\n</details>"
    return "\n\n".join([*parts, folded]) + "\n"


def _markdown(grid: Sequence[Sequence[str]]) -> str:
    columns, *cells = grid
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in cells]
    return "\n".join(lines)


def to_csv(rows: Sequence[Row]) -> str:
    """Return a CSV table."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows(_grid(rows))
    return buffer.getvalue()


def to_latex(rows: Sequence[Row]) -> str:
    """Return a LaTeX tabular."""

    def line(cells: Sequence[str]) -> str:
        return " & ".join(cell.translate(_LATEX) for cell in cells) + r" \\"

    names, *cells = _grid(rows)
    body = "\n".join(line(row) for row in cells)
    columns = "l" * 4 + "r" * (len(names) - 4)
    return (
        f"\\begin{{tabular}}{{{columns}}}\n\\hline\n{line(names)}\n\\hline\n{body}\n\\hline\n"
        "\\end{tabular}\n"
    )


def _grid(rows: Sequence[Row]) -> list[list[str]]:
    """Return the header and the cells of every row."""
    more = measures_of(rows)
    return [[*COLUMNS, *more], *(row.cells(more) for row in rows)]
