import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from densegym.agents.sharing.transfer import files_named, pull, push
from densegym.agents.training.config import resolve
from densegym.agents.training.load import load_learner
from densegym.agents.training.results import load_run
from densegym.agents.training.run import train
from densegym.errors import DenseGymError, ResultsError
from tests.agents.sharing import hub_server
from tests.small import SMALL


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = resolve("DenseGym/HarmlessStep-v0", steps=128, overrides=[*SMALL, "episode_steps=10"])
    folder = train(config, tmp_path_factory.mktemp("runs") / "run")
    (folder / "media").mkdir()
    (folder / "media" / "a film.mp4").write_bytes(b"film")
    (folder / "media" / "note.sh").write_text("echo no")
    return folder


def evaluation(folder: Path) -> dict[str, Any]:
    learner, _ = load_learner(folder)
    try:
        return learner.evaluate(episodes=5, seed=3).as_dict()
    finally:
        learner.close()


def test_a_run_that_went_through_two_folders_evaluates_alike(run: Path, tmp_path: Path) -> None:
    pushed = push(run, str(tmp_path / "shared"))
    pulled = pull(pushed, tmp_path / "mine")
    assert evaluation(pulled) == evaluation(run)
    assert pulled == tmp_path / "mine" / "DenseGym.HarmlessStep-v0" / "env" / "ppo" / "seed-0"
    assert (load_run(pulled).return_env == load_run(run).return_env).all()


def test_only_what_a_run_has_travels_and_nothing_pickled(run: Path, tmp_path: Path) -> None:
    push(run, str(tmp_path / "shared"))
    shared = tmp_path / "shared"
    found = {str(path.relative_to(shared)) for path in shared.rglob("*") if path.is_file()}
    assert found == {
        "README.md", "checkpoint.pt", "config.toml", "eval.jsonl", "final.json", "meta.json",
        "media/a film.mp4",
    }  # fmt: skip


def test_the_card_holds_the_table_the_film_and_the_command(run: Path, tmp_path: Path) -> None:
    push(run, str(tmp_path / "shared"))
    card = (tmp_path / "shared" / "README.md").read_text()
    _, front, body = card.split("---\n", 2)
    told = {
        line.partition(": ")[0]: json.loads(line.partition(": ")[2]) for line in front.splitlines()
    }
    assert told["library_name"] == "densegym"
    assert "95 % Wilson interval" in body
    assert '<video controls src="media/a film.mp4">' in body
    assert "densegym train DenseGym/HarmlessStep-v0 --reward env" in body


def test_a_target_that_is_taken_is_left_alone(run: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("mine")
    with pytest.raises(DenseGymError, match="new or empty"):
        push(run, str(tmp_path / "taken"))
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["mine"]
    (tmp_path / "empty").mkdir()
    push(run, str(tmp_path / "empty"))
    pull(str(tmp_path / "empty"), tmp_path / "out")
    with pytest.raises(ResultsError, match="there already"):
        pull(str(tmp_path / "empty"), tmp_path / "out")


@pytest.mark.parametrize("name", ["config.toml", "meta.json", "final.json", "checkpoint.pt"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_run_is_refused_and_leaves_nothing(
    name: str, damage: str, run: Path, tmp_path: Path
) -> None:
    push(run, str(tmp_path / "shared"))
    path = tmp_path / "shared" / name
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ResultsError):
        pull(str(tmp_path / "shared"), tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.*"))


def test_links_and_foreign_files_of_a_shared_run_are_not_followed(
    run: Path, tmp_path: Path
) -> None:
    push(run, str(tmp_path / "shared"))
    (tmp_path / "secret.png").write_text("secret")
    (tmp_path / "shared" / "media" / "x.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "shared" / "vecnormalize.pkl").write_bytes(b"pickle")
    pulled = pull(str(tmp_path / "shared"), tmp_path / "out")
    assert not (pulled / "media" / "x.png").exists()
    assert not (pulled / "vecnormalize.pkl").exists()


def test_files_that_a_reward_names_are_told(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("")
    spec = ["env", {"model": "authored/file", "path": str(tmp_path / "own.py"), "scale": 0.5}]
    config = resolve("DenseGym/HarmlessStep-v0", reward=spec)
    assert files_named(config) == [str(tmp_path / "own.py")]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[hub_server.Hub]:
    pytest.importorskip("huggingface_hub")
    from huggingface_hub import constants, hf_api

    with hub_server.running() as server:
        files = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
        monkeypatch.setattr(hf_api.api, "endpoint", server.url)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
        monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)
        yield server


def test_a_run_goes_to_the_hub_and_back(run: Path, tmp_path: Path, hub: hub_server.Hub) -> None:
    assert push(run, "hf:team/run", private=True) == f"{hub.url}/team/run"
    assert hub.private == {"team/run": True}
    assert "model.zip" not in hub.files["team/run"]
    pulled = pull("hf:team/run", tmp_path / "mine")
    assert (load_run(pulled).return_env == load_run(run).return_env).all()
    assert (pulled / "media" / "a film.mp4").read_bytes() == b"film"


def test_the_hub_is_not_asked_without_a_token(
    run: Path, hub: hub_server.Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(DenseGymError, match="hf auth login") as caught:
        push(run, "hf:team/run")
    assert "\n" not in str(caught.value)
    assert hub.files == {}


def test_what_the_hub_refuses_is_said_in_one_sentence(
    run: Path, tmp_path: Path, hub: hub_server.Hub
) -> None:
    push(run, "hf:team/run")
    for source, revision, said in [
        ("hf:team/other", None, "no repository team/other"),
        ("hf:team/run", "no-such-tag", "no such revision"),
        ("hf:team", None, "hf:owner/name"),
        (str(run), "main", "--revision is for"),
    ]:
        with pytest.raises(DenseGymError, match=said) as caught:
            pull(source, tmp_path / "out", revision=revision)
        assert "\n" not in str(caught.value)
        assert hub_server.TOKEN not in str(caught.value)


def test_a_hub_that_is_down_is_one_sentence(run: Path, hub: hub_server.Hub) -> None:
    hub.down = True
    with pytest.raises(DenseGymError, match="did not answer") as caught:
        push(run, "hf:team/run")
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError):
        push(tmp_path, str(tmp_path / "shared"))
    with pytest.raises(ResultsError, match=r"lacks config\.toml"):
        pull(str(tmp_path), tmp_path / "out")
    assert os.listdir(tmp_path) == []
