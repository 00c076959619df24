"""The result store: what is read back, and that nothing damaged or foreign is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from densegym.agents.training.results import (
    append_jsonl,
    load_results,
    load_run,
    unfinished,
    write_json,
)
from densegym.errors import ResultsError
from tests.agents.factories import change, write_run


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path, curve=(0.0, 0.5, 1.0), final=0.75, seed=3, cpu_s=30.0))
    assert run.meta["seed"] == 3
    assert [(p.step, p.cpu_s, p.success.mean()) for p in run.points] == [
        (333, 10.0, 0.0),
        (667, 20.0, 0.5),
        (1000, 30.0, 1.0),
    ]
    assert (len(run.success), run.success.mean(), run.return_env.mean()) == (20, 0.75, 0.75)
    assert run.success_stochastic.mean() == 0.75
    assert 'env = "DenseGym/ButtonPress-v0"' in run.config


@pytest.mark.parametrize(
    ("curve", "touches", "lasts"),
    [
        ((0.0, 0.95, 0.5, 0.9), 500, 1000),
        ((0.9, 1.0, 1.0, 1.0), 250, 250),
        ((0.0, 0.0, 1.0, 0.0), 750, None),
        ((0.0, 0.0, 0.0, 0.85), None, None),
        ((), None, None),
    ],
)
def test_first_touch_and_lasting_arrival_at_a_threshold(curve, touches, lasts, tmp_path) -> None:
    run = load_run(write_run(tmp_path, curve=curve))
    first, kept = run.reaches(0.9), run.stays(0.9)
    assert (first.step if first else None, kept.step if kept else None) == (touches, lasts)
    if first is not None:
        assert first.cpu_s == pytest.approx(10.0 * first.step / 1000)


def test_finished_runs_are_loaded_in_order_and_partial_ones_only_named(tmp_path: Path) -> None:
    for seed in (1, 0):
        write_run(tmp_path, seed=seed)
    partial = write_run(tmp_path, seed=2, partial=True)
    write_json(partial / "meta.json", {"schema": 1})
    write_json(partial / "final.json", {"schema": 1})
    with (partial / "eval.jsonl").open("a") as file:
        file.write('{"step": 12')
    assert [run.meta["seed"] for run in load_results(tmp_path)] == [0, 1]
    assert unfinished(tmp_path) == [partial]


def test_no_runs_says_how_to_get_some(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"no folder .*densegym bench demo"):
        load_results(tmp_path / "nowhere")
    with pytest.raises(ResultsError, match=r"no finished run .*densegym bench demo"):
        load_results(tmp_path)
    write_run(tmp_path, partial=True)
    with pytest.raises(ResultsError, match="1 unfinished"):
        load_results(tmp_path)


@pytest.mark.parametrize("name", ["meta.json", "final.json", "eval.jsonl"])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    (folder / name).unlink()
    with pytest.raises(ResultsError, match=rf"{name} is missing"):
        load_results(tmp_path)


@pytest.mark.parametrize("name", ["meta.json", "final.json", "eval.jsonl"])
def test_a_file_cut_anywhere_is_refused(name: str, tmp_path: Path) -> None:
    path = write_run(tmp_path) / name
    whole = path.read_bytes().rstrip()
    for keep in (1, len(whole) - 40, len(whole) - 1):
        path.write_bytes(whole[:keep])
        with pytest.raises(ResultsError, match=rf"{name}.* no JSON"):
            load_results(tmp_path)


@pytest.mark.parametrize("name", ["meta.json", "final.json", "eval.jsonl", "config.toml"])
def test_a_file_that_is_no_text_is_refused(name: str, tmp_path: Path) -> None:
    (write_run(tmp_path) / name).write_bytes(b"\xff\xfe{}")
    with pytest.raises(ResultsError, match=rf"{name} is no text"):
        load_results(tmp_path)


@pytest.mark.parametrize("name", ["meta.json", "final.json"])
def test_json_that_is_no_object_is_refused(name: str, tmp_path: Path) -> None:
    (write_run(tmp_path) / name).write_text("[1, 2]")
    with pytest.raises(ResultsError, match=rf"{name} holds a list"):
        load_results(tmp_path)


@pytest.mark.parametrize(
    ("name", "entries", "says"),
    [
        ("meta.json", {"schema": 2}, "schema 2, this version reads 1"),
        ("final.json", {"schema": None}, "schema None"),
        ("meta.json", {"env": None}, "not written by densegym: env is None, expected str"),
        ("meta.json", {"seed": "0"}, "seed is '0', expected int"),
        ("meta.json", {"seed": True}, "seed is True, expected int"),
        ("meta.json", {"terminate_on_success": "yes"}, "expected bool or null"),
        ("meta.json", {"cost_usd": "free"}, "expected int or float"),
        ("final.json", {"success": []}, "success is a list of numbers"),
        ("final.json", {"success": 1.0}, "success is a list of numbers"),
        ("final.json", {"success": ["1"] * 20}, "success is a list of numbers"),
        ("final.json", {"success": [float("nan")] * 20}, "non-finite"),
        ("final.json", {"success": [2.0] * 20}, "between 0 and 1"),
        ("final.json", {"return_env": [1.0]}, "one entry per episode"),
        ("final.json", {"episodes": 21}, "expected 21 episodes, as it says; found 20"),
    ],
)
def test_foreign_and_impossible_contents_are_refused(name, entries, says, tmp_path: Path) -> None:
    change(write_run(tmp_path) / name, **entries)
    with pytest.raises(ResultsError, match=rf"{name}.*{says}"):
        load_results(tmp_path)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"step": 10}, "step 10 comes after step 1000, so two runs"),
        ({"step": 1000}, "step 1000 comes after step 1000, so two runs"),
        ({"step": "2000"}, "step is an int"),
        ({"cpu_s": None}, "cpu_s a number"),
        ({"success": [1.0]}, "one entry per episode"),
    ],
)
def test_a_wrong_line_is_named_by_number(entries, says, tmp_path: Path) -> None:
    path = write_run(tmp_path) / "eval.jsonl"
    last = json.loads(path.read_text().splitlines()[-1])
    append_jsonl(path, last | {"step": 2000} | entries)
    with pytest.raises(ResultsError, match=rf"eval.jsonl, line 5.*{says}"):
        load_results(tmp_path)
    path.write_text('{"step": 1}\n')
    with pytest.raises(ResultsError, match=r"line 1 lacks one of step, cpu_s"):
        load_results(tmp_path)


def test_writing_json_replaces_the_whole_file_or_nothing(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "meta.json"
    write_json(path, {"b": 1, "a": [2]})
    before = path.read_text()
    assert json.loads(before) == {"a": [2], "b": 1}

    def fail(source: object, target: object) -> None:
        raise OSError("disk is gone")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk is gone"):
        write_json(path, {"b": 2})
    assert path.read_text() == before
    monkeypatch.undo()
    with pytest.raises(TypeError):
        write_json(path, {"b": object()})
    assert path.read_text() == before
    write_json(path, {"b": 3})
    assert json.loads(path.read_text()) == {"b": 3}
    assert [entry.name for entry in tmp_path.iterdir()] == ["meta.json"]


def test_appended_objects_are_one_line_each(tmp_path: Path) -> None:
    path = tmp_path / "eval.jsonl"
    for step in (1, 2):
        append_jsonl(path, {"step": step, "text": "a\nb\u2028c"})
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2]
