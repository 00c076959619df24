import json

import pytest
from typer.testing import CliRunner

from densegym.agents.studies.captions.harvest import harvest, score_judge
from densegym.cli.main import app
from densegym.errors import DenseGymError
from densegym.reward_models.intrinsic.annotation.agreement import agreement
from densegym.reward_models.intrinsic.annotation.table import CaptionTable, Provenance

KEYROOM = "DenseGym/MiniHack-KeyRoom-S5-v0"


def run(*words):
    return CliRunner().invoke(app, ["captions", *map(str, words)], catch_exceptions=False)


def table(path, labels, goal="progress"):
    made = CaptionTable(Provenance(kind="grade", goal=goal, prompt="p-v1", annotator="x"), path)
    made.add(labels)
    return path


def test_tables_are_joined_and_contradictions_counted(tmp_path):
    one = table(tmp_path / "1.jsonl", {"a": 1, "b": 2})
    other = table(tmp_path / "2.jsonl", {"b": 3, "c": 4})
    shown = run("merge", tmp_path / "all.jsonl", one, other).output
    assert "1 new, 1 contradicted" in shown
    assert dict(CaptionTable(path=tmp_path / "all.jsonl", readonly=True)) == {
        "a": 1.0,
        "b": 2.0,
        "c": 4.0,
    }


def test_annotators_are_compared():
    rows = {tuple(row["between"]): row for row in json.loads(run("agree", "--json").output)}
    assert rows["recorded", "lexicon"]["kappa"] > 0.3
    assert abs(rows["recorded", "random"]["kappa"]) < 0.1
    assert all(row["captions"] >= 1_500 for row in rows.values())


def test_agreement_by_hand():
    first, second = {"a": 9, "b": 0, "c": 9, "d": 0}, {"a": 9, "b": 0, "c": 0, "d": 0}
    seen = agreement(first, second, list("abcdz"), pairs=1000)
    assert (seen.captions, seen.agree, seen.kappa) == (4, 0.75, pytest.approx(0.5))
    assert seen.prefer_other == 0.0
    assert seen.prefer_same + seen.ties == pytest.approx(1.0)
    with pytest.raises(DenseGymError, match="at least 2"):
        agreement(first, {}, ["a"])


def test_labels_through_the_mailbox_of_the_command_line(tmp_path):
    import threading
    import time

    from densegym.agents.studies.captions.server import answer

    (tmp_path / "captions.txt").write_text("you kill the newt!\n\nit's a wall.\n")
    box = tmp_path / "box"

    def reply():
        while not (found := list(box.glob("*.prompt.md"))):
            time.sleep(0.02)
        text = answer(found[0].read_text())[0]
        found[0].with_name(found[0].name.replace("prompt", "reply")).write_text(text)

    helper = threading.Thread(target=reply)
    helper.start()
    out = tmp_path / "labels.jsonl"
    said = run(
        "label", tmp_path / "captions.txt", "--out", out, "--model", "m", "--mailbox", box
    ).output
    helper.join()
    assert "2 captions labelled" in said.replace("\n", " ")
    assert CaptionTable(path=out, readonly=True).provenance.annotator.endswith("by mailbox")


def test_random_play_is_harvested_and_judged(tmp_path):
    pytest.importorskip("minihack")
    said = harvest(KEYROOM, 600)
    assert said["it's a wall."] > 5
    assert harvest(KEYROOM, 600) == said
    shown = run("harvest", KEYROOM, "--out", tmp_path / "c.txt", "--steps", 600).output
    assert f"{len(said)} captions" in shown.replace("\n", " ")
    scored = json.loads(run("judge", KEYROOM, "--steps", 8000).output.splitlines()[-1])
    assert scored["completions"] > 0
    assert scored["f1"] > 0.9
    assert score_judge(KEYROOM, 8000, annotator="random")["f1"] < 0.5
    with pytest.raises(DenseGymError, match="at least 1"):
        harvest(KEYROOM, 0)


def test_the_stress_command(tmp_path):
    seen = run("stress", tmp_path / "s", "--captions", 200, "--kills", 0, "--json")
    assert seen.exit_code == 0
    counted = json.loads(seen.output.splitlines()[-1])
    assert counted["lost"] == counted["labelled_twice"] == 0
    with pytest.raises(DenseGymError, match="earlier measurement"):
        run("stress", tmp_path / "s", "--captions", 10)
