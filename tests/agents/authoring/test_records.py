"""Recorded searches that ship: replayed offline to the byte, compared, exported, drawn."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from densegym.agents.authoring.compare import compare_searches
from densegym.agents.authoring.folder import (
    export_program,
    find_record,
    list_records,
    read_config,
    read_rows,
    same_ledger,
)
from densegym.agents.authoring.page import write_page
from densegym.cli.main import app
from densegym.envs.tasks import task_card
from densegym.errors import DenseGymError, ResultsError, UnknownNameError
from densegym.reward_models.authored.search.search import winner
from densegym.reward_models.authored.search.summary import summarise
from densegym.reward_models.authored.verification.verify import verify
from densegym.reward_models.llm.transcript import spent

RECORDS = {name: config for name, config, _ in list_records()}
TASKS = ("door-unlock", "drawer-open", "hopper-forward", "half-cheetah-forward")


def run(*arguments: str):
    return CliRunner().invoke(app, ["author", *arguments], catch_exceptions=False)


def replay(name, out):
    return run("run", "--replay", name, "--out", str(out), "--json")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("author", ["eureka", "random", "gp"])
def test_every_task_has_its_searches_at_one_budget(task, author):
    config, eureka = RECORDS[f"{author}-{task}"], RECORDS[f"eureka-{task}"]
    assert config.candidates >= 4
    assert config.iterations >= 3
    assert (config.task, config.steps, config.fractions) == (
        (eureka.task, eureka.steps, eureka.fractions)
    )
    replies = spent(find_record(f"{author}-{task}") / "transcript.jsonl")["calls"]
    assert (replies >= config.candidates * config.iterations) == (author == "eureka")


def test_a_record_replays_to_the_byte_without_key_and_network(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    done = replay("eureka-door-unlock", tmp_path / "again")
    assert done.exit_code == 0, done.output
    assert same_ledger(tmp_path / "again", find_record("eureka-door-unlock"))
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["tokens_out"] > 0
    assert (tmp_path / "again" / "page.html").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(RECORDS))
def test_all_records_replay_to_the_byte(tmp_path, name):
    assert replay(name, tmp_path / "again").exit_code == 0
    assert same_ledger(tmp_path / "again", find_record(name))


def test_replies_to_another_prompt_are_not_passed_off(tmp_path):
    """A record whose replies answer another version of the prompts stops with the reason."""
    record = tmp_path / "record"
    shutil.copytree(find_record("eureka-door-unlock"), record)
    lines = (record / "transcript.jsonl").read_text().splitlines()
    turned = [line.replace(json.loads(line)["key"], "0" * 64) for line in lines]
    (record / "transcript.jsonl").write_text("\n".join(turned) + "\n")
    done = replay(str(record), tmp_path / "again")
    assert done.exit_code == 1
    told = json.loads(done.stdout.splitlines()[-1])
    assert "another version of the prompts" in told["stopped"]
    assert told["candidates"] == 0


def test_the_winner_leaves_as_a_program_that_passes(tmp_path):
    record = find_record("eureka-door-unlock")
    path = export_program(record, tmp_path, name="door-unlock", version=7)
    assert path.name == "door-unlock-v7.py"
    assert verify(path.read_text(), task_card("DenseGym/DoorUnlock-v0")).status == "ok"
    assert "language model by mailbox" in path.read_text()
    with pytest.raises(ResultsError, match="no candidate 99-99"):
        export_program(record, tmp_path, candidate="99-99")


def test_searches_are_compared_at_equal_k_and_only_on_one_task(tmp_path):
    folders = [find_record(f"{author}-door-unlock") for author in ("eureka", "random", "gp")]
    made = compare_searches(folders, tmp_path)
    assert [line["author"] for line in made.data["searches"]] == ["eureka", "random", "gp"]
    assert len(made.data["verdicts"]) == 2
    assert all(path.stat().st_size > 0 for path in made.files)
    with pytest.raises(ResultsError, match="can be compared"):
        compare_searches([*folders, find_record("gp-drawer-open")], None)
    with pytest.raises(ResultsError, match="at least one"):
        compare_searches([], None)


def test_the_page_escapes_what_models_wrote(tmp_path):
    record = find_record("eureka-door-unlock")
    rows, config = read_rows(record), read_config(record)
    hostile = rows[0].with_(source=rows[0].source + "\n# <script>alert(1)</script>")
    summary = {"task": config.task, "author": config.author, "stopped": "", "failed_replies": []}
    summary |= {**summarise(rows, config.steps), **spent(record / "transcript.jsonl"), "cpu_s": 1.0}
    write_page(tmp_path / "page.html", [hostile, *rows[1:]], summary, task_card(config.task))
    page = (tmp_path / "page.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert f'id="{winner(rows).id}"' in page


def test_unknown_records_are_named(tmp_path):
    with pytest.raises(UnknownNameError, match="eureka-door-unlock"):
        find_record("eureka-door-unlok")
    with pytest.raises(DenseGymError, match="no recorded search"):
        find_record(str(tmp_path))
