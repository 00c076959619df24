"""Makes demonstrations of what others recorded, and adds the failures that a judge learns from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from densegym.agents.collecting import behaviours
from densegym.agents.collecting.demonstrators import Demonstrators
from densegym.agents.collecting.demos import (
    Collected,
    Stage,
    collect_kind,
    held_out_place,
    make_drawable,
    stage_of,
)
from densegym.agents.collecting.sources import Attempt, attempts
from densegym.envs.tasks import known_world
from densegym.envs.world import World
from densegym.errors import DenseGymError
from densegym.reward_models.progress.demos import (
    EXPERT,
    RANDOM,
    STALL,
    Demo,
    Look,
    held,
)

_CHANGED, _SAME = 24, 0.001  # of 255, and of pixels: what less changes is the same placement
_HELD = 3  # one placement in so many is for evaluation
_FEWEST = 4  # attempts that succeed: two to learn from, and two for evaluation
_CUT = (0.3, 0.7)  # of the way that a stall made of a success goes
_STANDS = 12  # pictures that it then stands still
_SHAPE = 0.02  # by which the sides of pictures may differ, as a ratio
_RANDOM_STEPS = 60  # of a random episode, which a world that is at hand plays


@dataclass(frozen=True, slots=True, kw_only=True)
class Importing:
    """How recordings become demonstrations.

    Attributes:
        kind: what they show: ``"expert"`` for attempts that succeed, or a kind of failure.
        size: of pictures, pixels.
        every: keep every so many-th picture.
        done: last pictures of a success that show the task done, where nothing else says so.
        views: which pictures of a data set, by name.
        camera: of the world, that shows what the recordings show; None for its ``render()``.
        seed: of failures that are made.
    """

    kind: str = EXPERT
    size: int = 64
    every: int = 1
    done: int = 1
    views: tuple[str, ...] = ()
    camera: tuple[str, ...] = ()
    seed: int = 0


def import_demos(
    env_id: str,
    sources: Sequence[str],
    options: Importing,
    *,
    on_attempt: Callable[[int], None] = lambda done: None,
) -> tuple[Collected, Look]:
    """Read attempts and return them as demonstrations of a task.

    Attempts that start alike are on one side of the split, every third start is for evaluation.
    With experts come two kinds of failure: random actions, which the world plays where it is at
    hand, and experts that stop half-way. Both are replaced by failures that are imported later.

    Args:
        env_id: the task, which needs a card and, to play random actions, a world.
        sources: see ``sources.attempts``.
        options: see there.
        on_attempt: told how many attempts were read.

    Raises:
        UnknownNameError: no such task.
        DenseGymError: unreadable, of different shapes, or too few attempts.
    """
    row = known_world(env_id)
    if row.card.cameras and not options.camera:
        raise DenseGymError(
            f"{env_id} has several cameras; say which of them shows what the films show, such as "
            f"--camera {(*row.card.portrait, *row.card.cameras)[0]}"
        )
    read = list[Attempt]()
    for source in sources:
        for attempt in attempts(
            source, size=options.size, every=options.every, views=options.views
        ):
            read.append(attempt)
            on_attempt(len(read))
    _check_alike(read)
    sides = _sides(read, row)
    demos = [_demo(one, side, row, options) for one, side in zip(read, sides, strict=True)]
    look = Look(options.camera, pretty=True)
    rejected = {options.kind: 0}
    if options.kind == EXPERT:
        succeeded = [demo for demo in demos if demo.done_at]
        rejected[EXPERT] = len(demos) - len(succeeded)
        _check_count(succeeded)
        demos = succeeded + [_stalls(demo, index, options) for index, demo in enumerate(succeeded)]
        demos += _played(row, look, read[0], options, len(succeeded), rejected)
        rejected[STALL] = 0
    return Collected(demos, rejected, look.cameras), look


def _demo(attempt: Attempt, held_out: bool, row: World, options: Importing) -> Demo:
    success = attempt.success
    if success is None or options.kind != EXPERT:
        success = np.zeros(len(attempt.pictures), dtype=np.bool_)
        if options.kind == EXPERT:
            success[-options.done :] = True
    fits = attempt.state is not None and row.card.places is not None
    demo = Demo(
        kind=options.kind,
        pictures=attempt.pictures,
        success=success,
        state=attempt.state,
        action=attempt.action,
        held_out=held_out,
        places=row.card.places if fits else None,
    )
    return held(demo)


def _sides(read: Sequence[Attempt], row: World) -> list[bool]:
    """Return which attempts are for evaluation; those that start alike stay together."""
    places = row.card.places
    if places is not None and all(one.state is not None for one in read):
        return [held_out_place(np.asarray(one.state[0]), places) for one in read]
    starts, groups = list[Any](), list[int]()
    for one in read:
        first = one.pictures[0].astype(np.int16)
        changed = [(np.abs(first - start).max(axis=-1) > _CHANGED).mean() for start in starts]
        same = next((group for group, share in enumerate(changed) if share < _SAME), None)
        if same is None:
            same = len(starts)
            starts.append(first)
        groups.append(same)
    return [group % _HELD == _HELD - 1 for group in groups]


def _stalls(expert: Demo, index: int, options: Importing) -> Demo:
    """Return a success that stops half-way, with the steps that it leaves."""
    assert expert.done_at is not None
    rng = np.random.default_rng([options.seed, index])
    cut = max(1, int(rng.uniform(*_CUT) * expert.done_at))
    rows = np.minimum(np.arange(cut + 1 + _STANDS), cut)
    left = np.maximum(expert.done_at - rows, 1).astype(np.float64)
    return replace(
        expert,
        kind=STALL,
        pictures=expert.pictures[rows],
        success=np.zeros(len(rows), dtype=np.bool_),
        state=None if expert.state is None else expert.state[rows],
        action=None if expert.action is None else expert.action[rows[:-1]],
        left=None if expert.held_out else left,
    )


def _played(
    row: World,
    look: Look,
    like: Attempt,
    options: Importing,
    count: int,
    rejected: dict[str, int],
) -> Iterator[Demo]:
    """Yield random episodes of the world for learning and for evaluation, as the films look.

    Raises:
        DenseGymError: the world cannot be drawn, or draws pictures of another shape.
    """
    try:
        world = make_drawable(row, _RANDOM_STEPS)
        stage = stage_of(row, world, look.cameras, options.size, pretty=look.pretty)
    except DenseGymError as error:
        raise DenseGymError(
            f"{error} So films of failures are needed, too: densegym demos import FILMS --task "
            f"{row.card.id} --kind random"
        ) from error
    try:
        _check_world(stage, like)
        stage = stage._replace(cast=_Chance(row, world.action_space))
        rejected[RANDOM] = 0
        for side in (False, True):
            rng = np.random.default_rng([options.seed, side])
            wanted = max(4, count // 2 if side else count)
            yield from map(_forget, collect_kind(stage, RANDOM, side, wanted, rng, rejected))
    finally:
        stage.env.close()


class _Chance(Demonstrators):
    """Knows random actions alone, each kept for a while or not."""

    def act(self, kind: str, rng: np.random.Generator, stray: str | None = None) -> Any:
        hold = int(rng.choice([1, behaviours.HOLD]))
        return behaviours.random(self._space, hold=hold)(rng), 0


def _forget(demo: Demo) -> Demo:
    """Return a failure without what films do not tell either."""
    return replace(demo, state=None, action=None, places=None)


def _check_world(stage: Stage, like: Attempt) -> None:
    """Refuse films that show judges another shape than the world will."""
    draws = hasattr(stage.env.unwrapped, "draw")
    shown: Any = None
    if not draws:
        stage.env.reset(seed=0)
        inner: Any = stage.env.unwrapped
        shown = np.asarray(inner.render()).shape[:2]
    height, width = like.shape
    wanted = 1.0 if draws else shown[1] / shown[0]
    if abs(width / height / wanted - 1.0) > _SHAPE:
        what = "square pictures" if draws else f"pictures of {shown[1]} x {shown[0]} pixels"
        raise DenseGymError(
            f"{like.name} is {width} x {height} pixels, and {stage.row.card.id} shows judges "
            f"{what}: they would see it squeezed. Crop or record films of that shape"
        )


def _check_alike(read: Sequence[Attempt]) -> None:
    if not read:
        raise DenseGymError("no film, folder or data set was named; type: densegym demos import -h")
    first = read[0]
    for one in read:
        ratio = (one.shape[1] / one.shape[0]) / (first.shape[1] / first.shape[0])
        if abs(ratio - 1.0) > _SHAPE:
            raise DenseGymError(
                f"{one.name} is {one.shape[1]} x {one.shape[0]} pixels and {first.name} "
                f"{first.shape[1]} x {first.shape[0]}; films of one task have one shape"
            )


def _check_count(demos: Sequence[Demo]) -> None:
    side = sum(demo.held_out for demo in demos)
    if side < 1 or len(demos) - side < 2 or len(demos) < _FEWEST:
        raise DenseGymError(
            f"{len(demos)} attempts succeed, from {side} starts for evaluation; expected at least "
            f"{_FEWEST} from three different starts. Name more films"
        )
