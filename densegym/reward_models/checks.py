"""The contract of a reward model as a suite of tests, for third parties to subclass.

In a test file, ``class TestMine(RewardModelSuite)`` with ``make`` and two spaces is collected by
pytest, one test a rule; ``check_reward_model`` runs them all in one call.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium import Space

from densegym.errors import RewardError
from densegym.reward_models.batch import map_leaves, stack, take
from densegym.reward_models.model import COSTS, Potential, RewardModel
from densegym.reward_models.recording.recorder import EpisodeRecorder
from densegym.reward_models.shaping import Shaped
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Episode, Info, Int, Need, Scores, Starts, Steps

TOLERANCE = {"rtol": 1e-6, "atol": 1e-9}
_BEFORE = 2  # rounds of episodes before a checkpoint, so that fitted credits are fitted by then
_PLAIN = (np.ndarray, bool, int, float, str, type(None))


class _Stream:
    """A made-up history of equally long episodes in several lanes."""

    def __init__(self, suite: RewardModelSuite, traits: Traits, seed: int) -> None:
        lanes, length = suite.lanes, suite.length
        rng = np.random.default_rng(seed)
        suite.observation_space.seed(seed)
        suite.action_space.seed(seed)
        self.obs = [_batch(suite.observation_space, lanes) for _ in range(length + 1)]
        self.action = [_batch(suite.action_space, lanes) for _ in range(length)]
        self.info = [[suite.info(rng) for _ in range(lanes)] for _ in range(length + 1)]
        self.env_reward = [rng.normal(size=lanes) for _ in range(length)]
        self._frames = _frames(traits, rng, lanes, length)

    def starts(self, lanes: Int) -> Starts:
        info = [self.info[0][lane] for lane in lanes]
        tasks = ["task"] * len(lanes)
        return Starts(lanes, take(self.obs[0], lanes), info, self._frame(0, lanes), tasks)

    def steps(self, t: int, lanes: Int) -> Steps:
        last = t == len(self.action) - 1
        return Steps(
            slot=lanes,
            t=np.full(len(lanes), t),
            obs=take(self.obs[t], lanes),
            action=take(self.action[t], lanes),
            next_obs=take(self.obs[t + 1], lanes),
            env_reward=self.env_reward[t][lanes],
            terminated=(lanes % 2 == 0) & last,
            truncated=(lanes % 2 == 1) & last,
            info=[self.info[t + 1][lane] for lane in lanes],
            frame=self._frame(t + 1, lanes),
        )

    def events(self, lanes: Int) -> list[Starts | Steps]:
        return [self.starts(lanes), *(self.steps(t, lanes) for t in range(len(self.action)))]

    def episodes(self, lanes: Int, length: int) -> list[Episode]:
        """Return the first ``length`` steps of every lane, as they are recorded while played."""
        recorder = EpisodeRecorder("task")
        recorder.begin(self.starts(lanes))
        ended = [recorder.record(self.steps(t, lanes), np.zeros(len(lanes))) for t in range(length)]
        return ended[-1] or [*recorder.open_episodes()]

    def _frame(self, t: int, lanes: Int) -> Any:
        return None if self._frames is None else self._frames[t][lanes]


class RewardModelSuite:
    """The contract, a rule a test, on random transitions of two spaces.

    Subclasses define ``make``, ``observation_space`` and ``action_space``. A potential is checked
    through ``Shaped``; pictures are made up as ``Traits.pictures`` asks.

    Attributes:
        observation_space: where observations are drawn from; bounded ones work best.
        action_space: where actions are drawn from.
        lanes: number of lanes.
        length: steps per episode.
        seed: of the random transitions.
        rows_apart: whether rows are scored independently of the others of their batch; False for
            models that learn from the stream or count over all lanes.
    """

    observation_space: Space[Any]
    action_space: Space[Any]
    lanes: int = 5
    length: int = 7
    seed: int = 0
    rows_apart: bool = True
    rules: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        defined = (name for base in reversed(cls.__mro__) for name in vars(base))
        cls.rules = tuple(dict.fromkeys(name for name in defined if name.startswith("test_")))

    def make(self) -> RewardModel | Potential:
        """Return a fresh model, equal to and independent of the ones before."""
        raise NotImplementedError("define make(self) -> RewardModel | Potential")

    def info(self, rng: np.random.Generator) -> Info:
        """Return one step's info, if the model reads any."""
        return {}

    def test_it_declares_itself(self) -> None:
        """Its name, traits and children are what engines read."""
        model = self._make()
        name, traits = model.name, model.traits
        _expect(
            isinstance(traits, Traits) and isinstance(name, str),
            f"{model!r} declares name {name!r} and traits {traits!r}",
        )
        _expect(
            (Need.FRAME in traits.needs) == (traits.pictures is not None),
            f'"{name}" declares pictures {traits.pictures} and needs {traits.needs}; Need.FRAME '
            "and pictures belong together",
        )
        strangers = [c for c in model.children if not isinstance(c, RewardModel | Potential)]
        _expect(not strangers, f'"{name}" has children that are no models: {strangers}')

    def test_scores_are_one_finite_number_a_row(self) -> None:
        """Shapes, dtypes, finite valid rewards, terms as announced."""
        model = self._make()
        for scores in self._play(model):
            self._check_scores(model, scores)

    def test_equal_models_agree(self) -> None:
        """Two fresh models answer alike."""
        self._same("two equal models disagree", self._play(self._make()), self._play(self._make()))

    def test_the_order_of_lanes_does_not_matter(self) -> None:
        """A permuted batch gives permuted scores."""
        back = np.arange(self.lanes)[::-1]
        flipped = [_permuted(scores, back) for scores in self._play(self._make(), back)]
        self._same("the order of lanes changes the scores", self._play(self._make()), flipped)

    def test_a_batch_scores_as_its_rows(self) -> None:
        """A batch equals its rows one by one, where rows are scored apart."""
        if not self.rows_apart:
            return
        lanes = np.arange(self.lanes)
        singles = [self._play(self._make(), lanes[lane : lane + 1]) for lane in lanes]
        joined = [_concatenated([single[t] for single in singles]) for t in range(self.length)]
        self._same("a batch differs from its rows one by one", self._play(self._make()), joined)

    def test_a_rollout_is_judged_as_its_steps(self) -> None:
        """``score_many`` answers as ``begin`` and ``score`` one by one."""
        model = self._make()
        many = model.score_many(self._stream(model).events(np.arange(self.lanes)))
        self._same("score_many differs from score", self._play(self._make()), many)

    def test_a_checkpoint_loses_nothing(self) -> None:
        """A model that was restored in the middle goes on as the first one would."""
        first, lanes, middle = self._make(), np.arange(self.lanes), self.length // 2
        stream = self._stream(first)
        first.begin(stream.starts(lanes))
        for t in range(middle):
            first.score(stream.steps(t, lanes))
        second = self._make()
        second.load_state_dict(copy.deepcopy(first.state_dict()))
        rest = range(middle, self.length)
        expected = [first.score(stream.steps(t, lanes)) for t in rest]
        resumed = [second.score(stream.steps(t, lanes)) for t in rest]
        self._same("state_dict loses something", expected, resumed)

    def test_it_goes_on_learning_after_a_checkpoint(self) -> None:
        """A model saved between episodes learns and pays on as the first one, bit for bit."""
        first, second = self._make(), self._make()
        self._live(first, range(_BEFORE))
        state = copy.deepcopy(first.state_dict())
        _check_plain(first.name, state)
        second.load_state_dict(state)
        expected, resumed = self._live(first, [_BEFORE]), self._live(second, [_BEFORE])
        pairs = [*zip(expected, resumed, strict=True), (first.state_dict(), second.state_dict())]
        for at, (one, other) in enumerate(pairs):
            if not _identical(one, other):
                raise RewardError(
                    f'"{first.name}": state_dict loses something that it learns or pays from; '
                    f"answer {at} after a checkpoint is {other} instead of {one}"
                )

    def test_credits_are_one_finite_number_a_step(self) -> None:
        """What is known late: ``finish``, ``estimate`` and, of Markov models, ``predict``."""
        model, every = self._make(), np.arange(self.lanes)
        if model.traits.when != "episode":
            return
        stream = self._stream(model)
        self._play(model)
        credits = model.finish(stream.episodes(every, self.length))
        complaint = f'"{model.name}" returned {len(credits)} credits of {self.lanes}'
        _expect(len(credits) == self.lanes, complaint)
        prefix = model.estimate(stream.episodes(every[:1], 3)[0])
        for credit, length in [*((one, self.length) for one in credits), (prefix, 3)]:
            self._check_numbers(model, "credits", credit, (length,))
        if model.traits.markov:
            steps = stream.steps(0, every)
            predicted = model.predict(steps.obs, steps.action, steps.next_obs)
            self._check_numbers(model, "predict", predicted, (self.lanes,))

    def test_metrics_are_numbers(self) -> None:
        """Metrics are floats by name, and nothing was earned by being asked."""
        model = self._make()
        self._play(model)
        for name, value in model.metrics().items():
            counted = isinstance(value, float) and (name not in COSTS or value >= 0.0)
            _expect(counted, f'"{model.name}" counts {name} as {value!r}; expected a float')

    def test_it_can_be_closed_twice(self) -> None:
        """``close`` gives back what is held, and does not mind that it is gone."""
        model = self._make()
        model.close()
        model.close()

    def _make(self) -> RewardModel:
        made = self.make()
        if isinstance(made, Potential):
            return Shaped(made)
        kind = f"{made!r} is neither a RewardModel nor a Potential"
        _expect(isinstance(made, RewardModel), kind)
        return made

    def _stream(self, model: RewardModel, more: int = 0) -> _Stream:
        return _Stream(self, model.traits, self.seed + more)

    def _live(self, model: RewardModel, rounds: Iterable[int]) -> list[Any]:
        """Play whole episodes in all lanes, some rounds of them; return all that was said."""
        told: list[Any] = []
        lanes = np.arange(self.lanes)
        for more in rounds:
            stream = self._stream(model, more)
            model.begin(stream.starts(lanes))
            for t in range(self.length):
                scores = self._score(model, stream.steps(t, lanes))
                told += [scores.reward, scores.valid, *scores.parts.values()]
            if model.traits.when == "episode":
                told.append(model.estimate(stream.episodes(lanes[:1], 3)[0]))
                told += model.finish(stream.episodes(lanes, self.length))
        return [*told, model.metrics()]

    def _play(self, model: RewardModel, lanes: Int | None = None) -> list[Scores]:
        rows = np.arange(self.lanes) if lanes is None else lanes
        stream = self._stream(model)
        model.begin(stream.starts(rows))
        return [self._score(model, stream.steps(t, rows)) for t in range(self.length)]

    def _score(self, model: RewardModel, steps: Steps) -> Scores:
        seen = (steps.obs, steps.action, steps.next_obs, steps.env_reward)
        before = copy.deepcopy(seen)
        scores = model.score(steps)
        complaint = f'"{model.name}" changed its inputs; copy an array before writing to it'
        map_leaves(lambda a, b: _expect(np.array_equal(a, b), complaint), before, seen)
        return scores

    def _check_scores(self, model: RewardModel, scores: Scores) -> None:
        name, rows = f'"{model.name}"', (self.lanes,)
        reward, valid, parts = scores
        for label, column in {"reward": reward, "valid": valid, **parts}.items():
            shape = np.shape(column)
            _expect(shape == rows, f"{name}: {label} has shape {shape}, expected {rows}")
        kinds = (
            f"{name}: reward is {reward.dtype} and valid {valid.dtype}; expected float64 and bool"
        )
        _expect(reward.dtype == np.float64 and valid.dtype == np.bool_, kinds)
        finite = np.isfinite(reward[valid]).all()
        _expect(finite, f"{name} returned a non-finite reward on a valid row")
        announced, told = model.traits.terms, tuple(parts)
        complaint = f"{name} announces terms {announced} but returned {told}"
        _expect(not announced or told == announced, complaint)

    def _check_numbers(
        self, model: RewardModel, what: str, given: Any, shape: tuple[int, ...]
    ) -> None:
        if given is not None:
            numbers = np.asarray(given, dtype=np.float64)
            wrong = np.count_nonzero(~np.isfinite(numbers))
            _expect(
                numbers.shape == shape and not wrong,
                f'"{model.name}": {what} of shape {numbers.shape} with {wrong} non-finite '
                f"entries; expected {shape}",
            )

    def _same(self, complaint: str, first: Sequence[Scores], second: Sequence[Scores]) -> None:
        for t, (one, other) in enumerate(zip(first, second, strict=True)):
            close = np.allclose(one.reward, other.reward, equal_nan=True, **TOLERANCE)
            _expect(
                close and np.array_equal(one.valid, other.valid),
                f'"{self._make().name}": {complaint}; step {t}: {one.reward} against '
                f"{other.reward}",
            )


