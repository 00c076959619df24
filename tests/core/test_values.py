from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import pytest

from densegym.errors import DenseGymError
from densegym.values import check_values, fits, hints_of


@pytest.mark.parametrize(
    ("value", "hint", "fitting"),
    [
        (1, int, True),
        (1.0, int, False),
        (True, int, False),
        (1, float, True),
        (True, float, False),
        (True, bool, True),
        (1, bool, False),
        ("a", str, True),
        (1, str, False),
        (None, None, True),
        (None, int | None, True),
        (0.5, int | None, False),
        ("a", Literal["a", "b"], True),
        ("c", Literal["a", "b"], False),
        ([1, 2], list[int], True),
        ([1, "a"], list[int], False),
        ([1, 2], tuple[int, int], True),
        ([1], tuple[int, int], False),
        ([1, 2], tuple[int, ...], True),
        ({"a": [1]}, dict[str, list[int]], True),
        ({"a": 1}, dict[str, list[int]], False),
        ({"a": 1}, Mapping[str, int], True),
        ([0.5], Sequence[float], True),
        ("ab", Sequence[str], False),
        ("x", type[int], False),
        ("x", Callable[[float], float], False),
        (abs, Callable[[float], float], True),
        ("x", Any, True),
        ("x", "a text that nobody reads", True),
        ({}, object, True),
    ],
)
def test_a_value_fits_what_is_asked_for(value: Any, hint: Any, fitting: bool) -> None:
    assert fits(value, hint) is fitting


class Base:
    def __init__(self, size: int, rate: "float | None" = None) -> None: ...


class Passing(Base):
    def __init__(self, extra: str, **kwargs: Any) -> None: ...


class Inheriting(Passing):
    pass


class Open:
    def __init__(self, **kwargs: Any) -> None: ...


def test_arguments_are_found_where_kwargs_are_passed_on() -> None:
    for kind in (Passing, Inheriting):
        hints = hints_of(kind)
        assert {"extra", "size", "rate"} <= set(hints)
        assert "**" not in hints
        assert hints["rate"] == float | None
    assert "**" in hints_of(Open)
    check_values({"anything": 1}, hints_of(Open), what="argument")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"siez": 3}, r"Unknown argument env\.siez=3\. Did you mean \"size\""),
        ({"size": "x"}, r"env\.size takes int; given 'x'"),
        ({"rate": "x"}, r"env\.rate takes float \| None; given 'x'"),
    ],
)
def test_what_does_not_fit_is_one_sentence(given: dict[str, Any], said: str) -> None:
    with pytest.raises(DenseGymError, match=said) as caught:
        check_values(given, hints_of(Base), what="argument", prefix="env.")
    assert "\n" not in str(caught.value)
