"""Recorded sessions: executed again, checked step by step, honest about damage."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from densegym.envs.shop.demos import Recorder, load_demos
from densegym.envs.shop.play import as_action, page_lines, play
from densegym.envs.shop.session.core import ShopCore
from densegym.envs.shop.session.world import Setting, ShopWorld
from densegym.errors import ResultsError
from tests.envs.shop.factories import built, lamp


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> ShopWorld:
    store = built(tmp_path_factory.mktemp("shop") / "store", *(lamp(n) for n in range(12)))
    return ShopWorld(Setting(store=store.info.folder, goals="synthetic", split="all"))


def record(world: ShopWorld, path: Path, episodes: int = 3, seed: int = 0) -> list[list[str]]:
    rng, recorder, core = random.Random(seed), Recorder(path, world), ShopCore(world.shop)
    done = []
    for _ in range(episodes):
        core.begin(rng.choice(world.goals))
        recorder.began(core)
        done.append([])
        for _ in range(8):
            if core.over:
                break
            action = rng.choice([*core.valid_actions(), "nonsense"])
            recorder.acted(core, action, core.act(action))
            done[-1].append(action)
    return done


@pytest.mark.parametrize("seed", range(5))
def test_what_was_recorded_is_what_is_read(world, tmp_path, seed):
    path = tmp_path / "deep" / "s.jsonl"
    done = record(world, path, seed=seed)
    demos = load_demos(path, world)
    assert [[step.action for step in demo.steps[1:]] for demo in demos] == done
    assert all(demo.steps[0].text.startswith("WebShop") for demo in demos)


def test_a_killed_session_loses_its_torn_line_alone(world, tmp_path):
    path = tmp_path / "s.jsonl"
    record(world, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    steps = sum(len(demo.steps) for demo in load_demos(path, world))
    assert steps == whole.count(b"\n") - 1


def edited(path: Path, change) -> None:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lines: lines[1].update(reward=1.0), "does not lead where it says"),
        (lambda lines: lines[1].update(action="search[oak]"), "does not lead|follow"),
        (lambda lines: lines.pop(1), "does not follow"),
        (lambda lines: lines.pop(0), "does not follow"),
        (lambda lines: lines[0].update(v=2), "has version 2"),
        (lambda lines: lines[0].update(store="0" * 64), "was recorded on the store 000000000000"),
        (lambda lines: lines[0].update(goal_id=10**9), "is not among"),
        (lambda lines: lines[1].update(goal_id="1"), "is no recorded step"),
        (lambda lines: lines[1].pop("action"), "is no recorded step"),
    ],
)
def test_a_file_edited_by_hand_is_refused_with_its_line(world, tmp_path, change, told):
    path = tmp_path / "s.jsonl"
    record(world, path, seed=1)
    edited(path, change)
    with pytest.raises(Exception, match=told) as caught:
        load_demos(path, world)
    assert caught.type.__name__ in ("ResultsError", "DenseGymError")


def test_other_files_are_refused(world, tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(ResultsError, match="cannot be read"):
        load_demos(path, world)
    path.write_text("[1]\n")
    with pytest.raises(ResultsError, match="line 1 is no recorded step"):
        load_demos(path, world)
    with pytest.raises(ResultsError, match="cannot be read"):
        load_demos(tmp_path / "none.jsonl", world)


def test_a_person_plays_with_numbers_words_and_actions(world, tmp_path):
    core, goal = ShopCore(world.shop), world.goals[0]
    core.begin(goal)
    numbers = {"red": "7", "dark red": "8", "navy": "9", "8 oz": "10", "12 inch": "11"}
    typed = iter(
        [goal.name, f"click[{goal.asin}]", "99", *(numbers[v] for v in goal.options.values()), "6"]
    )
    shown: list[str] = []
    recorder = Recorder(tmp_path / "s.jsonl", world)
    paid = play(core, recorder, lambda _: next(typed), shown.append, max_steps=20)
    assert paid == 1.0
    assert any("bold reverse" in line for line in shown)
    assert any("no such button" in line for line in shown)
    (demo,) = load_demos(tmp_path / "s.jsonl", world)
    assert demo.reward == 1.0
    core.begin(goal)
    assert play(core, recorder, lambda _: "q", shown.append, max_steps=20) is None
    assert play(core, recorder, lambda _: "red lamp", shown.append, max_steps=1) is None


def test_markup_in_products_is_not_markup_in_the_terminal(tmp_path):
    store = built(tmp_path / "store", lamp(1, title="[red]Lamp[/red] [link=x]"))
    world = ShopWorld(Setting(store=store.info.folder, goals="synthetic", split="all"))
    core = ShopCore(world.shop)
    core.begin(world.goals[0])
    core.act("search[lamp]")
    assert any("\\[red]Lamp" in line for line in page_lines(core))
    assert as_action(core, "Buy") == "click[Buy]"