def check_reward_model(
    factory: Callable[[], RewardModel | Potential],
    observation_space: Space[Any],
    action_space: Space[Any],
    *,
    info: Callable[[np.random.Generator], Info] = lambda rng: {},
    rows_apart: bool = True,
    lanes: int = 5,
    length: int = 7,
    seed: int = 0,
) -> None:
    """Check that fresh models keep every rule of ``RewardModelSuite``.

    Args:
        factory: makes equal, independent models.
        observation_space: where observations are drawn from; bounded ones work best.
        action_space: where actions are drawn from.
        info: makes one step's info, if the model reads any.
        rows_apart: as of ``RewardModelSuite``.
        lanes: number of lanes.
        length: steps per episode.
        seed: of the random transitions.

    Raises:
        RewardError: a rule is broken; the message says which.
    """
    given = {"observation_space": observation_space, "action_space": action_space, "seed": seed}
    sizes = {"lanes": lanes, "length": length, "rows_apart": rows_apart}
    asked = {"make": staticmethod(factory), "info": staticmethod(info)}
    suite: RewardModelSuite = type("Suite", (RewardModelSuite,), {**given, **sizes, **asked})()
    for rule in suite.rules:
        getattr(suite, rule)()


def _check_plain(name: str, state: Any) -> None:
    """Refuse what a checkpoint, read back without running code, could not hold."""
    if isinstance(state, Mapping):
        for key, value in state.items():
            _check_plain(name, key)
            _check_plain(name, value)
    elif isinstance(state, list | tuple):
        for value in state:
            _check_plain(name, value)
    elif type(state) not in _PLAIN:
        raise RewardError(
            f'"{name}": state_dict holds a {type(state).__name__}; a checkpoint holds arrays, '
            "numbers, text, lists and dicts of such"
        )


