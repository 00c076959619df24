"""Learning and labelling at the same time, in a real game, against a real local server."""

import dataclasses
import json
import threading
import time

import pytest

from densegym.agents.studies.captions.server import CaptionServer
from densegym.agents.training.config import resolve
from densegym.agents.training.run import train
from densegym.errors import Interrupted
from densegym.reward_models.intrinsic.annotation.table import CaptionTable

pytest.importorskip("minihack")


def config(server, table, steps):
    llm = {"model": "m", "base_url": server.base_url}
    spec = {
        "model": "intrinsic/oni-classification",
        "annotator": "endpoint",
        "table": str(table),
        "llm": llm,
        "steps": 2,
    }
    settings = ["n_envs=2", "n_steps=128", "batch_size=64", "n_epochs=1"]
    settings += ["eval_episodes=1", "final_episodes=1", "eval_every=100000"]
    return resolve("DenseGym/MiniHack-KeyRoom-S5-v0", reward=spec, steps=steps, overrides=settings)


def serve(port=0):
    server = CaptionServer(port, failure=0.2, delay_s=0.05)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_training_goes_on_while_the_server_dies_and_nothing_is_labelled_twice(tmp_path):
    first = serve()
    table = tmp_path / "labels.jsonl"
    made = config(first, table, 1024)
    port = first.server_address[1]

    def die_and_come_back():
        time.sleep(1.0)
        first.shutdown()
        first.server_close()
        time.sleep(1.0)
        later.append(serve(port))

    later = []
    killer = threading.Thread(target=die_and_come_back)
    killer.start()
    folder = train(made, tmp_path / "run")
    killer.join()
    later[0].shutdown()
    later[0].server_close()
    meta = json.loads((folder / "meta.json").read_text())
    assert meta["steps"] == 1024
    assert meta["reward_metrics"]["captions"] >= 2
    labels = CaptionTable(path=table, readonly=True)  # refuses a caption that stands there twice
    waiting = (tmp_path / "labels.jsonl.queue").read_text().splitlines()
    asked = {*labels, *map(json.loads, waiting)}
    assert len(asked) == meta["reward_metrics"]["captions"]  # none is lost


def test_a_stopped_run_resumes_with_its_labels(tmp_path):
    server = serve()
    made = config(server, tmp_path / "labels.jsonl", 1024)

    def stop(progress):
        if progress.step >= 512:
            raise KeyboardInterrupt

    with pytest.raises((Interrupted, KeyboardInterrupt)):
        train(made, tmp_path / "run", on_progress=stop)
    before = dict(CaptionTable(path=tmp_path / "labels.jsonl", readonly=True))
    folder = train(made, tmp_path / "run", resume=True)
    server.shutdown()
    server.server_close()
    after = dict(CaptionTable(path=tmp_path / "labels.jsonl", readonly=True))
    assert before.items() <= after.items()
    calls = json.loads((folder / "meta.json").read_text())["model_calls"]
    assert calls >= 1 or len(after) == len(before)  # the first part may have labelled them all
    assert dataclasses.asdict(made)["reward"]["annotator"] == "endpoint"
