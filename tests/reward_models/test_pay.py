"""The book of pay, beside one kept in plain Python, and where its room ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.reward_models import pay
from densegym.reward_models.pay import Late, Pay


def put(book: Pay, slots: list[int], own: list[float], paid: list[float]) -> None:
    every = slots == [*range(len(book.began))]
    book.put(np.array(slots, dtype=np.int64), np.array(own), np.array(paid), every)


def late(ticks: list[int], slot: int, worth: list[float]) -> Late:
    return Late(np.array(ticks), np.full(len(ticks), slot), np.array(worth))


class Ledger:
    """The same book, row by row."""

    def __init__(self, lanes: int) -> None:
        self.rows: dict[tuple[int, int], list[float]] = {}  # own, at the step, worth
        self.tick, self.began, self.before = -1, [0] * lanes, [0] * lanes
        self.gained, self.reports = 0.0, []

    def total(self, slot: int, first: int, last: int, column: int) -> float:
        ticks = range(first, last + 1)
        return sum(self.rows[t, slot][column] for t in ticks if (t, slot) in self.rows)


NUMBERS = st.integers(-8, 8).map(float)  # sums are exact
DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "some", "begin", "settle", "report", "forget"]),
        st.integers(0, 2),
        NUMBERS,
    ),
    max_size=60,
)


@given(deeds=DEEDS, unkept=st.integers(0, 3))
def test_the_book_says_what_a_plain_ledger_says(deeds, unkept) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pay, "_ROWS", 3)
        patch.setattr(pay, "_SUM_EVERY", 2)
        book, plain = Pay(3), Ledger(3)
        for _ in range(unkept):
            put(book, [0, 1, 2], [0.0] * 3, [0.0] * 3)
            plain.tick += 1
        assert (book.keeps, book.kept) == (False, 0)
        book.keep_rows()
        first_kept = plain.tick + 1
        asked = 0
        for kind, slot, value in deeds:
            if kind in ("put", "some"):
                slots = [0, 1, 2] if kind == "put" else [slot]
                own = [value + s for s in slots]
                put(book, slots, own, [2.0 * one for one in own])
                plain.tick += 1
                for s, one in zip(slots, own, strict=True):
                    plain.rows[plain.tick, s] = [one, 2.0 * one, 2.0 * one]
            elif kind == "begin":
                book.begin(np.array([slot]))
                plain.before[slot], plain.began[slot] = plain.began[slot], plain.tick + 1
            elif kind == "settle":
                ticks = [t for t in range(plain.began[slot], plain.tick + 1) if t >= asked]
                book.settle(
                    late([-5, *ticks, plain.tick + 50], slot, [9.0, *[value] * len(ticks), 9.0])
                )
                for tick in ticks:
                    if tick >= first_kept:
                        row = plain.rows.setdefault((tick, slot), [0.0, 0.0, 0.0])
                        plain.gained += value - row[2]
                        row[2] = value
            elif kind == "report" and plain.tick >= first_kept:
                episode = {"r": None}
                book.report(slot, episode)
                again = plain.began[slot] > plain.tick
                first = plain.before[slot] if again else plain.began[slot]
                plain.reports.append((slot, max(first, asked), plain.tick, episode))
            elif kind == "forget":
                book.forget(plain.tick + 1 - slot)
                plain.reports = [one for one in plain.reports if one[2] >= plain.tick + 1 - slot]
                needed = [*plain.began, *(one[1] for one in plain.reports), plain.tick + 1 - slot]
                asked = max(asked, min(needed))
            for s in range(3):
                began = plain.began[s]
                assert book.return_env[s] == plain.total(s, began, plain.tick, 0)
                assert book.return_dense[s] == plain.total(s, began, plain.tick, 2)
            for s, first, last, episode in plain.reports:
                assert episode["r"] == plain.total(s, first, last, 2)
            ticks = np.arange(max(asked, first_kept), plain.tick + 1)
            if len(ticks):
                for column, kept in enumerate(book.rows(ticks)):
                    told = [
                        [plain.rows.get((t, s), [0.0] * 3)[column] for s in range(3)] for t in ticks
                    ]
                    assert kept.tolist() == told
        assert book.pop_sums().get("reward/dense", 0.0) == plain.gained


def test_room_is_made_by_the_block_and_given_back_by_the_block(monkeypatch) -> None:
    monkeypatch.setattr(pay, "_ROWS", 4)
    book = Pay(1)
    book.keep_rows()
    rooms = []
    for tick in range(9):
        put(book, [0], [float(tick)], [0.0])
        rooms.append(book.kept)
    assert rooms == [4, 4, 4, 4, 8, 8, 8, 8, 16]
    book.forget(9)  # all belong to the episode that goes on
    assert book.kept == 16
    book.begin(np.array([0]))
    for before, room in ((3, 16), (4, 12), (7, 12), (8, 8), (100, 8)):
        book.forget(before)
        assert book.kept == room
    assert book.rows(np.array([8]))[0].tolist() == [[8.0]]
    for tick in range(9, 14):
        put(book, [0], [float(tick)], [0.0])
    book.begin(np.array([0]))
    book.forget(10**6)  # no later than the next tick
    assert book.kept == 2
    put(book, [0], [14.0], [1.0])
    assert [column.tolist() for column in book.rows(np.array([14]))] == [[[14.0]], [[1.0]], [[1.0]]]


def test_hundreds_of_rows_are_kept_where_an_episode_is_that_long() -> None:
    book = Pay(1)
    book.keep_rows()
    for tick in range(600):
        put(book, [0], [float(tick)], [0.0])
    assert book.rows(np.arange(600))[0][:, 0].tolist() == [*range(600)]
    assert book.kept == 1024


def test_an_episode_that_is_reported_keeps_its_rows_until_it_is_forgotten(monkeypatch) -> None:
    monkeypatch.setattr(pay, "_ROWS", 2)
    book, episode = Pay(1), {}
    book.keep_rows()
    for _ in range(3):
        put(book, [0], [1.0], [0.0])
    book.report(0, episode)
    book.begin(np.array([0]))
    put(book, [0], [1.0], [0.0])
    book.forget(2)
    book.settle(late([0, 1, 2, 3], 0, [1.0, 2.0, 3.0, 50.0]))
    assert episode == {"r": 6.0}
    assert book.return_dense.tolist() == [50.0]
    book.forget(3)
    book.settle(late([2], 0, [9.0]))
    assert episode == {"r": 6.0}


def test_ticks_go_on_after_a_checkpoint_and_rows_start_afresh() -> None:
    first, second = Pay(2), Pay(2)
    for _ in range(8):
        put(first, [0, 1], [1.0, 1.0], [1.0, 1.0])
    second.keep_rows()
    second.load_state_dict(first.state_dict())
    assert (second.tick, second.began.tolist()) == (7, [8, 8])
    put(second, [0, 1], [2.0, 3.0], [4.0, 5.0])
    assert [column.tolist() for column in second.rows(np.array([8]))] == [
        [[2.0, 3.0]],
        [[4.0, 5.0]],
        [[4.0, 5.0]],
    ]
    second.settle(late([7, 8], 1, [100.0, 6.0]))  # tick 7 was paid before the checkpoint
    assert second.return_dense.tolist() == [4.0, 6.0]
    assert second.pop_sums() == {"reward/dense": 1.0}


def test_sums_survive_a_change_of_keys_and_columns_must_fit_them() -> None:
    book = Pay(2)
    book.add_columns(("a", "b"), [np.array([1.0, 2.0]), np.array([3.0, 4.0])])
    book.add_columns(("a",), [np.array([10.0, 20.0])])
    book.add_sum("b", 0.5)
    assert book.pop_sums() == {"a": 33.0, "b": 7.5}
    assert book.pop_sums() == {"a": 0.0, "b": 0.0}
    book.add_columns(("a",), [np.array([1.0]), np.array([1.0])])
    with pytest.raises(ValueError, match=r"shorter|longer"):
        book.pop_sums()


def test_what_was_shown_is_not_overwritten() -> None:
    book = Pay(2)
    put(book, [0, 1], [1.0, 2.0], [3.0, 4.0])
    shown = book.return_env, book.return_dense
    book.keep_rows()
    put(book, [0, 1], [1.0, 2.0], [3.0, 4.0])
    book.begin(np.array([1]))
    book.settle(late([1], 0, [50.0]))
    assert [one.tolist() for one in shown] == [[1.0, 2.0], [3.0, 4.0]]
    assert book.return_env.tolist() == [2.0, 0.0]
    assert book.return_dense.tolist() == [53.0, 0.0]
