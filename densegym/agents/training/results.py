"""The result store: one folder a run, JSON only, refused when damaged or foreign.

A finished run holds ``config.toml``, ``meta.json``, ``eval.jsonl`` and ``final.json``; a folder
whose name ends in ``.partial`` is a run that was not finished.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from densegym.envs.protocols import OWN, PROTOCOLS
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
_OPTIONAL: dict[str, type | tuple[type, ...]] = {
    "terminate_on_success": (bool, type(None)),
    "bootstrap": bool,
    "steps_asked": int,
    "model_calls": (int, float),
    "cost_usd": (int, float),
    "cpu": str,
    "protocol": str,
    "episode_limit": (int, type(None)),
    "ends_at_success": (bool, type(None)),
    "success_rule": str,
}
_LINE = ("step", "cpu_s", "return_env", "success", "length")
_EPISODES = ("success", "return_env", "length")
_BOTH = ("success_latched", "success_last")  # absent from records of versions before them


@dataclass(frozen=True, slots=True)
class Point:
    """One evaluation during training.

    Attributes:
        step: environment steps done.
        cpu_s: CPU seconds of the run so far, evaluations included.
        return_env: (episodes,) the world's own return.
        success: (episodes,) 0 or 1.
        length: (episodes,) steps.
        false_progress: mean largest potential of the latest failed training episodes, or None
            where no progress is judged.
    """

    step: int
    cpu_s: float
    return_env: Float
    success: Float
    length: Float
    false_progress: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run.

    Attributes:
        folder: where it lies.
        meta: what was run, with which versions, at what cost.
        points: evaluations during training, by step.
        success: (episodes,) of the final evaluation, deterministic.
        success_stochastic: (episodes,) of the same placements with drawn actions.
        return_env: (episodes,) of the final evaluation, deterministic.
        config: text of ``config.toml``.
        measures: (episodes,) each, other outcomes of the final evaluation, by their name.
        latched: (episodes,) of the same evaluation, success at any step, or None if not recorded.
        last: (episodes,) success at the last step, or None if not recorded.
    """

    folder: Path
    meta: Mapping[str, Any]
    points: tuple[Point, ...]
    success: Float
    success_stochastic: Float
    return_env: Float
    config: str
    measures: Mapping[str, Float] = field(default_factory=dict)
    latched: Float | None = None
    last: Float | None = None

    @property
    def budget(self) -> int:
        """Steps that were asked for; learners that finish their rollouts take a few more."""
        asked: int = self.meta.get("steps_asked", self.meta["steps"])
        return asked

    @property
    def success_rate(self) -> float | None:
        """Share of successful final episodes; None where the world tells no success."""
        return None if np.isnan(self.success).any() else float(self.success.mean())

    def reaches(self, threshold: float) -> Point | None:
        """Return the first evaluation whose success is at least ``threshold``."""
        return next((point for point in self.points if point.success.mean() >= threshold), None)

    def stays(self, threshold: float) -> Point | None:
        """Return the first evaluation from which on success never falls below ``threshold``."""
        lasting = None
        for point in reversed(self.points):
            if not point.success.mean() >= threshold:  # NaN reaches nothing
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
        begun = len(unfinished(root))
        started = f" {begun} unfinished, which no table shows." if begun else ""
        raise ResultsError(
            f"{root} holds no finished run (a folder with meta.json and final.json).{started} "
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
    meta = _read_meta(folder / "meta.json")
    path = folder / "final.json"
    final = _read_object(path)
    _check_schema(final, path)
    both = [key for key in _BOTH if key in final]
    columns = _episodes(final, (*_EPISODES, "success_stochastic", *both), str(path))
    if len(columns["success"]) != final.get("episodes"):
        raise ResultsError(
            f"{path}: expected {final.get('episodes')!r} episodes, as it says; "
            f"found {len(columns['success'])}"
        )
    config = folder / "config.toml"
    return Run(
        folder=folder,
        meta=meta,
        points=_read_points(folder / "eval.jsonl"),
        success=columns["success"],
        success_stochastic=columns["success_stochastic"],
        return_env=columns["return_env"],
        config=_read_text(config) if config.is_file() else "",
        measures=_measures(final, str(path)),
        latched=columns.get("success_latched"),
        last=columns.get("success_last"),
    )


def _measures(final: Mapping[str, Any], where: str) -> dict[str, Float]:
    told = final.get("measures", {})
    if not isinstance(told, dict):
        raise ResultsError(f"{where}: measures is an object of lists; found {str(told)[:80]}")
    columns = _episodes({**told, "return_env": final["return_env"]}, ("return_env", *told), where)
    return {key: columns[key] for key in told}


def _read_meta(path: Path) -> dict[str, Any]:
    meta = _read_object(path)
    for key, kind in _META.items():
        if not _is_a(meta.get(key), kind):
            raise ResultsError(
                f"{path} was not written by densegym: {key} is {meta.get(key)!r}, "
                f"expected {_names(kind)}"
            )
    for key, kind in _OPTIONAL.items():
        if key in meta and not _is_a(meta[key], kind):
            raise ResultsError(f"{path}: {key} is {meta[key]!r}, expected {_names(kind)}")
    _check_schema(meta, path)
    if (protocol := meta.get("protocol", OWN)) not in PROTOCOLS:
        raise ResultsError(
            f'{path} was run under protocol "{protocol}", which this version does not know '
            f"(it knows {', '.join(PROTOCOLS)}). Read it with the densegym that wrote it."
        )
    return meta


def _check_schema(content: Mapping[str, Any], path: Path) -> None:
    if content.get("schema") != SCHEMA:
        raise ResultsError(
            f"{path} has schema {content.get('schema')!r}, this version reads {SCHEMA}. "
            "Read it with the densegym that wrote it, or run again."
        )


def _is_a(value: object, kind: type | tuple[type, ...]) -> bool:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    # True is an int to Python, and no number here.
    return isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)


