import json
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from densegym.agents.tracking.trackers import (
    TRACKERS,
    Experiment,
    check_trackers,
    numbers,
    open_logger,
)
from densegym.agents.training.config import TrainConfig, resolve
from densegym.agents.training.run import train
from densegym.errors import MissingExtraError, UnknownNameError
from tests.small import SMALL

WANTED = {"reward/dense", "reward/env", "eval/success", "eval/return_env", "final/success"}


@pytest.fixture
def quiet_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every tracker's records, and the search for keys, in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    for name in ("WANDB_API_KEY", "WANDB_MODE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def small() -> TrainConfig:
    settings = [*SMALL, "episode_steps=10"]
    return resolve("DenseGym/HarmlessStep-v0", reward="env", steps=256, overrides=settings)


def records(path: Path) -> Iterator[bytes]:
    """Yield what W&B keeps: a header of 7 bytes, then LevelDB's log in blocks of 32 KiB."""
    data, at, parts = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def steps_in_wandb(home: Path) -> dict[str, set[int]]:
    from wandb.proto import wandb_internal_pb2

    (file,) = home.glob("wandb/offline-run-*/*.wandb")
    seen: dict[str, set[int]] = {}
    for data in records(file):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        items = record.history.item
        told = {"/".join(item.nested_key) or item.key: item.value_json for item in items}
        for key in told:
            seen.setdefault(key, set()).add(int(float(told.get("global_step", -1))))
    return seen


def steps_in_mlflow(home: Path) -> dict[str, set[int]]:
    with sqlite3.connect(home / "mlflow.db") as database:
        rows = database.execute("select key, step from metrics").fetchall()
    return {key: {step for name, step in rows if name == key} for key, _ in rows}


def steps_in_trackio(home: Path) -> dict[str, set[int]]:
    with sqlite3.connect(home / "trackio" / "densegym.db") as database:
        rows = database.execute("select step, metrics from metrics").fetchall()
    seen: dict[str, set[int]] = {}
    for step, metrics in rows:
        for key in json.loads(metrics):
            seen.setdefault(key, set()).add(step)
    return seen


READERS = {"wandb": steps_in_wandb, "mlflow": steps_in_mlflow, "trackio": steps_in_trackio}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", READERS)
def test_offline_runs_hold_reward_terms_and_evaluations(name: str, quiet_home: Path) -> None:
    pytest.importorskip(TRACKERS[name].module)
    folder = train(small(), quiet_home / "run", log=[name])
    seen = READERS[name](quiet_home)
    assert set(seen) >= WANTED
    assert seen["eval/success"] >= {128, 256}
    assert max(seen["final/success"]) == 256
    assert not (folder / "tensorboard").exists()


def test_tensorboard_alone_is_the_default(quiet_home: Path) -> None:
    folder = train(small(), quiet_home / "run")
    assert list((folder / "tensorboard").iterdir())
    assert not (quiet_home / "wandb").exists()


def test_nothing_need_be_logged(quiet_home: Path) -> None:
    folder = train(small(), quiet_home / "run", log=[])
    assert not (folder / "tensorboard").exists()


def test_a_resumed_run_is_the_same_run_to_a_tracker(quiet_home: Path) -> None:
    new = Experiment(name="x", config={}, folder=quiet_home)
    new.keep("mlflow", "first")
    new.keep("wandb", "second")
    on = Experiment(name="x", config={}, folder=quiet_home, resumed_at=64)
    open_logger([], on)
    assert (on.kept("mlflow"), on.kept("wandb")) == ("first", "second")
    open_logger([], new)
    assert new.kept("mlflow") is None


def test_a_name_that_is_no_tracker_is_refused_with_the_closest() -> None:
    with pytest.raises(UnknownNameError, match='Did you mean "wandb"'):
        check_trackers(["wand"])


@pytest.mark.parametrize("name", TRACKERS)
def test_a_missing_library_is_named_with_the_pip_line(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import import_module

    def missing(module: str) -> object:
        if module == TRACKERS[name].module:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        return import_module(module)

    monkeypatch.setattr("densegym.errors.importlib.import_module", missing)
    with pytest.raises(MissingExtraError, match=r"pip install 'densegym\["):
        check_trackers([name])


def test_only_numbers_that_are_not_kept_from_a_tracker_are_sent() -> None:
    values = {"a": 1, "b": np.float32(2.5), "c": torch.tensor(3.0), "text": "x", "d": 4.0}
    excluded = {"d": ("wandb",), "a": ("tensorboard",), "b": None}
    told = numbers(values, excluded, "wandb")  # type: ignore[arg-type]  # SB3 passes None too
    assert told == {"a": 1.0, "b": 2.5, "c": 3.0}


def test_a_configuration_is_told_flat() -> None:
    told = Experiment(name="x", config=small().as_dict(), folder=Path()).flat_config()
    assert told["run.steps"] == 256
    assert told["env"] == "DenseGym/HarmlessStep-v0"
    assert all(isinstance(value, str | int | float | bool) for value in told.values())
