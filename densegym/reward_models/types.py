"""The nouns that every package shares: batches of steps, scores, episodes, task cards.

Every array has a leading axis B, the number of rows that really stepped. ``slot`` says which
sub-environment (or agent) a row belongs to, so a model never needs to know how it is vectorised.
What is made at every step is a NamedTuple, which costs a fifth of a frozen dataclass.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Int: TypeAlias = npt.NDArray[np.int64]
Float: TypeAlias = npt.NDArray[np.float64]
Bool: TypeAlias = npt.NDArray[np.bool_]
Frames: TypeAlias = npt.NDArray[np.uint8]
Info: TypeAlias = Mapping[str, Any]
Factory: TypeAlias = Callable[..., Any]
"""``build(*, task: TaskCard, seed: int, **options)``; returns a reward model or a potential."""
Mode: TypeAlias = Literal["replace", "add", "shape", "additive_unsafe"]


class Need(enum.Flag):
    """What the engine must collect for a model; what is not asked for is not paid for."""

    NOTHING = 0
    OBS = enum.auto()
    """Observations and actions; without it ``Steps.obs`` and ``Steps.next_obs`` are None."""
    FRAME = enum.auto()
    """Pictures of the states, (B, V, H, W, 3) uint8; which ones, say ``Traits.pictures``."""
    TASK = enum.auto()
    """The task's sentence, per row, at the start of an episode."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Which pictures a model with ``Need.FRAME`` looks at.

    Attributes:
        cameras: V cameras by name; empty means those of the task card.
        size: height and width, pixels.
        every: a picture is taken of the first state, of every ``every``-th after it and of the
            last one of an episode.
        pretty: with shadows, smooth edges and the whole robot, for judges that learnt elsewhere.
        markers: with the simulator's sites and goal markers, which no real camera shows.
    """

    cameras: tuple[str, ...] = ()
    size: int = 64
    every: int = 1
    pretty: bool = False
    markers: bool = True

    def due(self, t: Int, ended: Bool) -> Bool:
        """Return (B,) whether a picture is taken after step ``t`` (0-based) of an episode."""
        due: Bool = ended | ((t + 1) % self.every == 0)
        return due


class Starts(NamedTuple):
    """Rows that begin an episode.

    Attributes:
        slot: (B,) int64, the sub-environment.
        obs: first observation, leading axis B (array, dict of arrays, or list for text); None
            unless the model needs ``Need.OBS``.
        info: B mappings returned by ``reset``.
        frame: (B, V, H, W, 3) uint8, one picture per camera, or None.
        task: B sentences, or empty unless the model needs ``Need.TASK``.
    """

    slot: Int
    obs: Any
    info: Sequence[Info]
    frame: Frames | None = None
    task: Sequence[str] = ()


class Steps(NamedTuple):
    """Rows that really stepped.

    Attributes:
        slot: (B,) int64, the sub-environment.
        t: (B,) int64, 0-based step in its episode.
        obs: what the policy saw, leading axis B; None unless the model needs ``Need.OBS``.
        action: what it did, leading axis B.
        next_obs: the true successor, never the observation after an autoreset.
        env_reward: (B,) float64, the world's own reward.
        terminated: (B,) bool, the world ended.
        truncated: (B,) bool, the clock ended; when both are true, termination wins.
        info: B mappings returned by ``step``.
        frame: (B, V, H, W, 3) uint8 pictures of ``next_obs``, zeros where none was due, or None.
    """

    slot: Int
    t: Int
    obs: Any
    action: Any
    next_obs: Any
    env_reward: Float
    terminated: Bool
    truncated: Bool
    info: Sequence[Info]
    frame: Frames | None = None


class _Nothing(Mapping[str, Any]):
    """An empty mapping that cannot be filled, and can be copied and pickled with who keeps it."""

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


NOTHING = _Nothing()


class Scores(NamedTuple):
    """What a model says of a batch of steps.

    Attributes:
        reward: (B,) float64.
        valid: (B,) bool; False is an abstention, and the engine applies its fallback.
        parts: named terms, each (B,) float64; for additive models they sum to ``reward``.
    """

    reward: Float
    valid: Bool
    parts: Mapping[str, Float] = NOTHING


class Values(NamedTuple):
    """What a potential says of a batch of states.

    Attributes:
        phi: (B,) float64, Φ.
        valid: (B,) bool; False is an abstention.
        terms: named numbers for displays, each (B,) float64.
    """

    phi: Float
    valid: Bool
    terms: Mapping[str, Float] = NOTHING


@dataclass(frozen=True, slots=True)
class Episode:
    """One finished episode of T steps, for models that judge whole episodes.

    Attributes:
        slot: the sub-environment.
        obs: T + 1 observations, leading axis T + 1.
        action: T actions.
        env_reward: (T,) float64.
        dense_reward: (T,) float64, what was paid at step time.
        terminated: whether the world (not the clock) ended it.
        info: T mappings.
        frames: (T + 1, V, H, W, 3) uint8, or None.
        task: the task's sentence.
        start: the mapping returned by ``reset``.
    """

    slot: int
    obs: Any
    action: Any
    env_reward: Float
    dense_reward: Float
    terminated: bool
    info: Sequence[Info]
    frames: Frames | None = None
    task: str = ""
    start: Info = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Feature:
    """A named quantity that a reward program may read; a row of a task card's feature table.

    Attributes:
        name: the parameter name in a reward program, e.g. ``"hand_position"``.
        shape: shape without the batch axis; ``()`` is a scalar.
        unit: e.g. ``"m"``, ``"rad/s"``, ``"1"`` for dimensionless.
        frame: coordinate frame, e.g. ``"world"``, ``"body"``, or ``"-"``.
        meaning: one line for people and language models.
        source: where it is read: the observation, the action, or the step's info.
        key: entry of a Dict observation, or the info key.
        columns: half-open range of a flat observation or action.
    """

    name: str
    shape: tuple[int, ...]
    unit: str
    frame: str
    meaning: str
    source: Literal["obs", "action", "info"] = "obs"
    key: str | None = None
    columns: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a flat observation holds (x, y, z) in metres: half-open ranges of three columns.

    Attributes:
        gripper: of the hand; the defaults are Meta-World's.
        object: of what is to be moved.
        goal: of where it belongs.
    """

    gripper: tuple[int, int] = (0, 3)
    object: tuple[int, int] = (4, 7)
    goal: tuple[int, int] = (36, 39)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCard:
    """What a reward author is told about a task, and what decides success.

    Attributes:
        id: environment id, e.g. ``"DenseGym/ButtonPress-v0"``.
        family: group of tasks that share training presets, e.g. ``"metaworld"``.
        goal: the task in one sentence.
        success: the success rule in words.
        provenance: upstream package, id and licence.
        features: what reward programs may read.
        expert: what ``reward="expert"`` is, or None where no trustworthy one exists.
        cameras: what progress judges look through, by name; empty means the world's one picture.
        portrait: the same for judges that learnt elsewhere, from films that people take; empty
            means ``cameras``.
        hidden: bodies left out of the pictures of judges, because they only cost time.
        measures: keys of the last ``info`` of an episode that tables show beside the return.
        places: columns of gripper, object and goal, or None where there are none.
        gives: what rewards may ask of the world: ``"numbers"`` (nothing observed or done is text),
            ``"pictures"`` (it renders), ``"position"`` (NetHack's, in ``blstats``), ``"captions"``,
            ``"milestones"`` and ``"progression"`` (in ``info``), ``"places"`` (told by the field of
            that name), ``"scripted expert"`` (demonstrations can be collected). A registered
            ``World`` adds the last two by itself; of a world that nobody described, numbers and
            pictures are assumed.
    """

    id: str
    family: str = ""
    goal: str = ""
    success: str = ""
    provenance: str = ""
    features: tuple[Feature, ...] = ()
    expert: str | None = None
    cameras: tuple[str, ...] = ()
    portrait: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    places: Places | None = None
    gives: tuple[str, ...] = ("numbers", "pictures")
