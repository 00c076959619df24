"""Films and data sets become demonstrations; what cannot be read is refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import imageio.v2 as imageio
import numpy as np
import pytest
from typer.testing import CliRunner

import densegym
from densegym.agents.collecting.imports import Importing, import_demos
from densegym.agents.collecting.policies import Brought, policy_of
from densegym.agents.collecting.sources import attempts
from densegym.agents.films.scores import score
from densegym.cli.main import app
from densegym.envs.custom import registry
from densegym.envs.tasks import known_world, task_card
from densegym.errors import DenseGymError, RewardError
from densegym.reward_models.progress import demos as files
from densegym.reward_models.progress.films import film_length, read_film
from densegym.reward_models.progress.judge import Verdict
from densegym.reward_models.progress.potential import ProgressPotential
from densegym.reward_models.progress.protocol import FrameCounter
from densegym.reward_models.progress.scoring import score_film
from densegym.reward_models.types import Pictures
from tests.chat_server import ChatServer

LINE = "Own/Line-v0"


class Line(gym.Env[Any, Any]):
    """A dot that moves along a line, which ends on the right."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 20}
    observation_space = gym.spaces.Box(-2, 2, (2,), np.float64)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.place, self.height = -0.8, self.np_random.uniform(-0.8, 0.8)
        return np.array([self.place, self.height]), {}

    def step(self, action: Any) -> Any:
        self.place = float(np.clip(self.place + 0.1 * action[0], -1, 1))
        done = self.place > 0.75
        seen = np.array([self.place, self.height])
        return seen, float(done), done, False, {"is_success": float(done)}

    def render(self) -> Any:
        picture = np.full((64, 64, 3), 200, np.uint8)
        column, row = (int((value + 1) * 28) for value in (self.place, self.height))
        picture[row : row + 8, column : column + 8] = (220, 40, 30)
        return picture


pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.setenv("DENSEGYM_CACHE", str(tmp_path / "cache"))
    if LINE not in gym.registry:
        gym.register(LINE, Line, max_episode_steps=30)
    densegym.register_task(LINE, success="is_success", goal="Move the dot to the right.")
    yield
    registry.forget_tasks()


def pictures(seed: int) -> list[Any]:
    env = Line(render_mode="rgb_array")
    env.reset(seed=seed)
    shown = [env.render()]
    for _ in range(20):
        _, _, ended, _, _ = env.step(np.array([1.0], np.float32))
        shown.append(env.render())
        if ended:
            break
    return shown


def film(name: str, shown: list[Any], **options: Any) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    imageio.mimwrite(name, shown, fps=20, codec="libx264", macro_block_size=2, **options)
    return name


def films(count: int = 6) -> list[str]:
    return [film(f"films/{seed}.mp4", pictures(seed)) for seed in range(count)]


def test_films_become_demonstrations_with_failures_of_two_kinds() -> None:
    named = films()
    found, look = import_demos(LINE, named, Importing(size=32))
    assert look == files.Look((), pretty=True)
    kinds = {kind: [d for d in found.demos if d.kind == kind] for kind in found.rejected}
    assert set(kinds) == {files.EXPERT, files.STALL, files.RANDOM}
    for demo in kinds[files.EXPERT]:
        assert demo.success.sum() == files.AFTER
        assert demo.state is None
    assert {demo.held_out for demo in kinds[files.EXPERT]} == {True, False}
    assert not any(
        demo.success.any() for kind in (files.STALL, files.RANDOM) for demo in kinds[kind]
    )
    assert all(
        d.left is not None and d.left.min() >= 1 for d in kinds[files.STALL] if not d.held_out
    )
    one = kinds[files.EXPERT][0].pictures[0, 0]
    random = kinds[files.RANDOM][0].pictures[0, 0]
    # What films show and what the world shows is the same scene, compressed or not.
    assert np.abs(np.median(one, axis=(0, 1)) - np.median(random, axis=(0, 1))).max() <= 4
    for kind, demos in kinds.items():
        files.save(demos, LINE, kind, cameras=look.cameras, pretty=look.pretty)
    again = files.load_for(task_card(LINE))
    assert files.digest([d for d in again if d.kind == files.EXPERT]) == files.digest(
        kinds[files.EXPERT]
    )
    assert files.look_of(task_card(LINE)) == look
    assert all(demo.state is None for demo in again)


