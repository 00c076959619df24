"""The folder of a search: its settings, clocks, ledger; recorded searches; export of a winner."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from densegym import assets
from densegym.agents.training.config import to_toml
from densegym.envs.robot.fitness import evaluation_kwargs
from densegym.errors import DenseGymError, ResultsError, unknown
from densegym.reward_models.authored.programs.export import header_text
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.ledger import Ledger
from densegym.reward_models.authored.search.search import SearchConfig, winner

CONFIG, LEDGER, TRANSCRIPT = "config.toml", "ledger.jsonl", "transcript.jsonl"
CLOCKS, SUMMARY, PAGE, WINNER = "clocks.jsonl", "summary.json", "page.html", "winner.py"
_RECORDS = "transcripts"


def settle(folder: Path, config: SearchConfig) -> None:
    """Write the settings of a new search, or refuse a folder that holds another one.

    Raises:
        ResultsError: the folder holds a search with other settings; names them.
    """
    path = folder / CONFIG
    wanted = to_toml(dataclasses.asdict(config))
    if not path.is_file():
        path.write_text(wanted, encoding="utf-8")
        return
    stored, asked = tomllib.loads(path.read_text(encoding="utf-8")), tomllib.loads(wanted)
    changed = [key for key in stored | asked if stored.get(key) != asked.get(key)]
    if changed:
        told = "; ".join(f"{k} = {stored.get(k)!r}, now {asked.get(k)!r}" for k in sorted(changed))
        raise ResultsError(
            f"{folder} holds a search with other settings ({told}). Choose another --out, or give "
            "the same settings to go on."
        )


def read_config(folder: Path) -> SearchConfig:
    """Return the settings of a search.

    Raises:
        ResultsError: the folder holds no search, or its settings are damaged.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ResultsError(f"{folder} holds no search; `densegym author run` makes one")
    try:
        stored = tomllib.loads(path.read_text(encoding="utf-8"))
        for key in ("fractions", "settings"):
            stored[key] = tuple(stored.get(key, ()))
        return SearchConfig(**stored)
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise ResultsError(f"{path} is damaged: {error}") from error


def read_rows(folder: Path) -> list[Row]:
    """Return the candidates of a search.

    Raises:
        ResultsError: the folder holds no ledger, or a damaged one.
    """
    if not (folder / LEDGER).is_file():
        raise ResultsError(f"{folder} holds no ledger; `densegym author run` makes one")
    return Ledger(folder / LEDGER).rows()


def read_clocks(folder: Path) -> list[dict[str, Any]]:
    """Return CPU and wall seconds of every job of a search, each once."""
    path = folder / CLOCKS
    if not path.is_file():
        return []
    # What follows the last line break was being written when the process was killed.
    whole = path.read_text(encoding="utf-8").split("\n")[:-1]
    told: list[dict[str, Any]] = [json.loads(line) for line in whole]
    once = {(item["candidate"], item["seed"], item["until"]): item for item in told}
    return list(once.values())


def find_record(name: str) -> Path:
    """Return the folder of a recorded search by its shipped name or its path.

    Raises:
        UnknownNameError: no such record; names the closest.
        DenseGymError: the folder holds no ledger.
    """
    path, shipped = Path(name), _shipped()
    if (path / LEDGER).is_file():
        return path
    if name in shipped:
        return shipped[name]
    if path.exists():
        raise DenseGymError(f"{path} is no recorded search: it has no {LEDGER}")
    raise unknown("recorded search", name, shipped, see="densegym author records")


def list_records() -> Iterator[tuple[str, SearchConfig, str]]:
    """Yield name, settings and model of every recorded search that ships."""
    for name, folder in _shipped().items():
        rows = read_rows(folder)
        model = next((row.author["model"] for row in rows if "model" in row.author), "")
        yield name, read_config(folder), model


def _shipped() -> dict[str, Path]:
    root = Path(str(assets.path(_RECORDS)))
    return {ledger.parent.name: ledger.parent for ledger in sorted(root.glob(f"*/{LEDGER}"))}


def same_ledger(folder: Path, record: Path) -> bool:
    """Return whether two searches left the same ledger, byte for byte."""
    paths = [folder / LEDGER, record / LEDGER]
    return all(path.is_file() for path in paths) and len({p.read_bytes() for p in paths}) == 1


def export_program(
    folder: Path, out: Path, *, name: str = "", version: int = 1, candidate: str = ""
) -> Path:
    """Write a candidate as ``<name>-v<version>.py`` and return its path.

    Args:
        folder: of the search.
        out: where to.
        name: of the program; the task's by default.
        version: of the program.
        candidate: its id; the winner by default.

    Raises:
        ResultsError: no such candidate, or none was trained.
    """
    config, rows = read_config(folder), read_rows(folder)
    chosen = next((row for row in rows if row.id == candidate), None) if candidate else winner(rows)
    if chosen is None:
        what = f"candidate {candidate}" if candidate else "trained candidate"
        raise ResultsError(f"{folder} holds no {what}; it holds {[row.id for row in rows]}")
    name = name or short_name(config.task)
    path = out / f"{name}-v{version}.py"
    path.write_text(program_text(chosen, config, name=name, version=version), encoding="utf-8")
    return path


def program_text(row: Row, config: SearchConfig, *, name: str, version: int = 1) -> str:
    """Return a candidate as a program file with its provenance header."""
    known = [run["F_mean"] for run in row.final]
    terms = row.dynamic.get("terms") or ["a potential"]
    # It was found under the endings that the task's own score is measured with.
    ends = evaluation_kwargs(config.task).get("terminate_on_success", True)
    told = f"F on fresh seeds after {config.steps} steps: {known}; while selecting: {row.fitness}"
    return header_text(
        row.source,
        {
            "name": name,
            "version": version,
            "task": config.task,
            "author": f"{config.author} search by {row.author.get('model', 'no model')}",
            "date": datetime.now(UTC).date(),
            "summary": f"pays {', '.join(terms)}; the best of a search over reward programs",
            "stops_at_success": bool(ends),
            "notes": f"candidate {row.id}; {told}",
        },
    )


def short_name(task: str) -> str:
    """Return a task's id as searches and programs are named after it: ``doorunlock``."""
    return task.removeprefix("DenseGym/").removesuffix("-v0").lower()
