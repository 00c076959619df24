"""The ledger and what is computed from it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from densegym.errors import ResultsError
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.search.halving import best, promoted
from densegym.reward_models.authored.search.ledger import Ledger
from densegym.reward_models.authored.search.summary import (
    best_of_k,
    running_best,
    summarise,
)
from densegym.reward_models.sandbox.status import Status


def row(name: str, *values: float, status: Status = Status.TRAINED, **changes) -> Row:
    rungs = tuple(
        {"F_mean": v, "training_success": 0.0, "length": 1.0, "env_steps": 10 * (i + 1)}
        for i, v in enumerate(values)
    )
    plain = {"id": name, "iteration": 0, "source": name, "status": status, "rungs": rungs}
    return Row(**{**plain, **changes})


def test_the_last_line_of_a_candidate_counts(tmp_path):
    ledger = Ledger(tmp_path / "l.jsonl")
    ledger.write(row("a", status=Status.OK))
    ledger.write(row("b", status=Status.OK))
    ledger.write(row("a", 0.5))
    read = Ledger(tmp_path / "l.jsonl").rows()
    assert [(r.id, r.fitness) for r in read] == [("a", 0.5), ("b", None)]


def test_writing_the_same_again_adds_nothing(tmp_path):
    ledger = Ledger(tmp_path / "l.jsonl")
    ledger.write(row("a", 1 / 3))
    before = (tmp_path / "l.jsonl").read_bytes()
    ledger.write(row("a", 1 / 3))
    Ledger(tmp_path / "l.jsonl").write(row("a", 1 / 3))
    assert (tmp_path / "l.jsonl").read_bytes() == before


@pytest.mark.parametrize("cut", [1, 5, 50])
def test_a_torn_last_line_is_dropped_and_the_file_goes_on(tmp_path, cut):
    path = tmp_path / "l.jsonl"
    Ledger(path).write(row("a", 0.1))
    whole = path.read_bytes()
    Ledger(path).write(row("b", 0.2))
    path.write_bytes(path.read_bytes()[:-cut])
    ledger = Ledger(path)
    assert [r.id for r in ledger.rows()] == ["a"]
    assert path.read_bytes() == whole
    ledger.write(row("c", 0.3))
    assert [r.id for r in Ledger(path).rows()] == ["a", "c"]


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"id": "x"}', '{"status": "odd"}', "\xff"])
def test_a_damaged_line_is_named(tmp_path, line):
    path = tmp_path / "l.jsonl"
    Ledger(path).write(row("a", 0.1))
    path.write_bytes(path.read_bytes() + line.encode("latin-1") + b"\n")
    with pytest.raises(ResultsError, match="line 2 is damaged"):
        Ledger(path)


def test_numbers_json_cannot_hold_become_null(tmp_path):
    ledger = Ledger(tmp_path / "l.jsonl")
    kept = ledger.write(row("a", screen={"auc": float("nan"), "gain": float("inf")}))
    assert kept.screen == {"auc": None, "gain": None}
    json.loads((tmp_path / "l.jsonl").read_text(), parse_constant=pytest.fail)


def test_promotion_keeps_a_third_and_at_least_one():
    rows = [row(str(k), float(k)) for k in range(7)]
    assert [r.id for r in promoted(rows, eta=3)] == ["6", "5"]
    assert [r.id for r in promoted(rows[:2], eta=3)] == ["1"]
    assert promoted([], eta=3) == []


def test_negative_fitness_is_promoted_like_any_other():
    assert promoted([row("a", -5.0), row("b", -3.0), row("c", -9.0)], eta=3)[0].id == "b"


def test_a_candidate_is_not_best_for_a_lucky_low_rung():
    assert best([row("lucky", 0.9), row("steady", 0.2, 0.5)]).id == "steady"
    assert best([row("none", status=Status.OK)]) is None


def test_best_of_k_is_the_expected_maximum_of_k_drawn():
    rows = [row(str(k), value) for k, value in enumerate([0.0, 0.0, 1.0, 0.5])]
    curve = best_of_k(rows)
    pairs = [max(a, b) for i, a in enumerate((0, 0, 1, 0.5)) for b in (0, 0, 1, 0.5)[i + 1 :]]
    assert curve["mean"][0] == pytest.approx(0.375, abs=0.03)
    assert curve["mean"][1] == pytest.approx(np.mean(pairs), abs=0.03)
    assert curve["mean"][3] == 1.0
    assert curve["k"] == [1, 2, 3, 4]


def test_failing_candidates_count_as_the_worst_and_twins_not_at_all():
    rows = [
        row("a", 0.5),
        row("b", status=Status.TIMEOUT),
        row("c", status=Status.OK, duplicate_of="a"),
        row("d", 0.7),
    ]
    assert running_best(rows) == [0.5, 0.5, 0.7]
    assert best_of_k([])["k"] == []


def test_a_summary_counts_what_never_cost_training():
    rows = [row("a", 0.5, 0.6), row("b", status=Status.TPE_FAIL), row("c", 0.1)]
    rows.append(row("d", 0.2, status=Status.UNSTABLE))
    told = summarise(rows, 100)
    assert (told["failing"], told["stopped_before_training"]) == (2, 1)
    assert told["winner"] == "a"
    assert told["search_steps"] == 20 + 10 + 10
