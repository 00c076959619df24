"""Every study by one interface: the table, options, results, plug-ins, and the command."""

from __future__ import annotations

import inspect
import json
import pkgutil
import subprocess
import sys
import warnings

import pytest
from typer.testing import CliRunner

from densegym import assets
from densegym.agents.studies import delayed, fidelity, hacking, landscape, registry, shop_speed
from densegym.agents.studies.catalogue import STUDIES
from densegym.agents.studies.delayed import Curve
from densegym.agents.studies.registry import (
    find_study,
    list_studies,
    register_study,
    unregister_study,
)
from densegym.agents.studies.relabel import Relabelling
from densegym.agents.studies.study import Bar, Figures, Monitor, Request, Result, Study
from densegym.cli.main import app
from densegym.errors import DenseGymError, MissingExtraError, UnknownNameError
from tests.offers import Point

OPTIONS = {
    "seeds": "1",
    "steps": 7,
    "envs": "A",
    "workers": 3,
    "out": "there",
    "settings": ("a=1",),
}
REFUSED = [
    (study, option)
    for study in STUDIES
    for option in OPTIONS
    if option.replace("settings", "set") not in {o.split()[0][2:] for o in study.options()}
]
BY_NAME = pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)


def bench(*words, code=0):
    told = CliRunner().invoke(app, ["bench", *map(str, words)], catch_exceptions=False)
    assert told.exit_code == code, told.output
    return told


def measured(*words, code=0):
    told = bench(*words, "--json", code=code)
    return json.loads(told.stdout.splitlines()[-1])


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # results go to the current folder by default


@BY_NAME
def test_every_study_says_what_it_is_and_takes(study):
    assert study.title
    assert study.owner == "densegym"
    assert study.name not in assets.names("suites", ".toml")
    assert find_study(study.name) is study
    run = pkgutil.resolve_name(study.target)
    assert list(inspect.signature(run).parameters) == ["request", "monitor"]
    returned = run.__globals__[inspect.signature(run).return_annotation]
    assert issubclass(returned, Result)
    request = study.request()
    assert request.seeds == (study.seeds or ())
    assert request.settings == study.settings
    assert request.out.name == study.name


@pytest.mark.parametrize(
    ("study", "option"), REFUSED, ids=lambda value: getattr(value, "name", value)
)
def test_options_that_a_study_does_not_take_are_refused_by_name(study, option):
    typed = "--set" if option == "settings" else f"--{option}"
    with pytest.raises(DenseGymError, match=f'"{study.name}" takes no {typed}; given') as refused:
        study.request(**{option: OPTIONS[option]})
    assert all(taken in str(refused.value) for taken in study.options())


def test_help_and_list_are_made_from_the_table():
    shown, listed = bench("--help").output, bench("--list").output
    assert "Example" in shown
    for study in STUDIES:
        assert f"{study.name} " in shown
        assert f"{study.name:16} {study.title}" in listed


