"""The store refuses what is damaged or foreign; tables say what they rest on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from densegym.agents import tables
from densegym.agents.report import write_report
from densegym.agents.results import load_results, load_run, unfinished, write_json
from densegym.errors import ResultsError
from tests.agents.factories import write_run

AUTHORED = "authored/button-press-v1"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for seed in range(3):
        write_run(tmp_path, reward="env", seed=seed, success=0.0, curve=(0.0, 0.0, 0.0))
        write_run(tmp_path, reward="expert", seed=seed, success=1.0, terminate_on_success=False)
        write_run(tmp_path, reward=AUTHORED, seed=seed, success=0.8, curve=(0.95, 0.2, 0.95))
    return tmp_path


def test_runs_load_and_tell_when_they_arrived(results: Path) -> None:
    run = load_run(
        results / "DenseGym.ButtonPress-v0" / AUTHORED.replace("/", ".") / "ppo" / "seed-1"
    )
    assert run.reaches(0.9).step == 1000
    assert run.stays(0.9).step == 3000
    assert run.reaches(0.99) is None
    assert run.stays(0.99) is None
    assert run.meta["seed"] == 1


def test_tables_put_controls_first_and_name_smoke(results: Path) -> None:
    rows = tables.tabulate(load_results(results))
    assert [row.reward for row in rows] == ["env", "expert", AUTHORED]
    assert [row.ends for row in rows] == [True, False, True]
    assert rows[0].steps_to is None
    assert rows[0].cells()[9] == ">3,000"
    assert (rows[2].steps_to, rows[2].cpu_to) == (1000, 3.0)
    assert rows[1].success == (1.0, 1.0, 1.0)
    assert all(row.smoke for row in rows)
    assert "3 (smoke)" in tables.to_markdown(rows)
    assert tables.to_csv(rows).count("\n") == 4
    assert r"\begin{tabular}" in tables.to_latex(rows)
    caption = tables.caption(rows, load_results(results), "densegym report x")
    assert "fewer than five seeds" in caption
    assert "gymnasium 1.2.0" in caption
    assert caption.endswith("densegym report x")


def test_five_seeds_are_no_smoke(tmp_path: Path) -> None:
    for seed in range(5):
        write_run(tmp_path, seed=seed, success=seed / 4)
    (row,) = tables.tabulate(load_results(tmp_path), seeds=range(5))
    assert not row.smoke
    middle, low, high = row.success
    assert middle == pytest.approx(0.5)
    assert 0.0 <= low < middle < high <= 1.0


@pytest.mark.parametrize(
    ("reward", "meta", "says"),
    [
        ("authored/button-press-v2", {}, "v1 and authored/button-press-v2; versions of one reward"),
        ("env", {"densegym": "0.2.0"}, "densegym 0.1.0 and 0.2.0 do not mix"),
        ("authored/button-press-v1", {"seed": 0}, "a seed was run twice"),
    ],
)
def test_mixtures_are_refused(results: Path, reward: str, meta: dict, says: str) -> None:
    folder = write_run(results / "more", reward=reward, seed=9)
    told = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps({**told, **meta}))
    with pytest.raises(ResultsError, match=says):
        tables.tabulate(load_results(results))


def test_missing_seeds_are_named(results: Path) -> None:
    with pytest.raises(ResultsError, match="ppo: no finished run for seed 3, 4"):
        tables.tabulate(load_results(results), seeds=range(5))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("final.json", '{"schema": 1, "succ', "no JSON .*truncated"),
        ("final.json", "[]", "holds a list"),
        ("final.json", '{"schema": 7}', "schema 7, this version reads 1"),
        ("final.json", '{"schema": 1, "success": ["high"]}', "list of numbers"),
        ("final.json", '{"schema": 1, "success": [NaN]}', "non-finite"),
        ("final.json", None, "is missing"),
        ("meta.json", '{"title": "another program"}', "not written by densegym"),
        ("meta.json", None, "is missing"),
        ("eval.jsonl", '{"step": 1', "line 1 is no JSON"),
        ("eval.jsonl", '{"step": 1}', "line 1 lacks"),
        ("eval.jsonl", None, "is missing"),
    ],
)
def test_damage_is_named_by_file(results: Path, name: str, content: str | None, says: str) -> None:
    path = results / "DenseGym.ButtonPress-v0" / "env" / "ppo" / "seed-1" / name
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(ResultsError, match=says) as caught:
        load_results(results)
    assert str(path) in str(caught.value)


def test_empty_and_missing_folders_say_what_to_type(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ResultsError, match="densegym bench demo"):
            load_results(folder)


def test_unfinished_runs_are_left_out_and_named(results: Path) -> None:
    folder = write_run(results, seed=7)
    partial = folder.with_name("seed-7.partial")
    folder.rename(partial)
    (partial / "eval.jsonl").write_text('{"torn')
    made = write_report(results)
    assert made.unfinished == [partial]
    assert unfinished(results) == [partial]
    assert all(7 not in row.seeds for row in made.rows)
    assert "seed-7.partial" in (results / "report.html").read_text()


def test_the_report_is_one_page_that_asks_for_nothing(results: Path) -> None:
    media = results / "DenseGym.ButtonPress-v0" / "env" / "ppo" / "seed-0" / "media"
    media.mkdir()
    (media / "film.mp4").write_bytes(b"film")
    (media / "strip.png").write_bytes(b"strip")
    made = write_report(results)
    assert {path.name for path in made.files} == {
        "table.md",
        "table.csv",
        "table.tex",
        "table.json",
        "report.html",
        "learning_curves.png",
    }
    assert all(path.stat().st_size > 0 for path in made.files)
    page = (results / "report.html").read_text()
    assert "data:video/mp4;base64," in page
    assert "data:image/png;base64," in page
    assert "&lt;b&gt;&amp;amp;" in page  # what a config holds is text, not markup
    assert 'src="http' not in page
    assert "<script" not in page
    assert AUTHORED in page


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
