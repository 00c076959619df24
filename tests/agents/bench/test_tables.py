"""Tables: what is grouped, what is refused, and that every format says the same."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from densegym.agents.bench import formats, statistics, tables
from densegym.agents.training.results import Run, load_results
from densegym.errors import ResultsError
from tests.agents.factories import AUTHORED, BUTTON, change, write_run


def suite(root: Path, *, seeds: int = 5) -> list[Run]:
    for seed in range(seeds):
        write_run(root, reward=AUTHORED, seed=seed, final=0.6 + 0.1 * seed, cpu_s=10.0 + seed)
        write_run(root, reward="env", seed=seed, curve=(0.0, 0.0), model_calls=2, cost_usd=0.5)
        write_run(root, reward="expert", seed=seed, terminate_on_success=False)
    return load_results(root)


def cell(row: tables.Row, column: str) -> str:
    return dict(zip(tables.COLUMNS, row.cells(), strict=True))[column]


def test_controls_come_first_and_envs_and_learners_stay_together(tmp_path: Path) -> None:
    suite(tmp_path, seeds=1)
    write_run(tmp_path, reward="env", algo="sac")
    write_run(tmp_path, env="DenseGym/AAA-v0", reward="authored/aaa-v1")
    found = [(row.env, row.algo, row.reward) for row in tables.tabulate(load_results(tmp_path))]
    assert found == [
        ("DenseGym/AAA-v0", "ppo", "authored/aaa-v1"),
        (BUTTON, "ppo", "env"),
        (BUTTON, "ppo", "expert"),
        (BUTTON, "ppo", AUTHORED),
        (BUTTON, "sac", "env"),
    ]


def test_a_row_holds_what_its_runs_say(tmp_path: Path) -> None:
    env, expert, authored = tables.tabulate(suite(tmp_path))
    rates = np.array([0.6, 0.7, 0.8, 0.9, 1.0])
    assert authored.success[0] == pytest.approx(statistics.iqm(rates)) == pytest.approx(0.8)
    assert 0.6 <= authored.success[1] < 0.8 < authored.success[2] <= 1.0
    assert authored.seeds == (0, 1, 2, 3, 4)
    assert (authored.lowest, authored.drawn) == pytest.approx((0.6, 0.8))
    assert authored.cpu_s == pytest.approx(12.0)
    # The slowest seed has used 14 s and is there after three of four evaluations.
    assert authored.cpu_to == pytest.approx(14.0 * 0.75)
    assert (authored.steps_to, expert.steps_to, env.steps_to) == (750, 750, None)
    assert (authored.ends, expert.ends) == (True, False)
    assert (env.model_calls, env.cost_usd, env.cpu_to) == (2.0, 0.5, None)


def test_cells_show_interval_count_and_censoring(tmp_path: Path) -> None:
    env, expert, authored = tables.tabulate(suite(tmp_path))
    _, low, high = authored.success
    assert cell(authored, "success") == f"0.80 [{low:.2f}, {high:.2f}] (5)"
    assert cell(env, "steps to 0.9") == ">1,000"
    assert cell(env, "CPU s to 0.9") == "-"
    assert [cell(row, "ends at success") for row in (authored, expert)] == ["yes", "no"]
    assert cell(authored, "seeds") == "5"


def test_the_same_runs_give_the_same_intervals(tmp_path: Path) -> None:
    runs = suite(tmp_path)
    assert tables.tabulate(runs) == tables.tabulate(list(reversed(runs)))


@pytest.mark.parametrize(("seeds", "smoke"), [(4, True), (5, False)])
def test_fewer_than_five_seeds_are_smoke(seeds: int, smoke: bool, tmp_path: Path) -> None:
    runs = suite(tmp_path, seeds=seeds)
    rows = tables.tabulate(runs)
    assert [row.smoke for row in rows] == [smoke] * 3
    assert ("smoke" in cell(rows[0], "seeds")) is smoke
    assert ("prove nothing" in tables.caption(rows, runs, "x")) is smoke


def test_a_run_that_never_arrives_is_watched_past_the_budget(tmp_path: Path) -> None:
    # A learner finishes its rollout: one seed arrives at 1048, the other is still away then.
    write_run(tmp_path, seed=0, curve=(0.0, 1.0), overshoot=48)
    write_run(tmp_path, seed=1, curve=(0.0, 0.0), overshoot=48)
    (row,) = tables.tabulate(load_results(tmp_path))
    assert row.steps_to == 1048
    # Were the others taken to have left at 1000, one late event of four would pass for the median.
    for seed in (2, 3):
        write_run(tmp_path, seed=seed, curve=(0.0, 0.0), overshoot=48)
    (row,) = tables.tabulate(load_results(tmp_path))
    assert row.steps_to is None


def test_budgets_and_rules_of_ending_make_rows_of_their_own(tmp_path: Path) -> None:
    write_run(tmp_path / "a", seed=0)
    write_run(tmp_path / "b", seed=0, steps=2000)
    write_run(tmp_path / "c", seed=0, terminate_on_success=None)
    rows = tables.tabulate(load_results(tmp_path))
    assert [(row.steps, cell(row, "ends at success")) for row in rows] == [
        (1000, "-"),
        (1000, "yes"),
        (2000, "yes"),
    ]


def test_versions_of_one_reward_do_not_mix(tmp_path: Path) -> None:
    write_run(tmp_path, reward="authored/button-press-v1")
    write_run(tmp_path, reward="authored/button-press-v2")
    with pytest.raises(ResultsError, match=r"button-press-v1 and authored/button-press-v2"):
        tables.tabulate(load_results(tmp_path))


def test_versions_under_different_envs_and_different_rewards_do_mix(tmp_path: Path) -> None:
    write_run(tmp_path, reward="authored/press-v1")
    write_run(tmp_path, reward="authored/press-v2", env="DenseGym/FetchPush-v0")
    write_run(tmp_path, reward="progress/press-v2")
    assert len(tables.tabulate(load_results(tmp_path))) == 3


def test_releases_do_not_mix(tmp_path: Path) -> None:
    write_run(tmp_path, seed=0)
    write_run(tmp_path, seed=1, densegym="0.2.0")
    with pytest.raises(ResultsError, match=r"0\.1\.0 and 0\.2\.0 do not mix"):
        tables.tabulate(load_results(tmp_path))


def test_missing_and_doubled_seeds_are_named(tmp_path: Path) -> None:
    write_run(tmp_path / "a", seed=0)
    write_run(tmp_path / "a", seed=2)
    runs = load_results(tmp_path)
    assert tables.tabulate(runs, seeds=[0, 2])
    with pytest.raises(ResultsError, match=rf"{AUTHORED}, ppo: no finished run for seed 1, 3$"):
        tables.tabulate(runs, seeds=[0, 1, 2, 3])
    write_run(tmp_path / "b", seed=2)
    with pytest.raises(ResultsError, match=r"a seed was run twice: \[0, 2, 2\]"):
        tables.tabulate(load_results(tmp_path))


def test_every_format_holds_every_cell(tmp_path: Path) -> None:
    rows = tables.tabulate(suite(tmp_path))
    expected = [list(tables.COLUMNS), *(row.cells() for row in rows)]
    assert list(csv.reader(io.StringIO(formats.to_csv(rows)))) == expected
    shown = formats.to_markdown(rows)
    whole = shown.partition("</summary>\n\n")[2].partition("\n\n</details>")[0]
    assert max(line.count(" | ") for line in shown.partition("<details>")[0].splitlines()) < 7
    lines = whole.splitlines()
    shown = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    assert [shown[0], *shown[2:]] == expected
    assert set(lines[1]) == set("|- ")
    body = [line for line in formats.to_latex(rows).splitlines() if line.endswith(r"\\")]
    assert [
        [c.strip().replace("$>$", ">") for c in line.removesuffix(r"\\").split(" & ")]
        for line in body
    ] == expected


def test_other_outcomes_are_columns_of_their_own(tmp_path: Path) -> None:
    for seed, depth in ((0, 2.0), (1, 4.0)):
        folder = write_run(tmp_path, seed=seed, curve=[0.0], episodes=2)
        change(folder / "final.json", measures={"depth": [depth, depth]})
    write_run(tmp_path, seed=0, reward="expert", curve=[0.0], episodes=2)
    rows = tables.tabulate(load_results(tmp_path))
    header, *body = csv.reader(io.StringIO(formats.to_csv(rows)))
    assert header == [*tables.COLUMNS, "depth"]
    shown = {line[1]: line[-1] for line in body}
    assert shown["expert"] == "-"
    assert [value for reward, value in shown.items() if reward != "expert"] == [
        "3.000 [2.000, 4.000] (2)"
    ]
    for wrong, why in (({"depth": [1.0]}, "one entry per episode"), ([1.0], "object of lists")):
        change(folder / "final.json", measures=wrong)
        with pytest.raises(ResultsError, match=why):
            load_results(tmp_path)


def test_the_terminal_shows_each_reward_with_its_interval(tmp_path: Path) -> None:
    rows = tables.tabulate(suite(tmp_path, seeds=3))
    console = Console(width=110, file=io.StringIO(), record=True)
    for table in formats.to_text(rows):
        console.print(table)
    text = console.export_text()
    assert f"{BUTTON}, ppo, 1,000 steps" in text
    for row in rows:
        (line,) = [line for line in text.splitlines() if line.split()[:1] == [row.reward]]
        assert cell(row, "success") in line
        assert "3 (smoke)" in line


def test_names_with_special_characters_survive_each_format(tmp_path: Path) -> None:
    write_run(tmp_path, reward='a|b_c{"k": [1]} & 50% #1 $x ^~\\')
    rows = tables.tabulate(load_results(tmp_path))
    assert r"a\|b_c" in formats.to_markdown(rows)
    latex = formats.to_latex(rows)
    assert r"b\_c\{" in latex
    assert r"\& 50\% \#1 \$x \textasciicircum{}\textasciitilde{}\textbackslash{}" in latex
    assert (
        next(csv.reader(io.StringIO(formats.to_csv(rows).split("\n", 1)[1])))[1] == rows[0].reward
    )
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(*formats.to_text(rows))
    assert '{"k": [1]}' in console.export_text()


def test_the_caption_names_every_version_and_the_command(tmp_path: Path) -> None:
    write_run(tmp_path, seed=0, episodes=20)
    write_run(tmp_path, seed=1, episodes=10, versions={"mujoco": "3.4.0", "leftpad": "1"})
    runs = load_results(tmp_path)
    text = tables.caption(tables.tabulate(runs), runs, "densegym report results/x")
    assert "10/20 deterministic final episodes" in text
    assert "gymnasium 1.2.0, mujoco 3.3.0 / 3.4.0" in text
    assert text.endswith("Command: densegym report results/x")
    assert tables.versions(runs)["leftpad"] == "1"
