"""The options of every reward: listed, explained, at the defaults that models use, checked."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import pytest

from densegym.envs import tasks
from densegym.errors import RewardError, UnknownNameError
from densegym.reward_models.catalogue import RewardEntry
from densegym.reward_models.options import build, fields_of, options_of, type_text
from densegym.reward_models.registry import find_reward, reward_entries
from densegym.reward_models.shaping import Shaped
from densegym.reward_models.spec import WRAPPING_KEYS, build_reward
from tests.toys import CARD

if TYPE_CHECKING:
    from collections.abc import Collection

ENTRIES = reward_entries()
CARDS = [
    tasks.task_card(f"DenseGym/{name}-v0")
    for name in ("ButtonPress", "NetHackScore", "MiniHack-KeyRoom-S5", "Shop")
]
FILES = ("authored/file", "progress/embedding", "progress/perceptual")  # need a file of the user's


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_option_is_listed_with_type_default_and_meaning(entry: RewardEntry) -> None:
    options = options_of(entry)
    names = [option.name for option in options]
    assert len(names) == len(set(names))
    assert not set(names) & {"task", "seed", "model", *WRAPPING_KEYS}
    for option in options:
        assert option.meaning.endswith("."), option
        assert not option.required, option
        assert option.type
        assert "``" not in option.meaning


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_name_that_is_nearly_right_is_refused_with_the_right_one(entry: RewardEntry) -> None:
    for option in options_of(entry):
        with pytest.raises(UnknownNameError) as error:
            build_reward({"model": entry.name, f"{option.name}x": 1}, task=CARDS[0])
        assert f'option of reward "{entry.name}" "{option.name}x"' in str(error.value)
        assert f'Did you mean "{option.name}"' in str(error.value)
        assert f"`densegym rewards {entry.name}` explains them" in str(error.value)


def built(entry: RewardEntry) -> Any:
    for card in CARDS:
        if entry.ready(card) and entry.name not in FILES:
            model = build_reward({"model": entry.name, "scale": 1.0, **entry.supply}, task=card)
            return model.potential if isinstance(model, Shaped) else model
    return None


def used(model: Any, name: str) -> Any:
    """What a model goes by, or None where it keeps the option under no name of its own."""
    inner = ("options", "_options", "judge", "_judge", "pictures", "_head", "head", "source")
    for place in (model, *(getattr(model, part, None) for part in inner)):
        for holder in (place, getattr(place, "_options", None)):
            for known in (name, f"_{name}"):
                value = getattr(holder, known, None)
                if isinstance(value, int | float | str):
                    return value
    return None


def test_defaults_are_those_that_models_use() -> None:
    read: dict[str, int] = {}
    for entry in ENTRIES:
        model = built(entry) if entry.alias is None else None
        given = entry.example() if entry.supply else {}
        for option in options_of(entry) if model is not None else ():
            value = used(model, option.name)
            derived = option.default is None or option.name in given
            if value is not None and not derived:
                assert value == option.default, (entry.name, option)
                read[entry.name] = read.get(entry.name, 0) + 1
    fitted = [name for name in read if name.startswith("credit/")]
    assert len(fitted) >= 10
    assert min(read[name] for name in fitted) >= 1
    assert {"intrinsic/e3b-v1", "intrinsic/rnd-v1", "intrinsic/ellm-v1", "progress/vlac"} <= {*read}
    assert sum(read.values()) > 90


def test_a_subclass_says_it_in_its_own_words_and_keeps_the_others() -> None:
    rrd = {option.name: option for option in options_of(find_reward("credit/rrd"))}
    assert (rrd["hidden"].default, rrd["learning_rate"].default) == (128, 3e-4)
    assert rrd["hidden"].meaning == "width of the network's two hidden layers."
    assert rrd["learning_rate"].meaning == "of Adam."
    assert rrd["of"].type == '"env" | "expert" | None'
    prime = {option.name for option in options_of(find_reward("credit/prime"))}
    oprl = {option.name for option in options_of(find_reward("credit/oprl"))}
    assert oprl - prime == {"margin", "task_key"}


@dataclass(frozen=True)
class Wish:
    """A wish.

    Attributes:
        depth: how far, given
            in metres.
        kind: of the wish.
    """

    depth: float
    kind: Literal["wide", "tall"] = "wide"
    notes: tuple[str, ...] = dataclasses.field(default_factory=tuple)


@dataclass
class Loose:
    width: int = 3


def wishing(*, task: Any, wish: Wish, count: int = 2, loose: Loose | None = None) -> Any:
    """Wish.

    Args:
        task: the task's card.
        count: how often (twice).
    """
    return task, wish, count, loose


def test_a_frozen_dataclass_and_parameters_are_taken_together() -> None:
    options = options_of(RewardEntry("a/b", wishing))
    assert [option.name for option in options] == ["depth", "kind", "notes", "count", "loose"]
    depth, kind, notes, count, loose = options
    assert (depth.required, depth.default_text) == (True, "required")
    assert depth.meaning == "how far, given in metres."
    assert depth.as_dict() == {"name": "depth", "type": "float", "meaning": depth.meaning}
    assert (kind.type, kind.default_text) == ('"wide" | "tall"', '"wide"')
    assert (notes.type, notes.default) == ("tuple[str, ...]", ())
    assert (count.meaning, loose.type) == ("how often (twice).", "Loose | None")
    made = build(wishing, "a/b", {"depth": 2.0, "count": 5}, task=CARD)
    assert made == (CARD, Wish(2.0), 5, None)
    with pytest.raises(RewardError, match=r'needs "depth" \(float\) how far, .* Write .*"a/b"'):
        build(wishing, "a/b", {"count": 5}, task=CARD)
    for option in ("task", "seed", "wish"):
        with pytest.raises(UnknownNameError, match=f'"{option}"'):
            build(wishing, "a/b", {"depth": 1.0, option: 3}, task=CARD)


def odd(*, kinds: Collection[str] = (), seed: int = 0, **options: Any) -> Any:
    return kinds, seed, options


def test_strangers_factories_are_called_as_they_are_written() -> None:
    (kinds,) = options_of(RewardEntry("a/odd", odd))
    assert (kinds.type, kinds.meaning) == ("Collection[str]", "")
    assert build(odd, "a/odd", {"size": 4}, task=CARD, seed=7) == ((), 7, {"size": 4})
    wished = partial(wishing, wish=Wish(1.0))
    assert options_of(RewardEntry("a/p", wished))[0].default == 1.0
    assert build(wished, "a/p", {}, task=CARD)[1] == Wish(1.0)
    assert build(wished, "a/p", {"kind": "tall"}, task=CARD)[1] == Wish(1.0, "tall")
    assert build(lambda: 3, "a/l", {}, task=CARD) == 3
    with pytest.raises(UnknownNameError, match='"seed"'):
        build(odd, "a/odd", {"seed": 1}, task=CARD)


def test_types_are_written_as_people_do() -> None:
    assert type_text(int | None) == "int | None"
    assert type_text(Any) == "any"
    assert type_text(dict[str, list[int]]) == "dict[str, list[int]]"
    assert [option.type for option in fields_of(Wish)] == [
        "float",
        '"wide" | "tall"',
        "tuple[str, ...]",
    ]
