"""Turns a results folder into tables, curves and one self-contained page."""

from __future__ import annotations

import base64
import json
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from densegym import assets
from densegym.agents.bench import formats, plots, tables
from densegym.agents.training.config import toml_value
from densegym.agents.training.results import Run, load_results, unfinished
from densegym.envs.custom.register import CARD_FILE
from densegym.errors import ResultsError, require

_MEDIA = {".png": "image/png", ".mp4": "video/mp4"}
_EMBED_LIMIT = 12 * 2**20  # bytes; a larger file is named, not embedded
# Sections of config.toml, and what ``--set`` wants before their keys.
_SECTIONS = {
    "run": "",
    "algorithm": "",
    "policy": "policy.",
    "extra": "extra.",
    "env_kwargs": "env.",
    "eval_kwargs": "eval.",
}


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


def write_report(
    root: Path, *, seeds: Sequence[int] | None = None, out: Path | None = None
) -> Report:
    """Write table.{md,csv,tex,json}, learning_curves.png and report.html.

    Args:
        root: a folder of runs.
        seeds: the seeds every row must have, if that is to be checked.
        out: where to write; the folder of runs by default. Made if it does not exist.

    Raises:
        ResultsError: no run, or a damaged, foreign or mixed one; nothing is written then.
        MissingExtraError: matplotlib or jinja2 is not installed.
    """
    runs = load_results(root)
    rows = tables.tabulate(runs, seeds=seeds)
    caption = tables.caption(rows, runs, f"densegym report {shlex.quote(str(root))}")
    pending = unfinished(root)
    figure = plots.learning_curves(runs)
    texts = {
        "table.md": f"{formats.to_markdown(rows)}\n{caption}\n",
        "table.csv": formats.to_csv(rows),
        "table.tex": formats.to_latex(rows),
        "table.json": json.dumps([_plain(row) for row in rows], indent=2) + "\n",
        "report.html": _page(root, runs, rows, caption, pending, plots.to_svg(figure)),
    }
    folder = root if out is None else out
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    plots.save_png(figure, folder / "learning_curves.png")
    files = [folder / name for name in (*texts, "learning_curves.png")]
    return Report(rows, caption, files, pending)


def _plain(row: tables.Row) -> dict[str, Any]:
    plain = {name: getattr(row, name) for name in row.__slots__ if name != "terms"}
    terms = {"protocol": row.protocol} if row.terms is None else row.terms.as_dict()
    return plain | terms | {"smoke": row.smoke}


def _page(
    root: Path,
    runs: Sequence[Run],
    rows: Sequence[tables.Row],
    caption: str,
    pending: Sequence[Path],
    curves: str,
) -> str:
    jinja2 = require("jinja2", extra="agents")
    page = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(assets.text("templates/report.html.j2"))
    rendered: str = page.render(
        title=root.resolve().name,
        groups=[_group(title, members) for title, members in formats.groups(rows).items()],
        columns=[*tables.COLUMNS, *tables.measures_of(rows)],
        rows=[row.cells(tables.measures_of(rows)) for row in rows],
        smoke=any(row.smoke for row in rows),
        caption=caption,
        curves=curves,
        films=_films(root),
        runs=[_run(run, root) for run in runs],
        pending=[str(path.relative_to(root)) for path in pending],
        versions=tables.versions(runs),
        processors=sorted({run.meta["cpu"] for run in runs if run.meta.get("cpu")}),
        command=f"densegym report {shlex.quote(str(root))}",
    )
    return rendered


def _media(root: Path) -> list[Path]:
    """Return the pictures and films of finished runs, and of the results folder itself."""
    return [
        path
        for path in sorted(root.rglob("media/*"))
        if path.suffix in _MEDIA
        and path.is_file()
        and not any(part.endswith(".partial") for part in path.relative_to(root).parts)
    ]


def _group(title: str, rows: Sequence[tables.Row]) -> dict[str, Any]:
    columns, *cells = formats.narrow(rows)
    return {"title": title.splitlines(), "columns": columns, "rows": cells}


def _films(root: Path) -> list[list[dict[str, str]]]:
    """Return films with the curves drawn of the same episode beside them, as they are named."""
    shown: dict[Path, list[dict[str, str]]] = {}
    for path in sorted(
        _media(root), key=lambda path: (path.with_suffix(""), path.suffix != ".mp4")
    ):
        shown.setdefault(path.with_suffix(""), []).append(_medium(path, root))
    return list(shown.values())


def _medium(path: Path, root: Path) -> dict[str, str]:
    kind, uri = _MEDIA[path.suffix], ""
    if path.stat().st_size <= _EMBED_LIMIT:
        uri = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
    return {"name": str(path.relative_to(root)), "kind": kind, "uri": uri}


def _run(run: Run, root: Path) -> dict[str, Any]:
    return {
        "name": str(run.folder.relative_to(root)),
        "success": tables.rate(run.success_rate),
        "cpu": f"{run.meta['cpu_s']:.0f}",
        "config": run.config,
        "command": train_command(run),
        "meta": json.dumps(run.meta, indent=2, sort_keys=True),
    }


def train_command(run: Run) -> str:
    """Return the ``densegym train`` line that repeats a run.

    Every setting is spelt out, so the line means the same when a preset changes later. Without a
    configuration, or with one that is not a training run's, it is empty.

    Raises:
        ResultsError: ``config.toml`` is no TOML.
    """
    try:
        config = tomllib.loads(run.config)
    except tomllib.TOMLDecodeError as error:
        raise ResultsError(
            f"{run.folder / 'config.toml'} is damaged: {error}. Remove its folder, run again."
        ) from error
    if not {"env", "reward", "algo", "seed"} <= config.keys():
        return ""
    reward = config["reward"]
    typed = reward if isinstance(reward, str) else json.dumps(reward)
    words = ["densegym", "train", str(config["env"]), "--reward", typed]
    words += ["--algo", str(config["algo"]), "--seed", str(config["seed"])]
    if "protocol" in config:
        words += ["--protocol", str(config["protocol"])]
    for section, prefix in _SECTIONS.items():
        words += _settings(config.get(section, {}), prefix)
    for target in run.meta.get("callbacks", ()):
        words += ["--callback", str(target)]
    if (run.folder / CARD_FILE).is_file():
        words += ["--card", str(run.folder / CARD_FILE)]
    return shlex.join(words)


def _settings(section: Mapping[str, Any], prefix: str) -> list[str]:
    pairs = [["--set", f"{prefix}{key}={toml_value(value)}"] for key, value in section.items()]
    return [word for pair in pairs for word in pair]
