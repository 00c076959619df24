"""Options of the command line that come from dataclasses and from factories of rewards."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from densegym.cli import author
from densegym.cli.main import app
from densegym.cli.shared.fields import Group, Spelling, takes
from densegym.errors import DenseGymError, UnknownNameError
from densegym.reward_models.authored.search.search import SearchConfig
from densegym.reward_models.options import fields_of, options_of
from densegym.reward_models.registry import find_reward

SPELLED = {"fractions": "rungs", "settings": "set", "options": "option"}


def cli(*arguments: str, of: typer.Typer = app, **more: Any) -> Any:
    return CliRunner().invoke(of, arguments, catch_exceptions=False, env={"COLUMNS": "200"}, **more)


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_the_options_of_a_search_are_the_fields_of_its_configuration() -> None:
    taken = inspect.signature(author.run).parameters
    fields = [item.name for item in dataclasses.fields(SearchConfig)]
    assert list(taken)[: len(fields)] == fields
    told = plain(cli("author", "run", "--help").stdout)
    rows = {line.split()[1]: line for line in told.splitlines() if len(line.split()) > 2}
    for option in fields_of(SearchConfig):
        name = SPELLED.get(option.name, option.name.replace("_", "-"))
        row = rows["task" if option.name == "task" else f"--{name}"]
        assert option.meaning[1:] in row
        if isinstance(option.default, int | float | str):
            shown = f"{option.default:g}" if isinstance(option.default, float) else option.default
            assert f"[default: ({shown})]" in row
    assert "Examples:" in told
    assert "(0.1,0.3,1)" in rows["--rungs"]
    for name in ("model", "base-url", "mailbox", "replay", "retrain", "workers", "out", "json"):
        assert f"--{name}" in rows


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    seen: list[Any] = []

    class Stop(DenseGymError):
        pass

    def stop(*given: Any) -> None:
        seen.append(given)
        raise Stop

    monkeypatch.setattr(author, "_search", stop)
    return seen


def search(*arguments: str) -> None:
    with pytest.raises(DenseGymError):
        cli("author", "run", *arguments)


def test_what_is_typed_is_what_is_searched(searched: list[Any]) -> None:
    pytest.importorskip("stable_baselines3")
    task = "DenseGym/DoorUnlock-v0"
    search(task)
    search(
        *(task, "--author", "gp", "--seed", "0", "--rungs", "0.5,1", "--eta", "2"),
        *("--set", "n_envs=2", "--set", "steps=9", "--option", "islands=4", "--option", "how=far"),
        *("--model", "m", "--budget-calls", "3", "--retrain", "--workers", "1", "--out", "there"),
    )
    (plainly, running, folder, record, llm), full = searched
    assert (plainly, record, llm) == (SearchConfig(task=task), None, {})
    assert (running, str(folder)) == (author.Running(), "results/author/doorunlock-eureka")
    assert full[0] == SearchConfig(
        task=task,
        author="gp",
        fractions=(0.5, 1.0),
        eta=2,
        settings=("n_envs=2", "steps=9"),
        options={"islands": 4, "how": "far"},
    )
    assert (full[1].retrain, full[1].workers, str(full[2])) == (True, 1, "there")
    assert full[4] == {"model": "m", "budget_calls": 3}


def test_what_is_typed_goes_before_a_record_and_nothing_else_does(searched: list[Any]) -> None:
    pytest.importorskip("stable_baselines3")
    from densegym.agents.authoring.folder import find_record, read_config

    recorded = read_config(find_record("gp-door-unlock"))
    search("--replay", "gp-door-unlock", "--seed", "0", "--candidates", "2")
    assert searched[0][0] == dataclasses.replace(recorded, seed=0, candidates=2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "which task"),
        (["DenseGym/DorUnlock-v0"], 'Did you mean "DenseGym/DoorUnlock-v0"'),
        (["DenseGym/DoorUnlock-v0", "--author", "eurka"], 'Did you mean "eureka"'),
        (["DenseGym/DoorUnlock-v0", "--rungs", "a,b"], "--rungs takes shares"),
        (["DenseGym/DoorUnlock-v0", "--option", "islands"], "--option takes key=value"),
        (["DenseGym/DoorUnlock-v0", "--candidates", "0"], "candidates is at least 1"),
    ],
)
def test_wrong_use_of_a_search_says_what_to_type(arguments: list[str], says: str) -> None:
    pytest.importorskip("stable_baselines3")
    with pytest.raises(DenseGymError, match=re.escape(says)):
        cli("author", "run", *arguments)


@dataclass(frozen=True)
class Walk:
    """A walk.

    Attributes:
        where: to where.
        far_m: metres.
        fast: whether to run.
        hidden: never typed.
    """

    where: str
    far_m: float = 2.5
    fast: bool = True
    hidden: int = 1


def test_any_dataclass_gives_a_verb_its_options() -> None:
    seen: list[Any] = []
    verbs = typer.Typer()

    @verbs.command()
    @takes(walk=Group(Walk, ("where", "far_m", "fast"), {"where": Spelling("", str, str.upper)}))
    def go(walk: dict[str, Any]) -> None:
        """Go."""
        seen.append(walk)

    for typed in ([], ["home"], ["home", "--far-m", "0", "--no-fast"], ["--fast"]):
        assert cli(*typed, of=verbs).exit_code == 0
    home = {"where": "HOME"}
    assert seen == [{}, home, {**home, "far_m": 0.0, "fast": False}, {"fast": True}]
    told = plain(cli("--help", of=verbs).stdout)
    assert "Metres." in told
    assert "(2.5)" in told
    assert "hidden" not in told
    assert cli("--far-m", "far", of=verbs).exit_code == 2


def test_a_reward_is_shown_with_what_can_be_chosen_of_it() -> None:
    shown = cli("rewards", "credit/rrd", "--task", "DenseGym/ButtonPress-v0").stdout
    for text in ("a network of one step", "replace", "updates_per_step", "0.025", "hindsight"):
        assert text in shown
    assert "credit/rrd fits DenseGym/ButtonPress-v0" in shown
    assert "gamma" not in shown
    told = json.loads(cli("rewards", "intrinsic/motif", "--json").stdout)
    assert (told["name"], told["asks"], told["mode"]) == ("intrinsic/motif-v1", ["captions"], "add")
    names = [option.name for option in options_of(find_reward("intrinsic/motif"))]
    assert [option["name"] for option in told["options"]] == names
    assert {"name", "type", "default", "meaning"} == set(told["options"][0])
    robot = cli("rewards", "intrinsic/motif", "--task", "DenseGym/ButtonPress-v0").stdout
    assert "intrinsic/motif-v1 does not fit DenseGym/ButtonPress-v0" in robot
    assert "gamma" in cli("rewards", "progress/vlac").stdout
    with pytest.raises(UnknownNameError, match='Did you mean "credit/rrd"'):
        cli("rewards", "credit/rr")
