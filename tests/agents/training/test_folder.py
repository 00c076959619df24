"""What can befall a run's folder: two processes, a full disk, torn files, more steps asked for."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from densegym.agents.training import checkpoint
from densegym.agents.training.config import TrainConfig, resolve
from densegym.agents.training.guards import LOCK, locked
from densegym.agents.training.processes import worker_context
from densegym.agents.training.results import load_run
from densegym.agents.training.run import RunStatus, train
from densegym.errors import Interrupted, ResultsError
from tests.small import SMALL

HOPPER = "DenseGym/HopperForward-v0"
SHORT = ("episode_steps=20", "eval.max_episode_steps=20", "checkpoint_every=100")


def small(steps: int = 256, *more: str) -> TrainConfig:
    return resolve(HOPPER, steps=steps, overrides=[*SMALL, *SHORT, *more])


def stop_after(step: int) -> Callable[[RunStatus], None]:
    def tell(progress: RunStatus) -> None:
        if progress.step >= step:
            raise KeyboardInterrupt

    return tell


def numbers(folder: Path) -> list[Any]:
    """Return all that a finished run measured, but for its clocks, and what it learned."""
    lines = [json.loads(line) for line in (folder / "eval.jsonl").read_text().splitlines()]
    for line in lines:
        line["cpu_s"] = line["wall_s"] = 0.0
    saved = checkpoint.load(folder / "checkpoint.pt")
    weights = {k: v.tolist() for k, v in saved["parameters"]["policy"].items()}
    return [lines, json.loads((folder / "final.json").read_text()), weights]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 384 steps that nobody stopped."""
    return train(small(384), tmp_path_factory.mktemp("whole") / "run")


def hold(folder: Path, told: Any) -> None:
    with locked(folder):
        told.send(os.getpid())
        time.sleep(60)


def test_a_second_process_is_told_who_works_in_a_folder(tmp_path: Path) -> None:
    here, there = worker_context("densegym.agents.training.run").Pipe()
    work = tmp_path / "run.partial"
    other = worker_context("densegym.agents.training.run").Process(target=hold, args=(work, there))
    other.start()
    try:
        pid = here.recv()
        said = rf"in use by process {pid} on .* since 20.*choose another --out"
        for resume in (False, True):
            with pytest.raises(ResultsError, match=said):
                train(small(), tmp_path / "run", resume=resume)
        assert [path.name for path in work.iterdir()] == [LOCK], "nothing was begun"
        os.kill(other.pid, signal.SIGKILL)
        other.join()
        assert json.loads((work / LOCK).read_text())["pid"] == pid, "the lock of a dead process"
        with locked(work):
            assert json.loads((work / LOCK).read_text())["pid"] == os.getpid()
        assert not work.exists(), "an empty folder is not left behind"
    finally:
        other.kill()


def test_a_lock_follows_its_folder_when_that_is_renamed(tmp_path: Path) -> None:
    with locked(tmp_path / "a"):
        (tmp_path / "a").rename(tmp_path / "b")
        with pytest.raises(ResultsError, match="in use by process"), locked(tmp_path / "b"):
            pass
        with locked(tmp_path / "a"):
            pass


def limited(config: dict[str, Any], folder: str, most: int, told: Any) -> None:
    from densegym.agents.training.config import from_dict

    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    try:
        train(from_dict(config), Path(folder), resume=True)
    except ResultsError as error:
        told.send(str(error))


@pytest.mark.parametrize("most", [100, 2_000, 30_000])
def test_a_full_disk_ends_a_run_at_once_and_loses_nothing(
    most: int, tmp_path: Path, whole: Path
) -> None:
    """Files that cannot grow beyond a size: config.toml first, then curves, then checkpoints."""
    config, folder = small(384), tmp_path / "run"
    with pytest.raises(Interrupted, match="from the checkpoint of step 128"):
        train(config, folder, on_progress=stop_after(200))
    work = tmp_path / "run.partial"
    saved = (work / "checkpoint.pt").read_bytes()
    context = worker_context("densegym.agents.training.run")
    here, there = context.Pipe(duplex=False)
    other = context.Process(target=limited, args=(config.as_dict(), str(folder), most, there))
    other.start()
    other.join(60)
    assert other.exitcode == 0
    assert here.recv() == (
        f"{work} cannot be written: File too large. Nothing that was saved before is lost; make "
        "room, then add --resume to go on."
    )
    assert (work / "checkpoint.pt").read_bytes() == saved
    assert not list(work.glob(".*.tmp")), "room is not taken by halves of files"
    train(config, folder, resume=True)
    assert numbers(folder) == numbers(whole)


