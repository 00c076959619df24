"""Films and strips: what a judge said is what is drawn, and a finished run can be played."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from densegym.agents.bench.report import write_report
from densegym.agents.collecting.behaviours import Scripted, action_space, random
from densegym.agents.films.film import _pages, record, write_film, write_plain
from densegym.agents.films.footage import Footage
from densegym.agents.films.play import play
from densegym.agents.training.config import resolve
from densegym.agents.training.folders import run_folder
from densegym.agents.training.run import train
from densegym.cli.main import app
from densegym.envs.tasks import task_card
from densegym.errors import DenseGymError, ResultsError, UnknownNameError
from densegym.reward_models.progress.films import read_film
from densegym.reward_models.progress.potential import ProgressPotential
from densegym.reward_models.progress.protocol import FrameCounter
from densegym.reward_models.registry import register_reward
from densegym.reward_models.spec import build_engine
from densegym.reward_models.types import Pictures
from tests.small import SMALL

BUTTON = "DenseGym/ButtonPress-v0"
STEPS = 12
SHAPE = {"width": 96, "height": 64}


class Counter(FrameCounter):
    """Counts pictures, and has nothing to say of every third."""

    def __init__(self, step: float = 1 / 12) -> None:
        super().__init__(Pictures(size=16))
        self._step, self._asked = step, 0

    def hop(self, before, after, start, goal, text):
        self._asked += 1
        verdict = super().hop(before, after, start, goal, text)
        return verdict._replace(
            value=np.full(len(after), self._step), valid=verdict.valid & (self._asked % 3 > 0)
        )


def counting(step: float = 1 / 12) -> ProgressPotential:
    return ProgressPotential(Counter(step), name="toy/counter-v1", fusion="incremental", every=2)


@pytest.fixture
def counter(registered) -> str:
    register_reward("toy/counter-v1", lambda **_: counting())
    registered.append("toy/counter-v1")
    return "toy/counter-v1"


def policy():
    return Scripted(random(action_space(BUTTON)), 0)


def film(reward, **options) -> Footage:
    return record(policy(), BUTTON, reward, seed=0, max_episode_steps=STEPS, **SHAPE, **options)


def made_up(*, phi: bool) -> Footage:
    rng = np.random.default_rng(0)
    said = {
        "phi": np.linspace(0, 0.9, STEPS + 1),
        "hop": np.where(np.arange(STEPS) % 2, 0.3, np.nan),
        "done": np.linspace(0, 1, STEPS),
    }
    return Footage(
        frames=list(rng.integers(0, 255, (STEPS + 1, 21, 30, 3), dtype=np.uint8)),
        paid=np.linspace(-1, 1, STEPS),
        success=np.arange(STEPS) == STEPS - 1,
        abstained=np.arange(STEPS) == 3,
        fps=5,
        title="a title that is far too long for a film of thirty pixels and costs $5 to $6" * 2,
        **(said if phi else {}),
    )


def test_what_a_judge_said_is_on_the_film(counter) -> None:
    told: list[tuple[int, int]] = []
    seen = film(counter, on_step=lambda *step: told.append(step))
    assert {frame.shape for frame in seen.frames} == {(64, 96, 3)}, "not the judge's own pictures"
    assert len(seen.frames) == STEPS + 1
    assert np.flatnonzero(seen.abstained).tolist() == [5, 11]
    assert np.flatnonzero(~np.isnan(seen.hop)).tolist() == [1, 3, 7, 9]
    heard = [0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 4, 4, 4]
    assert seen.phi == pytest.approx(1 - (11 / 12) ** np.array(heard))
    assert seen.done is None
    assert seen.outcome == f"no success in {STEPS} steps"
    assert [views.shape for views in seen.seen] == [(2, 16, 16, 3)] * (STEPS + 1)
    assert np.array_equal(seen.seen[2], seen.seen[3])  # a picture every second step
    assert not np.array_equal(seen.seen[2], seen.seen[12])
    assert told == [(t, STEPS) for t in range(1, STEPS + 1)]


def test_a_judge_that_learnt_in_its_run_judges_the_film(counter) -> None:
    trained = build_engine(counter, 4, task=task_card(BUTTON))
    trained.reward.terms[0].model.potential.use(Counter(0.5))
    seen = film(counter, trained=trained)
    assert seen.phi[-1] == pytest.approx(1 - 0.5**4)


def test_rewards_without_a_potential_show_what_they_paid() -> None:
    seen = film("expert")
    assert seen.phi is seen.hop is seen.done is None
    assert not seen.abstained.any()
    assert seen.paid.min() > 0


def test_what_cannot_be_drawn_is_named() -> None:
    with pytest.raises(DenseGymError, match="draws no pictures"):
        record(policy(), "DenseGym/HarmlessStep-v0", "env", seed=0)


@pytest.mark.parametrize("phi", [True, False])
def test_films_and_strips_are_whole(phi, tmp_path: Path) -> None:
    footage = made_up(phi=phi)
    told: list[tuple[int, int]] = []
    files = write_film(footage, tmp_path / "new", "film", lambda *page: told.append(page))
    assert [path.name for path in files] == ["film.mp4", "film.png"]
    assert told[-1] == (STEPS + 1, STEPS + 1)
    pages = read_film(files[0])
    assert len(pages) == STEPS + 1 + footage.fps
    assert pages[0].shape == next(_pages(footage)).shape
    assert read_film(files[1]).shape[2] == 1400


def test_films_show_what_the_judge_saw_and_plain_ones_nothing_else(tmp_path: Path) -> None:
    views = [np.full((2, 32, 32, 3), (8 * t, 90, 200), np.uint8) for t in range(STEPS + 1)]
    alone = made_up(phi=True)
    footage = dataclasses.replace(alone, seen=views)
    page, before = (next(_pages(one)) for one in (footage, alone))
    assert page.shape[1] > before.shape[1]
    assert np.array_equal(page[:, : before.shape[1]], before)
    beside = page[100, before.shape[1] + 10]
    assert beside.tolist() == [0, 90, 200]
    files = write_plain(footage, tmp_path, "film")
    assert [path.name for path in files] == ["film-plain-1.mp4", "film-plain-2.mp4"]
    for path in files:
        assert (
            np.abs(read_film(path).astype(int) - np.array([view[0] for view in views])).max() < 12
        )
    (path,) = write_plain(alone, tmp_path, "scene")
    assert read_film(path).shape == (STEPS + 1, 22, 30, 3)  # films have even sides


def test_curves_to_come_are_pale() -> None:
    first, *_, last = _pages(made_up(phi=True))
    dark = [(page[-200:].min(axis=2) < 60).sum() for page in (first, last)]
    assert dark[1] > 1.2 * dark[0]
    assert first.shape[0] % 2 == first.shape[1] % 2 == 0


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    short = {**SHAPE, "max_episode_steps": STEPS}
    world = [f"env.{key}={value}" for key, value in short.items()]
    config = resolve(BUTTON, reward="authored", steps=128, overrides=[*SMALL, *world])
    return train(config, run_folder(tmp_path_factory.mktemp("results"), config))


def test_a_finished_run_is_played_and_reported(run: Path, tmp_path: Path, counter) -> None:
    told: list[tuple[str, int, int]] = []
    played = play(run, seeds=(4, 5), tell=lambda *step: told.append(step))
    assert [episode.seed for episode in played] == [4, 5]
    assert all(path.parent == run / "media" for one in played for path in one.files)
    assert {what for what, _, _ in told} >= {"playing seed 4", "filming seed 5"}
    write_report(run.parents[3])
    page = (run.parents[3] / "report.html").read_text()
    assert page.count("<video") == 2
    assert page.count('<img src="data:image/png') == 2
    (judged,) = play(run, seeds=(4,), reward=counter, out=tmp_path)
    assert judged.footage.phi is not None
    assert "trained on authored" in judged.footage.title
    assert judged.files[0].parent == tmp_path
    again = played[0].footage
    assert len(judged.footage.paid) == len(again.paid), "another judge, the same episode"


def test_runs_that_cannot_be_played_are_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="is no run"):
        play(tmp_path / "none")
    begun = tmp_path / "seed-0.partial"
    begun.mkdir()
    for folder in (begun, tmp_path / "seed-0"):
        with pytest.raises(ResultsError, match=r"seed-0.partial is not finished.* --resume"):
            play(folder)
    damaged = tmp_path / "damaged"
    shutil.copytree(run, damaged)
    (damaged / "final.json").write_text("{")
    with pytest.raises(ResultsError, match=r"final.json is no JSON"):
        play(damaged)
    (damaged / "checkpoint.pt").write_bytes(b"PK")
    with pytest.raises(ResultsError, match="no readable checkpoint"):
        play(damaged)
    with pytest.raises(UnknownNameError, match="progress/local"):
        play(run, reward="progress/lcal")


def test_the_command_line_plays(run: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    done = runner.invoke(app, ["play", str(run), "--seeds", "7", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "seed 7: no success in 12 steps" in done.output
    assert ".mp4" in done.output
    wrong = runner.invoke(app, ["play", str(run), "--seeds", "x"])
    assert isinstance(wrong.exception, DenseGymError)
    helped = runner.invoke(app, ["play", "--help"])
    assert "densegym play results" in helped.output
