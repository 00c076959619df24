"""The command line as a person meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.small import SMALL

BUTTON = "DenseGym/ButtonPress-v0"
SETS = [part for text in SMALL for part in ("--set", text)]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # results go to the current folder by default


def densegym(*arguments: str, code: int = 0) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "densegym.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


@pytest.mark.parametrize("verb", ["envs", "rewards", "doctor", "train", "eval", "bench", "report"])
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    out, _ = densegym(verb, "--help")
    assert "Example" in out
    assert f"densegym {verb}" in out


def test_lists() -> None:
    cards = json.loads(densegym("envs", "--json")[0])
    assert {BUTTON, "DenseGym/HopperForward-v0", "DenseGym/Shop-v0"} <= {c["id"] for c in cards}
    shown = densegym("envs", BUTTON)[0]
    assert "hand_position" in shown
    assert "at most 2 cm" in shown
    names = {entry["name"] for entry in json.loads(densegym("rewards", "--json")[0])}
    assert {"env", "expert", "delayed", "authored", "authored/button-press-v1"} <= names
    fitting = json.loads(densegym("rewards", "--json", "--task", "DenseGym/HopperBackflip-v0")[0])
    programs = {e["name"] for e in fitting if e["name"].startswith("authored/")}
    assert programs == {"authored/file", "authored/hopper-backflip-v1"}


def test_doctor_finds_this_machine_fit() -> None:
    findings = json.loads(densegym("doctor", "--json")[0])
    topics = {finding["topic"]: finding for finding in findings}
    assert "frames/s" in topics["rendering"]["found"]
    assert topics["[agents] torch"]["ok"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "DenseGym/ButonPress-v0"], 'Did you mean "DenseGym/ButtonPress-v0"'),
        (["train", BUTTON, "--reward", "authord"], 'Did you mean "authored"'),
        (["train", BUTTON, "--reward", "{broken"], "not valid JSON"),
        (["train", BUTTON, "--algo", "poo"], 'Did you mean "ppo"'),
        (["train", BUTTON, "--set", "n_env=3"], 'Did you mean "n_envs"'),
        (
            ["train", "DenseGym/HopperBackflip-v0", "--reward", "expert"],
            "no trustworthy hand-written",
        ),
        (["envs", "DenseGym/HoperForward-v0"], 'Did you mean "DenseGym/HopperForward-v0"'),
        (["bench", "dmeo"], 'Did you mean "demo"'),
        *(
            (["train", "DenseGym/HarmlessStep-v0", "--set", text], said)
            for text, said in (
                ("learning_rate=abc", "learning_rate takes float"),
                ("n_steps=1.5", "n_steps takes int; given 1.5"),
                ("policy.net_arh=[64]", 'Did you mean "net_arch"'),
                ("policy.net_arch=abc", "policy.net_arch takes list[int]"),
                ("env.lenght=3", 'Did you mean "length"'),
                ("env.max_episode_steps=x", "env.max_episode_steps takes int"),
                ("gamma=2", "gamma is above 0 and at most 1"),
                ("batch_size=1", "ppo refuses its settings"),
            )
        ),
        (
            ["train", "DenseGym/HarmlessStep-v0", "--reward", '{"model": "env", "bootstrap": "x"}'],
            "bootstrap takes true or false",
        ),
        (
            [
                "train",
                "DenseGym/HarmlessStep-v0",
                "--reward",
                '{"model": "credit/rrd", "hidden": "x"}',
            ],
            'option "hidden" of reward "credit/rrd" takes int',
        ),
        (["train", "DenseGym/Shop-v0", "--algo", "ppo"], "use DenseGym/ShopChoice-v0"),
        (["bench", "--seeds", "one"], "--seeds takes seeds such as 0,1,2"),
        (["eval", "nowhere"], "nowhere is no run"),
        (["report", "nowhere"], "no folder nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_exits_with_2_and_says_what_to_type(arguments: list[str], says: str) -> None:
    _, errors = densegym(*arguments, code=2)
    assert says in errors
    assert not Path("results").exists()


def test_train_eval_report(tmp_path: Path) -> None:
    out = str(tmp_path)
    shown, bars = densegym(
        "train", BUTTON, "--reward", "authored", "--steps", "128", "--out", out, *SETS
    )
    assert "success" in shown
    assert "authored/button-press-v1" in bars
    folder = tmp_path / "DenseGym.ButtonPress-v0" / "authored.button-press-v1" / "ppo" / "seed-0"
    assert str(folder) in shown
    outcome = json.loads(densegym("eval", str(folder), "--episodes", "3")[0])
    assert outcome["episodes"] == 3
    low, high = outcome["success_wilson_95"]
    assert 0 <= low <= outcome["success"] <= high <= 1
    shown, _ = densegym("report", out, "--json")
    (row,) = json.loads(shown.splitlines()[-1])
    assert row["reward"] == "authored/button-press-v1"
    page = (tmp_path / "report.html").read_text()
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "").replace(
        "http://purl.org", ""
    ).replace("http://creativecommons.org", "")
    _, errors = densegym(
        "train", BUTTON, "--reward", "authored", "--steps", "128", "--out", out, *SETS, code=2
    )
    assert "already holds a finished run" in errors
    (folder / "final.json").write_text('{"schema": 1, "succ')
    _, errors = densegym("report", out, code=2)
    assert "final.json is no JSON" in errors