def _identical(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_identical(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_identical, one, other))
    if one is None or other is None:
        return one is other
    if isinstance(one, str):
        return bool(one == other)
    return np.array_equal(np.asarray(one), np.asarray(other), equal_nan=True)


def _frames(traits: Traits, rng: np.random.Generator, lanes: int, length: int) -> Any:
    if traits.pictures is None:
        return None
    views, size = max(len(traits.pictures.cameras), 1), traits.pictures.size
    shape = (length + 1, lanes, views, size, size, 3)
    return rng.integers(0, 256, shape, dtype=np.uint8)


def _batch(space: Space[Any], lanes: int) -> Any:
    samples = [space.sample() for _ in range(lanes)]
    return stack(
        [map_leaves(lambda x: x if isinstance(x, str) else np.asarray(x), s) for s in samples]
    )


def _expect(kept: Any, complaint: str) -> None:
    if not kept:
        raise RewardError(complaint)


def _permuted(scores: Scores, order: Int) -> Scores:
    parts = {term: part[order] for term, part in scores.parts.items()}
    return Scores(scores.reward[order], scores.valid[order], parts)


def _concatenated(rows: Sequence[Scores]) -> Scores:
    parts = {term: np.concatenate([row.parts[term] for row in rows]) for term in rows[0].parts}
    reward, valid = ([getattr(row, name) for row in rows] for name in ("reward", "valid"))
    return Scores(np.concatenate(reward), np.concatenate(valid), parts)
