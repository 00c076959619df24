"""What a study is: a name, the options it takes, a function that measures, and a result.

A study is one module with ``run(request, monitor) -> Result`` and one row of
``catalogue.STUDIES``. The row holds what listings and checks of options need, so that nothing
heavy is imported before a study runs.
"""

from __future__ import annotations

import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from densegym.errors import DenseGymError, require, unknown
from densegym.plugins import resolve
from densegym.values import LARGEST_SEED

if TYPE_CHECKING:
    from rich.console import RenderableType

_MOST_SEEDS = 10_000
_SMOKE = 5  # seeds from which on a table is more than a smoke test


@dataclass(frozen=True, slots=True)
class Bar:
    """A threshold that a measured figure must meet.

    Attributes:
        text: the figure and the threshold.
        holds: whether it is met.
    """

    text: str
    holds: bool


class Result(ABC):
    """What a study found."""

    @abstractmethod
    def as_json(self) -> dict[str, Any]:
        """Return plain values for ``json.dumps``."""

    @abstractmethod
    def report(self) -> list[RenderableType]:
        """Return tables and lines for a terminal, in order; without the bars."""

    def bars(self) -> list[Bar]:
        """Return the thresholds the figures were held to; none by default."""
        return []

    @property
    def bars_hold(self) -> bool:
        """Whether every bar holds; the command exits with 1 where one does not."""
        return all(bar.holds for bar in self.bars())


@dataclass(frozen=True, slots=True)
class Figures(Result):
    """Named figures, a line each."""

    figures: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the figures by name."""
        return dict(self.figures)

    def report(self) -> list[RenderableType]:
        """Return a line for each figure."""
        return [f"{name:40} {value}" for name, value in self.figures.items()]


class Monitor:
    """Told how far a study is; this one says nothing, a user interface overrides it."""

    def progress(self, what: str, done: int, total: int | None) -> None:
        """Take how much of ``what`` is done; ``total`` is None where nobody knows."""

    def line(self, text: str) -> None:
        """Take a line that is worth reading before the study ends."""

    def counter(self, what: str, total: int) -> Callable[..., None]:
        """Return a function that counts its calls as progress, whatever its arguments."""
        done = itertools.count(1)
        self.progress(what, 0, total)
        return lambda *_: self.progress(what, next(done), total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a study; what it does not take has an empty value.

    Attributes:
        seeds: of the study's randomness.
        steps: environment steps of every run.
        envs: environment ids; empty for all that the study knows.
        workers: processes (or threads) side by side.
        out: folder for runs and logs.
        settings: values of the study's own settings, all of them.
    """

    seeds: tuple[int, ...] = ()
    steps: int = 0
    envs: tuple[str, ...] = ()
    workers: int = 1
    out: Path = Path("results")
    settings: Mapping[str, Any] = field(default_factory=dict)