def _names(kind: type | tuple[type, ...]) -> str:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join("null" if k is type(None) else k.__name__ for k in kinds)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object so that a reader sees the old file or the new one, never half of one."""
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    with whole_file(path) as file:
        file.write(text.encode())


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Give a file whose content takes the place of ``path`` at the end, or nothing does."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def append_jsonl(path: Path, content: Mapping[str, Any]) -> None:
    """Append one JSON object as one line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(content, sort_keys=True) + "\n")


def _is_partial(path: Path, root: Path) -> bool:
    return any(part.endswith(".partial") for part in path.relative_to(root).parts)


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise ResultsError(f"{path} is missing; the run was damaged. Remove its folder, run again.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ResultsError(
            f"{path} is no text in UTF-8 ({error}). Remove its folder, run again."
        ) from error


def _read_object(path: Path) -> dict[str, Any]:
    text = _read_text(path)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ResultsError(
            f"{path} is no JSON ({error}); it may be truncated. Remove its folder, run again."
        ) from error
    if not isinstance(content, dict):
        raise ResultsError(f"{path} holds a {type(content).__name__}, expected a JSON object")
    return content


def _read_points(path: Path) -> tuple[Point, ...]:
    points: list[Point] = []
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        where = f"{path}, line {number}"
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise ResultsError(f"{where} is no JSON ({error}); it may be truncated") from error
        if not isinstance(entry, dict) or any(key not in entry for key in _LINE):
            raise ResultsError(f"{where} lacks one of {', '.join(_LINE)}")
        if not _is_a(entry["step"], int) or not _is_a(entry["cpu_s"], (int, float)):
            raise ResultsError(
                f"{where}: step is an int and cpu_s a number; "
                f"found {entry['step']!r} and {entry['cpu_s']!r}"
            )
        if points and entry["step"] <= points[-1].step:
            raise ResultsError(
                f"{where}: step {entry['step']} comes after step {points[-1].step}, so two runs "
                "wrote into this folder. Remove it, and run again."
            )
        columns = _episodes(entry, _EPISODES, where)
        metrics = entry.get("reward_metrics", {})
        if not isinstance(metrics, dict) or not _is_a(
            risen := false_progress(metrics), (int, float, type(None))
        ):
            raise ResultsError(
                f"{where}: reward_metrics is an object of numbers; found {metrics!r}"
            )
        points.append(Point(entry["step"], float(entry["cpu_s"]), **columns, false_progress=risen))
    return tuple(points)


def false_progress(metrics: Mapping[str, Any]) -> Any:
    """Return the mean largest potential of the latest failed episodes, whichever part tells it."""
    told = (value for name, value in metrics.items() if name.split(".")[-1] == "false_progress")
    return next(told, None)


def _episodes(content: Mapping[str, Any], keys: Sequence[str], where: str) -> dict[str, Float]:
    """Return lists with an entry per episode, all of one length.

    Success is null where the world tells none, and NaN in every episode then.
    """
    untold = [key for key in keys if key.startswith("success") and content.get(key, "") is None]
    columns = {key: _numbers(content, key, where) for key in keys if key not in untold}
    if untold:
        columns |= dict.fromkeys(untold, np.full(len(next(iter(columns.values()))), np.nan))
    lengths = {key: len(column) for key, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ResultsError(f"{where}: expected one entry per episode everywhere; found {lengths}")
    return columns


def _numbers(content: Mapping[str, Any], key: str, where: str) -> Float:
    values = content.get(key)
    plain = isinstance(values, list) and all(_is_a(v, (int, float)) for v in values)
    if not plain or not values:
        raise ResultsError(f"{where}: {key} is a list of numbers; found {str(values)[:80]}")
    array = np.array(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ResultsError(f"{where}: {key} holds a non-finite number")
    if key.startswith("success") and ((array < 0) | (array > 1)).any():
        raise ResultsError(
            f"{where}: {key} lies between 0 and 1; found {array.min()} to {array.max()}"
        )
    return array