def test_listing_loads_nothing_heavy():
    code = (
        "import sys; from typer.testing import CliRunner; from densegym.cli.main import app; "
        "told = CliRunner().invoke(app, ['bench', '--list']); assert 'hacking' in told.output; "
        "print([m for m in ('torch', 'stable_baselines3', 'nle', 'metaworld', 'matplotlib') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_values_are_read_and_impossible_ones_refused():
    counting, naming = find_study("hacking"), find_study("delayed")
    for study in (counting, naming):
        assert study.request(seeds="3").seeds == (3,)
        assert study.request(seeds="0-2,7").seeds == (0, 1, 2, 7)
    assert find_study("fidelity").request(envs="a, b").envs == ("a", "b")
    stress = find_study("caption-stress")
    settings = stress.request(settings=["kills=0", "failure=0"]).settings
    assert settings == {"captions": 100_000, "failure": 0.0, "kills": 0}
    for text, says in (
        ("kils=1", 'Did you mean "kills"'),
        ("kills=x", "takes int"),
        ("k", "--set"),
    ):
        with pytest.raises(DenseGymError, match=says):
            stress.request(settings=[text])
    for study, given in (
        (counting, {"seeds": "0,0"}),
        (counting, {"seeds": "3-1"}),
        (counting, {"seeds": "-1"}),
        (counting, {"seeds": "one"}),
        (naming, {"steps": 0}),
        (naming, {"workers": 0}),
    ):
        with pytest.raises(DenseGymError, match=f"--{next(iter(given))}"):
            study.request(**given)


def test_wrong_use_of_the_command():
    for words, says in (
        (["overhead", "--seeds", "3"], '"overhead" takes no --seeds; given --seeds 3'),
        (["demo", "--envs", "A"], '--envs is for studies; suite "demo"'),
        (["fidelty"], 'Did you mean "fidelity"'),
        (["landscape", "--envs", "ButonPress"], "DenseGym/ButtonPress-v0"),
    ):
        told = CliRunner().invoke(app, ["bench", *words])
        assert isinstance(told.exception, DenseGymError)
        assert says in str(told.exception)


def test_defaults_of_the_table_are_those_of_the_functions():
    assert find_study("hacking").steps == hacking.STEPS
    for name, function in (
        ("caption-stress", "densegym.agents.studies.captions.stress:stress"),
        ("nethack-speed", "densegym.envs.nethack.speed:measure"),
        ("shop-speed", "densegym.envs.shop.speed:measure"),
    ):
        study, parameters = find_study(name), inspect.signature(pkgutil.resolve_name(function))
        own = {k: p.default for k, p in parameters.parameters.items()}
        assert {k: own.get(k, v) for k, v in study.settings.items()} == study.settings
        assert own.get("steps") == study.steps
        assert own.get("workers") == study.workers


def test_hacking_in_small(monkeypatch):
    monkeypatch.setattr(hacking, "_EPISODES", 1)
    monkeypatch.setattr(hacking, "STEPS", 0)  # the request's count is what is trained
    told = bench("hacking", "--steps", 512, "--seeds", 0, "--json", code=1)
    found = json.loads(told.stdout.splitlines()[-1])
    assert [row["arm"] for row in found["rows"]] == list(hacking.ARMS)
    assert found["holds"] is False


def test_fidelity_in_small(monkeypatch):
    methods = (fidelity.Method("uniform", {"model": "credit/uniform"}, episodes=4),)
    monkeypatch.setattr(fidelity, "METHODS", methods)
    monkeypatch.setattr(fidelity, "STEPS", 20)
    found = measured("fidelity", "--envs", "Swimmer-v5", "--seeds", "0-1", "--workers", 1)
    assert list(found) == ["steps", "held_out", "rows", "bars", "holds"]
    assert [row["seed"] for row in found["rows"]] == [0, 1]


def test_delayed_in_small(monkeypatch, tmp_path):
    monkeypatch.setattr(delayed, "LEARNT", {"uniform": delayed.EVENLY, "raw": delayed.RAW})
    words = ["delayed", "--seeds", 4, "--steps", 1_600, "--workers", 1, "--out", tmp_path / "runs"]
    found = measured(*words)
    assert list(found) == ["late", "order_holds", "seeds"]
    assert found["seeds"] == [4]
    told = bench(*words)
    assert "raw seed 4:" in told.output
    assert "the order uniform >= raw" in told.output
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_landscape_in_small(monkeypatch):
    monkeypatch.setattr(landscape, "LATTICE", (2, 2, 2))
    monkeypatch.setattr(landscape, "_JUDGES", {"progress/oracle": "progress/oracle"})
    found = measured("landscape", "--envs", "WindowOpen", "--seeds", 0)
    rows = found["DenseGym/WindowOpen-v0"]
    assert list(rows) == ["progress/oracle", "an expert's steps"]
    assert list(rows["progress/oracle"]) == ["rank", "distance", "climbs"]


def test_render_in_small(monkeypatch):
    monkeypatch.setattr("densegym.agents.studies.render_speed._ROUNDS", 1)
    assert list(measured("render")) == ["default_fps", "fast_fps", "two_camera_fps", "ratio"]


def test_shop_speed_in_small():
    pytest.importorskip("rapidfuzz")
    found = measured("shop-speed", "--set", "searches=true")
    assert found["found"] > 0.9
    told = CliRunner().invoke(app, ["shop", "bench", "--searches", "--json"])
    assert sorted(json.loads(told.stdout)) == sorted(found)
    (table,) = shop_speed.ShopFigures({"query_ms": 1.5}).report()
    assert table.row_count == 1


def test_caption_stress_in_small(tmp_path):
    words = ["--out", tmp_path / "s", "--set", "captions=200", "--set", "kills=0"]
    told = bench("caption-stress", *words)
    assert "holds   lost: 0 == 0" in told.output
    with pytest.raises(DenseGymError, match="earlier measurement"):
        bench("caption-stress", *words)


@pytest.mark.slow
@pytest.mark.parametrize("words", [["overhead"], ["nethack-speed", "--set", "rounds=1"]])
def test_speeds(words):
    pytest.importorskip("nle" if "nethack" in words[0] else "metaworld")
    figures = measured(*words)
    assert all(isinstance(value, float) for value in figures.values())


def relabelling(uniform):
    curves = [
        Curve(arm, 0, [1, 2], [1.0, value], 1.0, bootstraps=True)
        for arm, value in (("raw", 10.0), ("uniform", uniform), ("dense", 60.0))
    ]
    return Relabelling(curves, curves, uniform_cpu=0.01, fitted_cpu=0.2)


def test_the_bars_of_relabelling():
    good, bad = relabelling(60.0), relabelling(20.0)
    assert good.bars_hold
    assert not bad.bars_hold
    assert [bar.holds for bar in bad.bars()] == [True, False, False, True, True]
    assert good.as_json() == {
        "ppo_uniform_over_raw": pytest.approx(5.5455),
        "ppo_uniform_over_dense": 1.0,
        "sac_uniform_over_raw": 6.0,
        "uniform_cpu_below_5_percent": 0.04,
        "rrd_cpu_below_30_percent": 0.1,
    }
    assert len(good.report()) == 3


class Heads(Figures):
    def bars(self):
        return [Bar("heads above 0", self.figures["heads"] > 0)]


def toss(request: Request, monitor: Monitor) -> Heads:
    count = monitor.counter("tossing", len(request.seeds))
    for seed in request.seeds:
        monitor.line(f"coin {seed}")
        count()
    return Heads({"heads": len(request.seeds) - request.settings["tails"]})


ACME = Study(
    name="acme-coins", title="coins", target=toss, seeds=(0, 1), settings={"tails": 1}, owner="acme"
)


@pytest.fixture
def acme():
    register_study(ACME)
    yield ACME
    unregister_study(ACME.name)


def test_a_registered_study_is_found_by_the_command(acme):
    assert "acme-coins" in bench("--list").output
    assert measured("acme-coins") == {"heads": 1}
    told = bench("acme-coins", "--seeds", "4,5", "--set", "tails=2", code=1)
    assert "coin 5" in told.output
    assert "MISSED  heads above 0" in told.output
    assert "tossing: 2 of 2" in told.stderr
    assert acme.run().as_json() == {"heads": 1}


def test_names_are_taken_once(acme):
    with pytest.raises(DenseGymError, match="already registered by acme; evil must"):
        register_study(Study(name="acme-coins", title="x", target=toss, owner="evil"))
    with pytest.raises(DenseGymError, match='"demo" is a suite'):
        register_study(Study(name="demo", title="x", target=toss))
    with pytest.raises(DenseGymError, match='given "no good"'):
        register_study(Study(name="no good", title="x", target=toss))
    with pytest.raises(UnknownNameError, match='Did you mean "acme-coins"'):
        unregister_study("acme-coin")


def test_a_missing_module_is_named_with_its_extra():
    study = Study(name="x", title="x", target=toss, needs={"no_such_module": "robot"})
    with pytest.raises(MissingExtraError, match=r"densegym\[robot\]"):
        study.run()


def test_plugins_are_read_when_needed_and_a_broken_one_is_one_warning(monkeypatch):
    points = [
        Point("acme-broken", ImportError("no module named acme")),
        Point("acme-number", 3),
        Point("hacking", ACME),
        Point("acme-plugin", ACME, "acme-studies"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    monkeypatch.setattr(registry, "_loaded", set())
    monkeypatch.setattr(registry, "_STUDIES", dict(registry._STUDIES))
    assert find_study("hacking").owner == "densegym"  # warns of nothing
    with pytest.warns(UserWarning, match="could not be loaded") as told:
        assert find_study("acme-plugin").owner == "acme-studies"
    assert ["acme-broken" in str(w.message) for w in told] == [True, False, False]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list_studies()[-1].name == "acme-plugin"