Run: TypeAlias = Callable[[Request, Monitor], Result]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A measurement with a name. Options whose attribute is None or False are refused.

    Attributes:
        name: as typed after ``densegym bench``.
        title: one line for listings.
        target: ``run(request, monitor) -> Result``, or its lazy ``"module:attr"``.
        needs: modules that must be importable, each with the extra that brings it.
        seeds: default of ``--seeds``.
        steps: default of ``--steps``.
        envs: default of ``--envs``; empty for all that the study knows.
        workers: default of ``--workers``.
        out: whether it writes into a folder, ``--out``; ``results/<name>`` by default.
        settings: what ``--set`` takes, with defaults; a given value must have the default's type.
        owner: who registered it: ``"densegym"``, a distribution, or ``"user"``.
    """

    name: str
    title: str
    target: str | Run
    needs: Mapping[str, str] = field(default_factory=dict)
    seeds: tuple[int, ...] | None = None
    steps: int | None = None
    envs: tuple[str, ...] | None = None
    workers: int | None = None
    out: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    owner: str = "user"

    def options(self) -> tuple[str, ...]:
        """Return the options it takes, e.g. ``("--seeds", "--out", "--set rounds=")``."""
        taken = {
            "--seeds": self.seeds is not None,
            "--steps": self.steps is not None,
            "--envs": self.envs is not None,
            "--workers": self.workers is not None,
            "--out": self.out,
        }
        own = (f"--set {name}=" for name in self.settings)
        return (*(option for option, is_taken in taken.items() if is_taken), *own)

    def request(
        self,
        *,
        seeds: str | None = None,
        steps: int | None = None,
        envs: str | None = None,
        workers: int | None = None,
        out: Path | None = None,
        settings: Sequence[str] = (),
    ) -> Request:
        """Return options as typed, with this study's defaults for those left out.

        Args:
            seeds: as ``parse_seeds`` reads them.
            steps: at least 1.
            envs: comma-separated ids.
            workers: at least 1.
            out: a folder.
            settings: ``name=value`` texts; values are TOML.

        Raises:
            UnknownNameError: a setting that it does not have; names the closest.
            DenseGymError: an option that it does not take, or an impossible value.
        """
        typed: dict[str, Any] = {
            "--seeds": seeds,
            "--steps": steps,
            "--envs": envs,
            "--workers": workers,
            "--out": out,
            "--set": " --set ".join(settings) or None,
        }
        self._check_options(typed)
        return Request(
            seeds=(self.seeds or ()) if seeds is None else parse_seeds(seeds),
            steps=(self.steps or 0) if steps is None else steps,
            envs=(self.envs or ()) if envs is None else _names(envs),
            workers=(self.workers or 1) if workers is None else workers,
            out=out or Path("results") / self.name,
            settings={**self.settings, **dict(map(self._setting, settings))},
        )

    def run(self, request: Request | None = None, monitor: Monitor | None = None) -> Result:
        """Measure.

        Args:
            request: see ``request``; the defaults if None.
            monitor: told how far it is.

        Raises:
            MissingExtraError: a module is not installed; the message holds the pip line.
        """
        for module, extra in self.needs.items():
            require(module, extra=extra)
        measure: Run = resolve(self.target)
        return measure(request or self.request(), monitor or Monitor())

    def _check_options(self, typed: Mapping[str, Any]) -> None:
        taken = {option.split()[0] for option in self.options()}
        for option, value in typed.items():
            if value is None:
                continue
            if option not in taken:
                takes = ", ".join((*self.options(), "--json"))
                raise DenseGymError(
                    f'study "{self.name}" takes no {option}; given {option} {value}. '
                    f"It takes {takes}. Type: densegym bench {self.name}"
                )
            if option in ("--steps", "--workers") and value < 1:
                raise DenseGymError(f"{option} is at least 1; given {value}")

    def _setting(self, text: str) -> tuple[str, Any]:
        """Return name and value of ``name=value``; whole numbers may stand for fractions."""
        from densegym.agents.training.config import read_pair

        name, value = read_pair(text, "--set", "captions=1000")
        if name not in self.settings:
            raise unknown(f"setting of {self.name}", name, self.settings)
        wanted = type(self.settings[name])
        if wanted is float and type(value) is int:
            value = float(value)
        if type(value) is not wanted:
            raise DenseGymError(f'--set {name} takes {wanted.__name__}; given "{text}"')
        return name, value


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds of a comma-separated list of numbers and ranges: ``0,1,2``, ``0-4``, ``7``.

    Raises:
        DenseGymError: something else, or one seed twice; says what was expected.
    """
    seeds: list[int] = []
    for part in text.split(","):
        matched = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if matched is None:
            raise DenseGymError(
                f'--seeds takes seeds such as 0,1,2 or a range such as 0-4; given "{text}"'
            )
        first = int(matched[1])
        last = int(matched[2] or first)
        if max(first, last) > LARGEST_SEED or last - first >= _MOST_SEEDS:
            raise DenseGymError(
                f"--seeds takes seeds up to {LARGEST_SEED}, at most {_MOST_SEEDS:,} in a range; "
                f'given "{text}"'
            )
        seeds += range(first, last + 1)
    if not seeds or len(set(seeds)) < len(seeds):
        raise DenseGymError(f'--seeds takes every seed once, ranges upwards; given "{text}"')
    return tuple(seeds)


def smoke_label(seeds: int) -> str:
    """Return ``" (smoke)"`` for a table of too few seeds to prove anything, else nothing."""
    return " (smoke)" if seeds < _SMOKE else ""


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))
