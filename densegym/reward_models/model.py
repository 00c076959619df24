"""The two things a user writes: a reward model, or a potential that values states.

Both declare themselves by one attribute, ``traits``, and name the models inside them in
``children``; costs, state and closing then reach every child without another line.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from densegym.reward_models.batch import all_true
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Episode, Float, Scores, Starts, Steps, Values

Event: TypeAlias = Starts | Steps
Truncation: TypeAlias = Literal["bootstrap", "terminal"]
COSTS = ("model_calls", "cost_usd")
"""Metrics that add up over the parts of a reward."""


class _Declared(ABC):
    """What reward models and potentials share: a name, traits, children, and what follows.

    Attributes:
        name: with version, e.g. ``"authored/button-press-v1"``.
        traits: what it declares.
        children: the models and potentials inside it.
        memory: what it remembers itself, under the names that a checkpoint keeps it by: one holder
            of values, such as ``LaneValues``, or a list of them.
    """

    name: str = "reward"
    traits: Traits
    children: tuple[_Declared, ...] = ()
    memory: Mapping[str, Any] = MappingProxyType({})
    _pairs: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Methods that must answer alike: who defines the first below the second defines both."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__ == __name__:  # what this module offers to derive from
            return
        own = vars(cls)
        declared = hasattr(cls, "traits") or any(
            "traits" in vars(base).get("__annotations__", ())
            for base in cls.__mro__
            if base is not _Declared
        )
        if not declared and any(name in own for pair in cls._pairs for name in pair):
            raise TypeError(
                f"{cls.__name__} declares no traits. Write traits = Traits(...) in the class, or "
                "traits: Traits where __init__ sets them; Traits() suits a step reward that reads "
                "observations."
            )
        for one, many in cls._pairs:
            inherited = next((base for base in cls.__mro__[1:] if many in vars(base)), _Declared)
            if one in own and many not in own and inherited not in (RewardModel, Potential):
                parent = cls.__mro__[1].__name__
                raise TypeError(
                    f"{cls.__name__} overrides {one} of {parent}, which also defines "
                    f"{many}. Override {many} too, so that both answer alike."
                )

    def metrics(self) -> dict[str, float]:
        """Return numbers for logs: by default the children's, calls and cost added up.

        ``model_calls`` and ``cost_usd`` reach the tables. The names of several children's other
        metrics start with the child's name.
        """
        labels = distinct([short_name(child.name) for child in self.children])
        merged: dict[str, float] = {}
        for label, child in zip(labels, self.children, strict=True):
            for name, value in child.metrics().items():
                plain = name in COSTS or len(labels) == 1
                key = name if plain else f"{label}.{name}"
                merged[key] = merged.get(key, 0.0) + value
        return merged

    def close(self) -> None:
        """Let go of files, threads and connections: by default the children's."""
        for child in self.children:
            child.close()

    def state_dict(self) -> dict[str, Any]:
        """Return everything that must survive a checkpoint, as arrays and plain values.

        By default the memory and the children's states; who keeps more adds it to
        ``super().state_dict()``.
        """
        kept = {key: _state_of(held) for key, held in self.memory.items()}
        states = _state_of(self.children)
        return {**kept, "children": states} if any(states) else kept

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned; who keeps more takes it out before ``super()``.

        Raises:
            ValueError: something is left that this model cannot hold.
        """
        left = {"children": [{} for _ in self.children], **state}
        for key, held in {"children": self.children, **self.memory}.items():
            _restore(held, left.pop(key))
        if left:
            raise ValueError(f"{self.name} cannot hold the state {sorted(left)}")


class RewardModel(_Declared):
    """Judges batches of steps; subclasses declare ``traits`` and define ``score``.

    Rows carry a ``slot``, so a model with a memory keeps one value per slot (``LaneValues``).
    """

    _pairs = (("score", "score_many"),)

    def begin(self, starts: Starts) -> None:
        """Take note of rows that start an episode: by default lets the children do so."""
        for child in self.children:
            if isinstance(child, RewardModel):
                child.begin(starts)

    @abstractmethod
    def score(self, steps: Steps) -> Scores:
        """Judge one batch; called once per vector step."""

    def score_many(self, events: Sequence[Event]) -> list[Scores]:
        """Judge what a whole rollout brought; return one ``Scores`` per ``Steps``, in order.

        Must leave the model and answer exactly as ``begin`` and ``score`` one by one would, which
        is what it does by default; a costly model judges all of it in one batch instead.
        """
        scores = []
        for event in events:
            if isinstance(event, Starts):
                self.begin(event)
            else:
                scores.append(self.score(event))
        return scores

    def finish(self, episodes: Sequence[Episode]) -> Sequence[Float | None]:
        """Return (T,) credits for each finished episode, or None to keep the step rewards.

        Asked of models whose pay is known when the ``"episode"`` has ended. Credits come on top of
        what was paid at step time, where such a model scores zero.
        """
        return [None] * len(episodes)

    def estimate(self, prefix: Episode) -> Float | None:
        """Return (t,) credits of an episode that is still going on; None where nothing is known."""
        return None

    def predict(self, obs: Any, action: Any, next_obs: Any) -> Float:
        """Return (B,) credits of single transitions; asked of models that declare ``markov``."""
        raise NotImplementedError(f"{self.name} declares markov, but defines no predict")

    def of_goals(self, achieved: Any, desired: Any) -> Float:
        """Return (B,) rewards of goals (B, D), of a model that is a function of them alone.

        Hindsight relabelling asks models that define it for other goals than those pursued.
        """
        raise NotImplementedError(f"{self.name} is no function of goals")


class CombinedModel(RewardModel):
    """Judges a batch by what its children say of it; subclasses define ``combine``.

    Children are asked about whole rollouts where the combination is, so none of them is judged
    otherwise inside a combination than alone.
    """

    children: tuple[RewardModel, ...]

    @abstractmethod
    def combine(self, steps: Steps, said: Sequence[Scores]) -> Scores:
        """Return the scores of a batch from the children's, in their order."""

    def started(self, starts: Starts) -> None:
        """Reset what the combination itself remembers of rows that start an episode."""

    def begin(self, starts: Starts) -> None:
        """Begin every child."""
        super().begin(starts)
        self.started(starts)

    def score(self, steps: Steps) -> Scores:
        """Ask every child, then combine."""
        return self.combine(steps, [child.score(steps) for child in self.children])

    def score_many(self, events: Sequence[Event]) -> list[Scores]:
        """Ask every child about the whole rollout, then combine step by step."""
        judged = [iter(child.score_many(events)) for child in self.children]
        scores = []
        for event in events:
            if isinstance(event, Starts):
                self.started(event)
            else:
                scores.append(self.combine(event, [next(said) for said in judged]))
        return scores


