"""Demonstrations for progress models: pictures, what was attempted, when it succeeded.

Kept as Minari datasets (format 0.5), one per kind, so that any tool of the field can read them.
The observation of a step is ``{"state": what the policy saw, "pictures": (V, H, W, 3) uint8}``;
films have no state, and one action that means nothing.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from densegym.errors import DenseGymError, require
from densegym.reward_models.types import Bool, Float, Frames, Places, TaskCard

EXPERT, RANDOM, STALL = "expert", "random", "stall"
FAILURES = (RANDOM, STALL, "wrong-task", "near-miss")
LEAVES, SWEEP, PLANNER, POLICY = "leaves", "sweep", "planner", "policy"
TAUGHT = (LEAVES, SWEEP)
UNTAUGHT = (PLANNER, POLICY)
"""Controllers other than the expert, which succeed or fail: those that a judge learns from, and
those that only ever serve its evaluation."""
FOREIGN = (*TAUGHT, *UNTAUGHT)
KINDS = (EXPERT, *FAILURES, *FOREIGN)
_ALWAYS = (EXPERT, RANDOM, STALL)  # the others need other tasks, or places in the observation
HARVEST = "harvest"
"""Failures, and ends of successes, of a policy that is being trained."""
HELD_OUT, EXPERT_FROM, SUCCESS, SEED = "held_out", "expert_from", "success", "seed"
LEFT = "left"
_ROOT = "MINARI_DATASETS_PATH"
_CAMERAS, _PRETTY = "densegym_cameras", "densegym_pretty"
AFTER = 6
"""Pictures of a success from its first on: what done looks like, more than once."""


@dataclass(frozen=True, slots=True, eq=False)
class Demo:
    """One episode of T steps.

    Attributes:
        kind: one of ``KINDS`` or ``HARVEST``.
        pictures: (T + 1, V, H, W, 3) uint8.
        success: (T + 1,) whether the success rule held.
        state: (T + 1, D) what a policy saw, or None.
        action: (T, A) or (T,), or None where nobody recorded any.
        expert_from: the step from which the expert acted; 0 unless it was displaced first.
        held_out: whether the placement belongs to the evaluation, never to training.
        seed: of the placement.
        left: (T + 1,) steps that an expert would need from each state, or None where nobody
            counted them.
        places: where gripper, object and goal are in ``state``, as the task declares; None where it
            does not.
    """

    kind: str
    pictures: Frames
    success: Bool
    state: Float | None = None
    action: Float | None = None
    expert_from: int = 0
    held_out: bool = False
    seed: int = -1
    left: Float | None = None
    places: Places | None = None

    @property
    def done_at(self) -> int | None:
        """The first step at which the success rule held, or None."""
        return int(np.argmax(self.success)) if self.success.any() else None


def held(demo: Demo, count: int = AFTER) -> Demo:
    """Return an episode that ends at success with its last picture shown ``count`` times in all.

    Worlds that end there, and films that are cut there, hold too few pictures of what done looks
    like. The last state and action are repeated with the picture.
    """
    if demo.done_at is None or (missing := count - (len(demo.success) - demo.done_at)) <= 0:
        return demo
    longer = {name: getattr(demo, name) for name in ("pictures", "success", "state", "left")}
    longer["action"] = demo.action
    return replace(demo, **{name: _longer(rows, missing) for name, rows in longer.items()})


def _longer(rows: Any, missing: int) -> Any:
    return None if rows is None else np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)])


def dataset_id(env_id: str, kind: str) -> str:
    """Return the Minari id of a kind of demonstration, e.g. ``densegym/button-press/expert-v0``."""
    name = env_id.rpartition(":")[2].removeprefix("DenseGym/").rpartition("-v")[0]
    words = "".join(f"-{c.lower()}" if c.isupper() else c for c in name)
    return f"densegym/{re.sub('[^a-z0-9]+', '-', words).strip('-')}/{kind}-v0"


class Look(NamedTuple):
    """How the pictures of a task's demonstrations were taken.

    Attributes:
        cameras: names of their views; empty for the world's own one.
        pretty: with shadows, smooth edges and the whole robot, as in films; see ``Pictures``.
    """

    cameras: tuple[str, ...]
    pretty: bool = False


def save(
    demos: Sequence[Demo],
    env_id: str,
    kind: str,
    *,
    env: Any = None,
    cameras: Sequence[str],
    pretty: bool = False,
) -> str:
    """Write demonstrations of one kind as a Minari dataset, replacing an older one.

    The older one is there until the new one is whole; of two that are saved at once, one stays.

    Args:
        demos: at least one, all of the kind, with states or without.
        env_id: the world.
        kind: one of ``KINDS``.
        env: the bare Gymnasium env, whose spec the dataset names; None where there is none.
        cameras: names of the pictures' views.
        pretty: whether the pictures show what films do; see ``Look``.

    Returns:
        The dataset's id.

    Raises:
        MissingExtraError: Minari is not installed.
    """
    minari: Any = require("minari", extra="demos")
    from gymnasium import spaces
    from minari.data_collector import EpisodeBuffer

    name = dataset_id(env_id, kind)
    shown: dict[str, Any] = {"pictures": spaces.Box(0, 255, demos[0].pictures.shape[1:], np.uint8)}
    if demos[0].state is not None:
        shown["state"] = _space_of(demos[0].state, None if env is None else env.observation_space)
    acts = None if env is None else env.action_space
    if acts is None or demos[0].action is None:
        acts = spaces.Discrete(1) if demos[0].action is None else _space_of(demos[0].action, None)
    buffers = [EpisodeBuffer(**_columns(demo, index)) for index, demo in enumerate(demos)]
    with warnings.catch_warnings(), _elsewhere(name):
        warnings.simplefilter("ignore", UserWarning)  # about authors that scripts do not have
        made = minari.create_dataset_from_buffers(
            name,
            buffers,
            env=env,
            action_space=acts,
            observation_space=spaces.Dict(shown),
            algorithm_name=f"scripted {kind}",
            description=f"{kind} episodes of {env_id} seen through {', '.join(cameras)}",
            jpeg_encoding=False,
        )
        made.storage.update_metadata({_CAMERAS: json.dumps(list(cameras)), _PRETTY: pretty})
    return name


@contextmanager
def _elsewhere(name: str) -> Iterator[None]:
    """Let a dataset be written into a folder of this process; it takes its place when it is whole.

    Minari knows no other way to name the folder than its environment variable.
    """
    root, before = Path(folder()), os.environ.get(_ROOT)
    aside = root / f".writing-{os.getpid()}"  # hidden, so that no list shows it
    os.environ[_ROOT] = str(aside)
    try:
        yield
        _put(aside / name, root / name)
    finally:
        os.environ.pop(_ROOT)
        os.environ.update({} if before is None else {_ROOT: before})
        shutil.rmtree(aside, ignore_errors=True)


def _put(source: Path, target: Path) -> None:
    """Move a folder to where another may be, which other processes may be doing, too."""
    target.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with suppress(FileNotFoundError):
            target.rename(source.with_name(f"{source.name}-before"))
        try:
            source.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            shutil.rmtree(source.with_name(f"{source.name}-before"), ignore_errors=True)
            continue
        return


def look_of(card: TaskCard) -> Look:
    """Return how the demonstrations of a task look; by its card where nothing is said.

    Raises:
        MissingExtraError: Minari is not installed.
    """
    minari: Any = require("minari", extra="demos")
    name = dataset_id(card.id, EXPERT)
    known = name in minari.list_local_datasets()
    told = minari.load_dataset(name).storage.metadata if known else {}
    if _CAMERAS not in told:
        return Look(card.cameras)
    return Look(tuple(json.loads(told[_CAMERAS])), bool(told[_PRETTY]))


def _space_of(rows: Any, space: Any) -> Any:
    """Return the space of flat rows: that of the world, if they fit it, or any numbers."""
    from gymnasium import spaces

    flat = None if space is None else _flat_space(space)
    if flat is not None and flat.shape == rows.shape[1:]:
        return flat
    return spaces.Box(-np.inf, np.inf, rows.shape[1:], rows.dtype.type)


def _flat_space(space: Any) -> Any:
    from gymnasium import spaces

    plain = isinstance(space, spaces.Box) and len(space.shape) == 1
    return space if plain else spaces.flatten_space(space)


def _columns(demo: Demo, index: int) -> dict[str, Any]:
    count = len(demo.pictures) - 1
    ends = np.zeros(count, dtype=np.bool_)
    ends[-1] = True
    told: dict[str, Any] = {
        SUCCESS: demo.success,
        EXPERT_FROM: demo.expert_from,
        HELD_OUT: demo.held_out,
        SEED: demo.seed,  # Minari keeps an episode's seed, but does not hand it back
        LEFT: np.nan if demo.left is None else demo.left,
    }
    return {
        "id": index,
        "seed": demo.seed,
        "observations": {
            "pictures": demo.pictures,
            **({} if demo.state is None else {"state": demo.state}),
        },
        "actions": np.zeros(count, dtype=np.int64) if demo.action is None else demo.action,
        "rewards": demo.success[1:].astype(np.float64),
        "terminations": np.zeros(count, dtype=np.bool_),
        "truncations": ends,
        "infos": {key: np.broadcast_to(value, (count + 1,)) for key, value in told.items()},
    }


def load_for(card: TaskCard) -> list[Demo]:
    """Load every demonstration of a task, with the places of its card; see ``load``."""
    return [replace(demo, places=card.places) for demo in load(card.id, collect=collecting(card))]


def collecting(card: TaskCard) -> str:
    """Return the command that collects the demonstrations of a task."""
    own = "scripted expert" in card.gives
    return f"densegym demos collect {card.id}" + ("" if own else " --expert FILE.py")


def load(env_id: str, kinds: Sequence[str] = (), *, collect: str = "") -> list[Demo]:
    """Load the demonstrations of a task, by default every kind that was collected.

    Args:
        env_id: the world.
        kinds: of demonstration.
        collect: what to type where they are missing; that of a world with a scripted expert by
            default.

    Raises:
        DenseGymError: a kind is missing, or steps left are; says what to type.
        MissingExtraError: Minari is not installed.
    """
    check(env_id, kinds, collect=collect)
    minari: Any = require("minari", extra="demos")
    known = minari.list_local_datasets()
    return [
        _demo(env_id, kind, episode)
        for kind in kinds or KINDS
        if dataset_id(env_id, kind) in known
        for episode in minari.load_dataset(dataset_id(env_id, kind))
    ]


def check(env_id: str, kinds: Sequence[str] = (), *, collect: str = "") -> None:
    """Raise what ``load`` would where demonstrations are missing, without loading any."""
    minari: Any = require("minari", extra="demos")
    known = minari.list_local_datasets()
    for kind in kinds or _ALWAYS:
        name = dataset_id(env_id, kind)
        if name not in known:
            raise DenseGymError(
                f"there are no {kind} demonstrations of {env_id} (Minari dataset {name}). "
                f"Type: {collect or f'densegym demos collect {env_id}'}"
            )


def _demo(env_id: str, kind: str, episode: Any) -> Demo:
    told: Mapping[str, Any] = episode.infos
    if LEFT not in told:
        raise DenseGymError(
            f"demonstrations of {env_id} were collected by an older DenseGym, which did not count "
            f"the steps that are left. Type: densegym demos collect {env_id}"
        )
    left = np.asarray(told[LEFT], dtype=np.float64)
    return Demo(
        kind=kind,
        pictures=np.asarray(episode.observations["pictures"], dtype=np.uint8),
        success=np.asarray(told[SUCCESS], dtype=np.bool_),
        state=_state(episode.observations),
        action=np.asarray(episode.actions),
        expert_from=int(told[EXPERT_FROM][0]),
        held_out=bool(told[HELD_OUT][0]),
        seed=int(told[SEED][0]),
        left=None if np.isnan(left).any() else left,
    )


def _state(observations: Mapping[str, Any]) -> Float | None:
    return np.asarray(observations["state"], np.float64) if "state" in observations else None


def digest(demos: Sequence[Demo]) -> str:
    """Return a hash of everything a model could learn from the demonstrations."""
    total = hashlib.blake2b(digest_size=16)
    for demo in demos:
        total.update(f"{demo.kind} {demo.expert_from} {demo.held_out}".encode())
        total.update(np.packbits(demo.success).tobytes())
        total.update(b"" if demo.left is None else demo.left.tobytes())
        total.update(np.ascontiguousarray(demo.pictures).tobytes())
    return total.hexdigest()


def folder() -> str:
    """Return where Minari keeps its datasets."""
    return os.environ.get(_ROOT, os.path.expanduser("~/.minari/datasets"))
