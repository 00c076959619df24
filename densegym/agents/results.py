"""The result store: one folder a run, JSON only, refused when damaged or foreign.

A finished run holds ``config.toml``, ``meta.json``, ``eval.jsonl`` and ``final.json``; a folder
whose name ends in ``.partial`` is a run that was not finished.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from densegym.errors import ResultsError
from densegym.reward_models.types import Float

SCHEMA = 1
_META: dict[str, type | tuple[type, ...]] = {
    "schema": int,
    "densegym": str,
    "env": str,
    "reward": str,
    "algo": str,
    "seed": int,
    "steps": int,
    "versions": dict,
    "wall_s": (int, float),
    "cpu_s": (int, float),
}
_LINE = ("step", "cpu_s", "return_env", "success", "length")


@dataclass(frozen=True, slots=True)
class Point:
    """One evaluation during training.

    Attributes:
        step: environment steps done.
        cpu_s: CPU seconds of the run so far, evaluations included.
        return_env: (episodes,) the world's own return.
        success: (episodes,) 0 or 1.
        length: (episodes,) steps.
    """

    step: int
    cpu_s: float
    return_env: Float
    success: Float
    length: Float


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run.

    Attributes:
        folder: where it lies.
        meta: what was run, with which versions, at what cost.
        points: evaluations during training, by step.
        success: (episodes,) of the final evaluation, deterministic.
        success_stochastic: (episodes,) of the same placements with drawn actions.
        return_env: (episodes,) of the final evaluation.
        config: text of ``config.toml``.
    """

    folder: Path
    meta: Mapping[str, Any]
    points: tuple[Point, ...]
    success: Float
    success_stochastic: Float
    return_env: Float
    config: str

    def reaches(self, threshold: float) -> Point | None:
        """Return the first evaluation whose success is at least ``threshold``."""
        return next((point for point in self.points if point.success.mean() >= threshold), None)

    def stays(self, threshold: float) -> Point | None:
        """Return the first evaluation from which on success never falls below ``threshold``."""
        lasting = None
        for point in reversed(self.points):
            if point.success.mean() < threshold:
                break
            lasting = point
        return lasting


def load_results(root: Path) -> list[Run]:
    """Load every finished run below a folder, in the order of their paths.

    Raises:
        ResultsError: the folder holds no run, or a run in it is damaged or foreign.
    """
    if not root.is_dir():
        raise ResultsError(f"no folder {root}; `densegym bench demo` writes results/demo")
    folders = [p.parent for p in sorted(root.rglob("meta.json")) if not _is_partial(p, root)]
    finals = [p.parent for p in root.rglob("final.json") if not _is_partial(p, root)]
    folders += [folder for folder in sorted(finals) if folder not in folders]
    if not folders:
        raise ResultsError(
            f"{root} holds no finished run (a folder with meta.json and final.json). "
            "`densegym bench demo` writes some."
        )
    return [load_run(folder) for folder in folders]


def unfinished(root: Path) -> list[Path]:
    """Return the folders of runs that were started and not finished."""
    return sorted(path for path in root.rglob("*.partial") if path.is_dir())


def load_run(folder: Path) -> Run:
    """Load one finished run.

    Raises:
        ResultsError: a file is missing, damaged, foreign, or of another schema; names it.
    """
    meta = _read_object(folder / "meta.json")
    for key, kind in _META.items():
        if not isinstance(meta.get(key), kind):
            raise ResultsError(f"{folder / 'meta.json'} was not written by densegym: no {key}")
    final = _read_object(folder / "final.json")
    for name, found in (("meta.json", meta), ("final.json", final)):
        if found.get("schema") != SCHEMA:
            raise ResultsError(
                f"{folder / name} has schema {found.get('schema')!r}, this version reads {SCHEMA}"
            )
    config = folder / "config.toml"
    return Run(
        folder=folder,
        meta=meta,
        points=_read_points(folder / "eval.jsonl"),
        success=_numbers(final, "success", folder / "final.json"),
        success_stochastic=_numbers(final, "success_stochastic", folder / "final.json"),
        return_env=_numbers(final, "return_env", folder / "final.json"),
        config=config.read_text(encoding="utf-8") if config.is_file() else "",
    )


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object so that a reader sees the old file or the new one, never half of one."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=2, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def append_jsonl(path: Path, content: Mapping[str, Any]) -> None:
    """Append one JSON object as one line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(content, sort_keys=True) + "\n")


def _is_partial(path: Path, root: Path) -> bool:
    return any(part.endswith(".partial") for part in path.relative_to(root).parts)


def _read_object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ResultsError(f"{path} is missing; the run was damaged. Remove its folder, run again.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ResultsError(
            f"{path} is no JSON ({error}); it may be truncated. Remove its folder, run again."
        ) from error
    if not isinstance(content, dict):
        raise ResultsError(f"{path} holds a {type(content).__name__}, expected a JSON object")
    return content


def _read_points(path: Path) -> tuple[Point, ...]:
    if not path.is_file():
        raise ResultsError(f"{path} is missing; the run was damaged. Remove its folder, run again.")
    points = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        where = f"{path}, line {number}"
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise ResultsError(f"{where} is no JSON ({error}); it may be truncated") from error
        if not isinstance(entry, dict) or any(key not in entry for key in _LINE):
            raise ResultsError(f"{where} lacks one of {', '.join(_LINE)}")
        columns = [_numbers(entry, key, path) for key in ("return_env", "success", "length")]
        points.append(Point(int(entry["step"]), float(entry["cpu_s"]), *columns))
    return tuple(points)


def _numbers(content: Mapping[str, Any], key: str, path: Path) -> Float:
    values = content.get(key)
    plain = isinstance(values, list) and all(isinstance(v, int | float) for v in values)
    if not plain or not values:
        raise ResultsError(f"{path}: {key} is a list of numbers; found {values!r}")
    array = np.array(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ResultsError(f"{path}: {key} holds a non-finite number")
    return array