def test_a_line_that_does_not_fit_ends_a_run_in_one_sentence(tmp_path: Path) -> None:
    work = tmp_path / "run.partial"

    def fill(progress: RunStatus) -> None:
        (work / "eval.jsonl").unlink(missing_ok=True)
        (work / "eval.jsonl").symlink_to("/dev/full")

    with pytest.raises(ResultsError, match="cannot be written: No space left on device"):
        train(small(), tmp_path / "run", on_progress=fill)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_checkpoint_that_was_cut_is_recognised(share: float, tmp_path: Path) -> None:
    config, work = small(), tmp_path / "run.partial"
    with pytest.raises(Interrupted):
        train(config, tmp_path / "run", on_progress=stop_after(200))
    saved = (work / "checkpoint.pt").read_bytes()
    (work / "checkpoint.pt").write_bytes(saved[: int(share * len(saved))])
    with pytest.raises(ResultsError, match=r"no readable checkpoint .* Remove it to start"):
        train(config, tmp_path / "run", resume=True)
    (work / "checkpoint.pt").unlink()
    train(config, tmp_path / "run", resume=True)


def test_a_stop_before_the_first_checkpoint_says_so(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="checkpoints come every 100 steps, so --resume starts"):
        train(small(), tmp_path / "run", on_progress=stop_after(1))


def test_a_finished_run_takes_more_steps(tmp_path: Path, whole: Path) -> None:
    folder = train(small(256), tmp_path / "run")
    with pytest.raises(ResultsError, match=r"extend it with more --steps and --resume"):
        train(small(384), folder)
    with pytest.raises(ResultsError, match=r"run of 256 steps. To extend it, write --steps above"):
        train(small(256), folder, resume=True)
    with pytest.raises(ResultsError, match="another configuration"):
        train(small(384, "learning_rate=0.1"), folder, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    with pytest.raises(Interrupted):
        train(small(384), folder, resume=True, on_progress=stop_after(300))
    assert load_run(folder).meta["steps"] == 256, "kept until the longer one is finished"
    train(small(384), folder, resume=True)
    meta = load_run(folder).meta
    assert (meta["steps"], meta["steps_asked"], meta["extended_from"]) == (384, 384, [256])
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    # 256 is a checkpoint of the longer run as well, so the two are one run.
    assert numbers(folder) == numbers(whole)


def test_an_unfinished_run_does_not_take_fewer_steps_than_it_has_taken(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(small(384), tmp_path / "run", on_progress=stop_after(300))
    with pytest.raises(ResultsError, match="taken 256 steps already, more than the 128 asked for"):
        train(small(128), tmp_path / "run", resume=True)


def test_the_steps_really_taken_are_told(tmp_path: Path) -> None:
    run = load_run(train(small(200), tmp_path / "run"))
    assert (run.meta["steps"], run.budget) == (256, 200)
    assert run.points[-1].step == 256


def test_curves_hold_every_evaluation_at_its_step(tmp_path: Path) -> None:
    config = small(384)
    with pytest.raises(Interrupted):
        train(config, tmp_path / "run", on_progress=stop_after(200))
    folder = train(config, tmp_path / "run", resume=True)
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    points = load_run(folder).points
    drawn = [(event.step, event.value) for event in events.Scalars("eval/return_env")]
    assert [step for step, _ in drawn] == [point.step for point in points] == [128, 256, 384]
    np.testing.assert_allclose(
        [value for _, value in drawn], [point.return_env.mean() for point in points], rtol=1e-6
    )


def test_a_refused_run_leaves_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(small(), tmp_path / "run", on_progress=stop_after(200))
    before = sorted((tmp_path / "run.partial").iterdir())
    with pytest.raises(ResultsError, match=r"holds an unfinished run. Add --resume"):
        train(small(), tmp_path / "run")
    assert sorted((tmp_path / "run.partial").iterdir()) == before


def test_checkpoints_are_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop in the middle of writing leaves the checkpoint before."""
    import torch

    saves: list[int] = []
    save = torch.save

    def torn(content: Any, file: Any) -> None:
        saves.append(content["step"])
        if len(saves) == 2:
            file.write(b"half of it")
            raise KeyboardInterrupt
        save(content, file)

    monkeypatch.setattr(torch, "save", torn)
    with pytest.raises(Interrupted, match="checkpoint of step 128"):
        train(small(384), tmp_path / "run")
    work = tmp_path / "run.partial"
    assert checkpoint.load(work / "checkpoint.pt")["step"] == 128
    assert not list(work.glob(".*.tmp"))
