"""The written report: complete, self-contained, escaped, and reproducible."""

from __future__ import annotations

import json
import re
import shlex
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from densegym.agents.bench import plots, report
from densegym.agents.bench.report import train_command, write_report
from densegym.agents.training.config import resolve, to_toml
from densegym.agents.training.results import load_results, load_run
from densegym.errors import ResultsError
from densegym.reward_models.spec import from_text
from tests.agents.factories import AUTHORED, BUTTON, write_run

PNG = b"\x89PNG\r\n\x1a\n"


class Page(HTMLParser):
    """Collects what a browser would fetch or show."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes) -> None:
        self.tags.append(tag)
        self.fetched += [
            value for key, value in attributes if key in ("src", "href", "xlink:href", "poster")
        ]

    def handle_data(self, data: str) -> None:
        self.text += data


def suite(root: Path) -> None:
    for seed in range(2):
        write_run(root, reward="env", seed=seed, curve=(0.0, 0.0))
        write_run(root, reward=AUTHORED, seed=seed)
    write_run(root, reward="env", seed=2, partial=True)


def test_every_file_is_written_and_says_the_same(tmp_path: Path) -> None:
    suite(tmp_path)
    made = write_report(tmp_path)
    assert sorted(path.name for path in made.files) == [
        "learning_curves.png",
        "report.html",
        "table.csv",
        "table.json",
        "table.md",
        "table.tex",
    ]
    assert all(path.parent == tmp_path and path.stat().st_size > 100 for path in made.files)
    plain = json.loads((tmp_path / "table.json").read_text())
    assert [(row["reward"], row["smoke"], row["seeds"]) for row in plain] == [
        ("env", True, [0, 1]),
        (AUTHORED, True, [0, 1]),
    ]
    assert plain[1]["success"] == list(made.rows[1].success)
    assert (tmp_path / "table.md").read_text().endswith(f"{made.caption}\n")
    assert (tmp_path / "learning_curves.png").read_bytes().startswith(PNG)
    page = Page((tmp_path / "report.html").read_text())
    for row in made.rows:
        assert all(cell in page.text for cell in row.cells())
    assert made.caption in page.text
    assert f"densegym report {tmp_path}" in page.text
    assert "1 not finished" in page.text
    assert "env/ppo/seed-2.partial" in page.text


def test_the_page_fetches_nothing(tmp_path: Path) -> None:
    suite(tmp_path)
    media = load_results(tmp_path)[0].folder / "media"
    media.mkdir()
    (media / "strip.png").write_bytes(PNG)
    (media / "film.mp4").write_bytes(b"film")
    (media / "notes.txt").write_text("not shown")
    (media / "folder.png").mkdir()
    hidden = next(tmp_path.rglob("*.partial")) / "media"
    hidden.mkdir()
    (hidden / "unfinished.png").write_bytes(PNG)
    write_report(tmp_path)
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    embedded = [link for link in page.fetched if not link.startswith("#")]
    assert [link.partition(",")[0] for link in embedded] == [
        "data:video/mp4;base64",
        "data:image/png;base64",
    ]
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert not re.search(r"@import|url\((?!#)", text)
    assert "unfinished.png" not in text
    assert "notes.txt" not in text


def test_a_large_film_is_named_and_not_embedded(tmp_path: Path, monkeypatch) -> None:
    media = write_run(tmp_path) / "media"
    media.mkdir()
    (media / "film.mp4").write_bytes(b"0123456789")
    monkeypatch.setattr(report, "_EMBED_LIMIT", 9)
    write_report(tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert "film.mp4 (too large to embed)" in text
    assert "video/mp4" not in text


def test_names_are_escaped(tmp_path: Path) -> None:
    folder = write_run(tmp_path, reward="<script>alert(1)</script> $\\frac$", cpu="<b>fast</b>")
    (folder / "config.toml").write_text('env = "<b>&amp;"\n')
    write_report(tmp_path)
    page = Page((tmp_path / "report.html").read_text())
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert "<script>alert(1)</script>" in page.text
    assert 'env = "<b>&amp;"' in page.text
    assert "Repeat this run" not in page.text


def test_the_page_is_the_same_every_time(tmp_path: Path) -> None:
    suite(tmp_path)
    write_report(tmp_path)
    first = (tmp_path / "report.html").read_bytes()
    write_report(tmp_path)
    assert (tmp_path / "report.html").read_bytes() == first


def test_a_report_can_be_written_elsewhere(tmp_path: Path) -> None:
    suite(tmp_path / "runs")
    made = write_report(tmp_path / "runs", out=tmp_path / "new" / "place")
    assert {path.parent for path in made.files} == {tmp_path / "new" / "place"}
    assert not list((tmp_path / "runs").glob("*.*ml"))


def test_nothing_is_written_for_refused_runs(tmp_path: Path) -> None:
    suite(tmp_path)
    with pytest.raises(ResultsError, match="no finished run for seed 2"):
        write_report(tmp_path, seeds=[0, 1, 2])
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


@pytest.mark.parametrize(
    ("reward", "overrides"),
    [
        ("authored", ["n_envs=2", "learning_rate=1e-4", "policy.net_arch=[32, 32]"]),
        ({"model": "authored", "clip": [-1, 1]}, ["env.camera=corner 2", "her=false"]),
    ],
)
def test_the_shown_command_repeats_the_run(reward, overrides, tmp_path: Path) -> None:
    config = resolve(BUTTON, reward=reward, seed=3, steps=500, overrides=overrides)
    folder = write_run(tmp_path, seed=3)
    (folder / "config.toml").write_text(to_toml(config.as_dict()))
    words = shlex.split(train_command(load_run(folder)))
    assert words[:3] == ["densegym", "train", BUTTON]
    options = list(zip(words[3::2], words[4::2], strict=True))
    given = dict(options)
    again = resolve(
        words[2],
        reward=from_text(given["--reward"]),
        algo=given["--algo"],
        seed=int(given["--seed"]),
        overrides=[value for option, value in options if option == "--set"],
    )
    assert again.fingerprint() == config.fingerprint()
    assert set(given) == {"--reward", "--algo", "--seed", "--set"}


def test_a_damaged_configuration_is_named_and_a_missing_one_is_no_harm(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    (folder / "config.toml").write_text('env = "cut')
    with pytest.raises(ResultsError, match=r"config\.toml is damaged"):
        write_report(tmp_path)
    (folder / "config.toml").unlink()
    write_report(tmp_path)
    assert train_command(load_run(folder)) == ""
    assert "Repeat this run" not in (tmp_path / "report.html").read_text()


def panels(figure):
    return [axis for panel in figure.subfigs for axis in panel.axes]


def legend(figure, env: int = 0) -> list[str]:
    return [text.get_text() for text in figure.subfigs[env].legends[0].get_texts()]


def test_curves_show_what_was_measured_and_nothing_else(tmp_path: Path) -> None:
    write_run(tmp_path, seed=0, curve=(0.2, 0.4), cpu_s=10.0)
    write_run(tmp_path, seed=1, curve=(0.4, 1.0), cpu_s=20.0)
    steps, seconds = panels(plots.learning_curves(load_results(tmp_path)))
    first, second, thick = steps.lines
    assert first.get_xydata().tolist() == [[500, 0.2], [1000, 0.4]]
    assert second.get_xydata().tolist() == [[500, 0.4], [1000, 1.0]]
    np.testing.assert_allclose(thick.get_xydata()[[0, -1]], [[500, 0.3], [1000, 0.7]])
    # Both seeds were measured between 10 and 10 CPU seconds only.
    np.testing.assert_allclose(seconds.lines[2].get_xydata()[[0, -1]], [[10, 0.4]] * 2)
    assert thick.get_linewidth() > first.get_linewidth()


def test_false_progress_has_a_panel_where_progress_is_judged(tmp_path: Path) -> None:
    folder = write_run(tmp_path, curve=[0.0, 0.5, 1.0])
    assert len(panels(plots.learning_curves(load_results(tmp_path)))) == 2
    lines = [json.loads(line) for line in (folder / "eval.jsonl").read_text().splitlines()]
    for line, risen in zip(lines[1:], (0.2, 0.4), strict=True):  # nobody had failed at first
        line["reward_metrics"] = {"local.false_progress": risen}
    (folder / "eval.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    _, _, risen = panels(plots.learning_curves(load_results(tmp_path)))
    thin = risen.lines[0]
    assert thin.get_ydata().tolist() == [0.2, 0.4]
    assert thin.get_xdata().tolist() == [line["step"] for line in lines[1:]]


def test_learners_and_budgets_are_never_averaged_together(tmp_path: Path) -> None:
    write_run(tmp_path / "a", algo="ppo", curve=(0.0, 0.0))
    write_run(tmp_path / "a", algo="sac", curve=(1.0, 1.0))
    write_run(tmp_path / "b", algo="sac", steps=2000, curve=(0.5, 0.5))
    figure = plots.learning_curves(load_results(tmp_path))
    assert legend(figure) == [
        f"{AUTHORED}, ppo 1,000 (1 seed)",
        f"{AUTHORED}, sac 1,000 (1 seed)",
        f"{AUTHORED}, sac 2,000 (1 seed)",
    ]
    thick = panels(figure)[0].lines[1::2]
    assert [set(line.get_ydata()) for line in thick] == [{0.0}, {1.0}, {0.5}]
    assert len({line.get_linestyle() for line in thick}) == 3
    assert len({line.get_color() for line in thick}) == 1


def test_rules_of_ending_are_told_apart_only_where_they_differ(tmp_path: Path) -> None:
    write_run(tmp_path / "a", reward="expert", terminate_on_success=False)
    write_run(tmp_path / "a", reward="env", terminate_on_success=True)
    runs = load_results(tmp_path)
    assert legend(plots.learning_curves(runs)) == ["env (1 seed)", "expert (1 seed)"]
    write_run(tmp_path / "b", reward="env", terminate_on_success=False)
    shown = legend(plots.learning_curves(load_results(tmp_path)))
    assert len(shown) == len(set(shown)) == 3
    assert "goes on at success" in shown[0]


def test_every_reward_keeps_one_colour_of_its_own_in_every_panel(tmp_path: Path) -> None:
    rewards = ["env", "expert", *(f"authored/r{i}-v1" for i in range(6))]
    for env in (BUTTON, "DenseGym/FetchPush-v0"):
        for reward in rewards:
            write_run(tmp_path, env=env, reward=reward)
    axes = panels(plots.learning_curves(load_results(tmp_path)))
    palettes = [[line.get_color() for line in axis.lines[1::2]] for axis in axes]
    assert len(palettes) == 4
    assert all(palette == palettes[0] for palette in palettes)
    assert len(set(palettes[0])) == len(rewards)


def test_runs_without_evaluations_leave_an_empty_panel(tmp_path: Path) -> None:
    write_run(tmp_path, curve=())
    made = write_report(tmp_path)
    assert made.rows[0].steps_to is None


def test_the_inlined_curves_are_one_well_formed_element(tmp_path: Path) -> None:
    suite(tmp_path)
    runs = load_results(tmp_path)
    svg = plots.to_svg(plots.learning_curves(runs))
    assert ET.fromstring(svg).tag.endswith("svg")
    assert svg == plots.to_svg(plots.learning_curves(runs))
