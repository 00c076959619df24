"""What a judge says of a film, picture by picture: no world and no policy are needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from densegym.errors import DenseGymError
from densegym.reward_models.progress.films import film_length, read_views
from densegym.reward_models.progress.judge import Seen, Verdict
from densegym.reward_models.progress.potential import ProgressPotential
from densegym.reward_models.types import Bool, Float, Frames, Int, Starts, Steps

MOST = 60  # pictures that are judged of a film, unless the user says otherwise
_SMALL = 128  # pixels; judges of larger pictures resize as their models were trained
_CHUNK = 16  # pictures judged at once, by one deadline


@runtime_checkable
class FilmJudge(Protocol):
    """A judge that knows how to value a whole film at once, the future included."""

    def film(self, images: Seen, text: str) -> Verdict:
        """Return the progress at every seen picture (T, ...) of a film, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What was said of N pictures of a film.

    Attributes:
        at: (N,) which pictures of the film, counted from 0.
        phi: (N,) Φ; an abstention keeps the one before.
        hop: (N,) hops, NaN where none was judged.
        done: (N,) probability that the task is done, NaN where the judge abstained.
        valid: (N,) whether the judge spoke.
        pictures: (N, V, H, W, 3) uint8, as the judge was shown them.
        whole: whether it saw all of the film at once.
    """

    at: Int
    phi: Float
    hop: Float
    done: Float
    valid: Bool
    pictures: Frames
    whole: bool

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; what nobody said is None."""
        return {
            "pictures": self.at.tolist(),
            "phi": _plain(self.phi),
            "hop": _plain(self.hop),
            "done": _plain(self.done),
            "valid": self.valid.tolist(),
            "abstained": int((~self.valid).sum()),
            "last_phi": float(self.phi[-1]),
            "largest_phi": float(self.phi.max()),
            "whole_film": self.whole,
        }


def read_for(
    potential: ProgressPotential, films: list[str], every: int | None
) -> tuple[Int, Frames]:
    """Return which pictures of a film are judged, and those (N, V, H, W, 3) as the judge wants.

    Small judges see pictures as worlds show them, square; others fit what they get themselves.

    Args:
        potential: of the judge.
        films: one per camera.
        every: pictures between two that are judged; None judges at most ``MOST``.

    Raises:
        DenseGymError: unreadable films, or not one for every camera.
    """
    wanted = potential.pictures
    cameras = max(1, len(wanted.cameras))
    if len(films) != cameras:
        named = ", ".join(wanted.cameras) or "its one camera"
        raise DenseGymError(
            f"{potential.name} looks through {named}, so it takes {cameras} "
            f"{'films of one attempt' if cameras > 1 else 'film'}; given {len(films)}"
        )
    length = film_length(films[0])
    step = every or max(1, -(-length // MOST))
    size = None if wanted.size > _SMALL else wanted.size
    pictures = read_views(films, every=step, size=size)
    if len(pictures) < 2:
        raise DenseGymError(f"{films[0]} is one picture; a film has at least 2")
    return np.minimum(np.arange(len(pictures)) * step, length - 1), pictures


def score_film(
    potential: ProgressPotential,
    pictures: Frames,
    at: Int,
    text: str,
    *,
    whole: bool = True,
    on_picture: Callable[[int, int], None] = lambda done, wanted: None,
) -> Curve:
    """Return what a judge says of the pictures of one film.

    Args:
        potential: which makes Φ of the judge's answers; it must look at every picture it is shown.
        pictures: (N, V, H, W, 3) uint8, at least 2.
        at: (N,) their numbers in the film.
        text: the task's sentence.
        whole: let judges that can value the film at once, as GVL does as published, which sees the
            future; otherwise pictures are judged as in training.
        on_picture: told about judged and wanted pictures.
    """
    judge = potential.judge
    if whole and isinstance(judge, FilmJudge):
        said = judge.film(judge.see(pictures), text)
        on_picture(len(pictures), len(pictures))
        nothing = np.full(len(pictures), np.nan)
        phi = np.where(said.valid, said.value, np.nan)
        return Curve(at, _held(phi), nothing, nothing.copy(), said.valid, pictures, True)
    slot = np.zeros(1, dtype=np.int64)
    events: list[Any] = [Starts(slot, None, [{}], pictures[:1], [text])]
    last = len(pictures) - 2
    events += [_step(slot, t, t == last, pictures[t + 1 : t + 2]) for t in range(last + 1)]
    rows = []
    for begin in range(0, len(events), _CHUNK):
        rows += potential.values(events[begin : begin + _CHUNK])
        on_picture(len(rows), len(events))
    hop = np.array([np.nan, *(_term(row, "hop") for row in rows[1:])])
    done = np.array([np.nan, *(_term(row, "done") for row in rows[1:])])
    valid = np.array([bool(row.valid[0]) for row in rows])
    hop[~valid] = np.nan
    if not (done > 0).any():  # a judge that never speaks of it says 0
        done[:] = np.nan
    phi = np.array([float(row.phi[0]) for row in rows])
    return Curve(at, phi, hop, done, valid, pictures, False)


def _step(slot: Int, t: int, last: bool, picture: Frames) -> Steps:
    return Steps(
        slot=slot,
        t=np.array([t]),
        obs=None,
        action=None,
        next_obs=None,
        env_reward=np.zeros(1),
        terminated=np.zeros(1, dtype=np.bool_),
        truncated=np.array([last]),
        info=[{}],
        frame=picture,
    )


def _term(row: Any, name: str) -> float:
    return float(row.terms[name][0]) if name in row.terms else np.nan


def _held(phi: Float) -> Float:
    """Return values with every NaN replaced by the last number before it, 0 at the start."""
    known = np.where(np.isnan(phi), -1, np.arange(len(phi)))
    last = np.maximum.accumulate(known)
    return np.where(last < 0, 0.0, phi[np.maximum(last, 0)])


def _plain(values: Float) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