class Potential(_Declared):
    """Values states; ``shaping.Shaped`` turns it into a reward that cannot be exploited.

    Subclasses declare ``traits`` and define ``value``, or ``values`` where many states are judged
    at once.

    Attributes:
        truncation: what a time limit is to it unless the specification says so; see ``Shaped``.
    """

    truncation: Truncation = "bootstrap"
    _pairs = (("value", "values"),)

    def value(self, event: Event) -> Values:
        """Return Φ of the first states (``Starts``), or of ``next_obs`` (``Steps``)."""
        if type(self).values is Potential.values:
            raise NotImplementedError(f"{type(self).__name__} must define value(event)")
        return self.values([event])[0]

    def values(self, events: Sequence[Event]) -> list[Values]:
        """Return Φ for every event of a rollout, exactly as one by one."""
        return [self.value(event) for event in events]

    def adopt(self, trained: Potential) -> None:
        """Value states from now on as another potential of this kind, which may have learnt."""


class LaneValues:
    """A float64 value per slot that grows as slots appear; what stateful models keep."""

    def __init__(self) -> None:
        self.values: Float = np.zeros(0)

    def reset(self, slot: Any, value: Float | float = 0.0) -> None:
        """Set slots ``slot`` (B,) int64 to ``value``, making room for new ones."""
        missing = int(slot.max(initial=-1)) + 1 - len(self.values)
        if missing > 0:
            self.values = np.concatenate([self.values, np.zeros(missing)])
        self.values[slot] = value

    def state_dict(self) -> Float:
        """Return a copy of the values."""
        return self.values.copy()

    def load_state_dict(self, values: Any) -> None:
        """Set all slots to a copy of ``values``."""
        self.values = np.array(values, dtype=np.float64)


class FunctionReward(RewardModel):
    """A reward model made of one function from ``Steps`` to named terms, which are summed."""

    traits = Traits()

    def __init__(
        self, name: str, function: Callable[[Steps], Mapping[str, Float]], terms: Sequence[str]
    ) -> None:
        self.name = name
        self.traits = self.traits.replace(terms=tuple(terms))
        self._function = function

    def score(self, steps: Steps) -> Scores:
        """Return the function's terms and their sum."""
        parts = self._function(steps)
        total = sum(parts.values(), np.zeros(len(steps.slot)))
        return Scores(reward=total, valid=all_true(len(steps.slot)), parts=parts)


def reward(
    name: str, *, terms: Sequence[str] = ()
) -> Callable[[Callable[[Steps], Mapping[str, Float]]], FunctionReward]:
    """Turn a function from ``Steps`` to named terms into a reward model.

    Args:
        name: the model's name with version, e.g. ``"mine/forward-v1"``.
        terms: the names of the terms, if they should appear in ``info`` from the first reset on.

    Example:
        >>> @reward("mine/forward-v1")
        ... def forward(steps):
        ...     return {"forward": steps.next_obs[:, 0]}
        >>> forward.name
        'mine/forward-v1'
    """
    return lambda function: FunctionReward(name, function, terms)


def _state_of(held: Any) -> Any:
    return [one.state_dict() for one in held] if isinstance(held, Sequence) else held.state_dict()


def _restore(held: Any, state: Any) -> None:
    pairs = zip(held, state, strict=True) if isinstance(held, Sequence) else [(held, state)]
    for one, kept in pairs:
        one.load_state_dict(kept)


def walk(model: _Declared) -> list[_Declared]:
    """Return a model and everything inside it, outermost first."""
    return [model, *(inner for child in model.children for inner in walk(child))]


def short_name(name: str) -> str:
    """Return a name without family and version: ``"authored/reach-v2"`` becomes ``"reach"``."""
    stem = name.rsplit("/", 1)[-1]
    head, _, tail = stem.rpartition("-v")
    return head if head and tail.isdigit() else stem


def distinct(labels: Sequence[str]) -> list[str]:
    """Return labels, the second of equal ones called ``<label>-2`` and so on."""
    seen: dict[str, int] = {}
    made = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        made.append(label if seen[label] == 1 else f"{label}-{seen[label]}")
    return made