def test_a_folder_of_folders_and_every_second_picture() -> None:
    for seed in range(2):
        folder = Path(f"attempts/{seed}")
        folder.mkdir(parents=True)
        for t, picture in enumerate(pictures(seed)):
            imageio.imwrite(folder / f"{t:03d}.png", picture)
    read = list(attempts("attempts", size=32, every=2, views=()))
    assert [one.name for one in read] == ["attempts/0", "attempts/1"]
    whole = read_film("attempts/0", size=32)
    assert np.array_equal(read[0].pictures[:-1, 0], whole[::2][: len(read[0].pictures) - 1])
    assert np.array_equal(read[0].pictures[-1, 0], whole[-1])


def test_minari_data_sets_with_pictures_are_read() -> None:
    import minari
    from minari.data_collector import EpisodeBuffer

    buffers = []
    for seed in range(4):
        shown = np.stack(pictures(seed))
        count = len(shown) - 1
        ends = np.arange(count) == count - 1
        buffers.append(
            EpisodeBuffer(
                id=seed,
                observations={"top": shown, "state": np.zeros((count + 1, 2))},
                actions=np.zeros((count, 1)),
                rewards=np.zeros(count),
                terminations=ends,
                truncations=np.zeros(count, dtype=bool),
                infos={"success": np.append(np.zeros(count), 1.0)},
            )
        )
    height, width = shown.shape[1:3]
    space = gym.spaces.Dict(
        top=gym.spaces.Box(0, 255, (height, width, 3), np.uint8),
        state=gym.spaces.Box(-1, 1, (2,), np.float64),
    )
    minari.create_dataset_from_buffers(
        "own/line-v0",
        buffers,
        observation_space=space,
        action_space=gym.spaces.Box(-1, 1, (1,), np.float64),
        algorithm_name="hand",
        description="a dot",
    )
    read = list(attempts("own/line-v0", size=32, every=1, views=()))
    assert len(read) == 4
    assert read[0].success[-1]
    assert read[0].success.sum() == 1
    assert read[0].state.shape == (len(read[0].pictures), 2)


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_lerobot_data_sets_are_read(version: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    shown = [pictures(seed) for seed in range(2)]
    newer, view = version.startswith("v3"), "observation.images.top"
    chunk = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
    seen = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
    if newer:
        chunk = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
        seen = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    info = {
        "codebase_version": version,
        "total_episodes": 2,
        "chunks_size": 1000,
        "fps": 20,
        "data_path": chunk,
        "video_path": seen,
        "features": {view: {"dtype": "video"}, "action": {"dtype": "float32"}},
    }
    Path("robot/meta").mkdir(parents=True)
    Path("robot/meta/info.json").write_text(json.dumps(info))
    rows: list[dict[str, Any]] = [
        {"episode_index": e, "frame_index": t, "action": [0.5, float(t)], "observation.state": [t]}
        for e, one in enumerate(shown)
        for t in range(len(one))
    ]

    def write(path: str, table: list[dict[str, Any]]) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pyarrow.Table.from_pylist(table), path)

    if newer:
        write("robot/data/chunk-000/file-000.parquet", rows)
        film(f"robot/videos/{view}/chunk-000/file-000.mp4", shown[0] + shown[1])
        told = [
            {
                "episode_index": e,
                "length": len(one),
                "data/chunk_index": 0,
                "data/file_index": 0,
                f"videos/{view}/chunk_index": 0,
                f"videos/{view}/file_index": 0,
                f"videos/{view}/from_timestamp": (0, len(shown[0]))[e] / 20,
            }
            for e, one in enumerate(shown)
        ]
        write("robot/meta/episodes/chunk-000/file-000.parquet", told)
    else:
        for e, one in enumerate(shown):
            mine = [row for row in rows if row["episode_index"] == e]
            write(f"robot/data/chunk-000/episode_{e:06d}.parquet", mine)
            film(f"robot/videos/chunk-000/{view}/episode_{e:06d}.mp4", one)
    read = list(attempts("robot", size=32, every=3, views=()))
    assert [len(one.pictures) for one in read] == [1 + -(-(len(one) - 1) // 3) for one in shown]
    for one, true in zip(read, shown, strict=True):
        film("alone.mp4", true)
        alone = read_film("alone.mp4", every=3, size=32)
        assert np.abs(one.pictures[:, 0].astype(int) - alone).mean() < 2
        assert one.state[-1].tolist() == [len(true) - 1]
        assert len(one.action) == len(one.pictures) - 1


def refusals() -> Iterator[tuple[str, Any]]:
    good = films(4)
    content = Path(good[0]).read_bytes()
    Path("cut.mp4").write_bytes(content[: len(content) // 2])
    Path("empty.mp4").write_bytes(b"")
    Path("nothing").mkdir()
    noise = list(np.random.default_rng(0).integers(0, 255, (40, 64, 64, 3), dtype=np.uint8))
    whole = Path(film("noise.mp4", noise, output_params=["-movflags", "faststart"])).read_bytes()
    Path("short.mp4").write_bytes(whole[: len(whole) // 2])
    wide = [np.zeros((64, 96, 3), np.uint8)] * 5
    yield "unknown format", ["cut.mp4"]
    yield "unknown format", ["empty.mp4"]
    yield "is cut off: .* of its 40 pictures", ["short.mp4"]
    yield "holds no films", ["nothing"]
    yield "minari download no/where-v0", ["no/where-v0"]
    yield "films of one task have one shape", [*good, film("wide.mp4", wide)]
    yield (
        "they would see it squeezed",
        [film(f"wide-{i}.mp4", [w + i * 30 for w in wide]) for i in range(6)],
    )
    yield "expected at least 4 from three different starts", good[:2]
    yield "is one picture", [film("one.mp4", wide[:1])]


def test_what_cannot_be_imported_is_said() -> None:
    for said, sources in refusals():
        with pytest.raises(DenseGymError, match=said):
            import_demos(LINE, sources, Importing(size=32))
    with pytest.raises(DenseGymError, match="--camera corner2"):
        import_demos("DenseGym/ButtonPress-v0", films(1), Importing())


def test_an_expert_in_a_file() -> None:
    Path("mine.py").write_text("def act(obs):\n    return [1.0]\n")
    assert policy_of("mine.py", LINE)(known_world(LINE))(None) == [1.0]
    assert Brought("mine.py", LINE)(known_world(LINE))(None) == [1.0]
    Path("maker.py").write_text("def expert(world):\n    return lambda obs: world.card.id\n")
    assert policy_of("maker.py", LINE)(known_world(LINE))(None) == LINE
    Path("bad.py").write_text("1 / 0\n")
    Path("none.py").write_text("")
    said = {
        "bad.py": "ZeroDivisionError",
        "none.py": "neither act",
        "away.py": "there is no file",
        "planner": "no planner",
    }
    for text, why in said.items():
        with pytest.raises(DenseGymError, match=why):
            policy_of(text, LINE)


def test_a_film_is_scored_by_a_judge_from_other_films() -> None:
    named = films(4)
    reward = {"model": "progress/perceptual", "demos": named[:3], "features": "pixels"}
    scored = score([named[3]], reward, every=2)
    curve = scored.curve
    assert len(curve.phi) == 1 + -(-(film_length(named[3]) - 1) // 2)
    assert curve.at[-1] == film_length(named[3]) - 1
    assert curve.phi[-1] > curve.phi[0] + 0.1
    assert len(scored.line()) == len(curve.phi)
    scored.draw(Path("curve.png"))
    assert read_film("curve.png").shape[2] == 1400
    words = ["score", named[3], "--reward", json.dumps(reward), "--json", "--every", "2"]
    told = json.loads(CliRunner().invoke(app, words, catch_exceptions=False).stdout)
    assert told["phi"] == pytest.approx(curve.phi.tolist())
    assert told["abstained"] == 0
    with pytest.raises(RewardError, match="one progress reward"):
        score(named[:1], "env")
    with pytest.raises(RewardError, match="reads states"):
        score(named[:1], "progress/oracle", task="DenseGym/ButtonPress-v0")
    with pytest.raises(DenseGymError, match="takes 1 film; given 2"):
        score(named[:2], reward)


def test_a_judge_that_abstains_leaves_a_gap_that_shows() -> None:
    class Shy(FrameCounter):
        def hop(self, *asked: Any) -> Any:
            verdict = super().hop(*asked)
            return verdict._replace(valid=np.arange(len(verdict.value)) % 3 > 0)

    judge = Shy(Pictures(size=16))
    potential = ProgressPotential(judge, name="toy/shy", fusion="incremental", cap=False)
    shown = np.zeros((9, 1, 16, 16, 3), np.uint8)
    curve = score_film(potential, shown, np.arange(9), "")
    assert curve.valid.tolist() == [True, *[t % 3 > 0 for t in range(8)]]
    assert np.isnan(curve.hop[~curve.valid]).all()
    assert (np.diff(curve.phi)[~curve.valid[1:]] == 0).all()
    assert curve.as_dict()["abstained"] == 3
    assert curve.as_dict()["done"] == [None] * 9


def test_a_judge_of_whole_films_is_shown_all_of_one() -> None:
    class Whole(FrameCounter):
        def film(self, images: Any, text: str) -> Verdict:
            assert (len(images), text) == (9, "push")
            return Verdict(np.linspace(0, 1, 9), np.arange(9) != 4)

    judge = Whole(Pictures(size=16))
    potential = ProgressPotential(judge, name="toy/whole", fusion="incremental", cap=False)
    shown = np.zeros((9, 1, 16, 16, 3), np.uint8)
    curve = score_film(potential, shown, np.arange(9), "push")
    assert curve.whole
    assert curve.phi.tolist() == [0, 0.125, 0.25, 0.375, 0.375, 0.625, 0.75, 0.875, 1]
    online = score_film(potential, shown, np.arange(9), "push", whole=False)
    assert not online.whole
    assert online.phi[-1] < 1


def test_gvl_is_shown_a_whole_film_in_one_question() -> None:
    def answer(request: dict[str, Any]) -> str:
        parts = request["messages"][-1]["content"]
        assert any("Move the dot." in part.get("text", "") for part in parts)
        shown = sum(part["type"] == "image_url" for part in parts)
        return json.dumps([30] * (shown - 1))

    (named,) = films(1)
    with ChatServer(answer) as server:
        reward = {"model": "progress/gvl", "base_url": server.url, "served": "m"}
        with pytest.raises(RewardError, match='"sentence"'):
            score([named], reward)
        scored = score([named], reward, sentence="Move the dot.")
        assert len(server.seen) == 1
        assert scored.curve.whole
        assert scored.curve.phi.tolist() == [0.0, *[0.3] * (film_length(named) - 1)]
        online = score([named], reward, sentence="Move the dot.", whole=False, every=5)
        assert len(server.seen) == 1 + len(online.curve.phi) - 1
        server.answer = lambda request: "I cannot say."
        silent = score([named], reward, sentence="Move it.", every=5).curve
        assert silent.valid.tolist() == [True, *[False] * (len(silent.phi) - 1)]
