"""Demonstrations: what was asked for came about, placements are split, Minari gives them back."""

import dataclasses
import json

import gymnasium as gym
import numpy as np
import pytest

import densegym  # noqa: F401  registers the worlds
from densegym.agents.collecting import demos as collecting
from densegym.agents.collecting import foreign, policy_demos
from densegym.agents.collecting.counting import count_sparsely
from densegym.agents.collecting.demonstrators import somewhere
from densegym.agents.collecting.journal import Journal
from densegym.agents.training.config import resolve
from densegym.agents.training.learner import build_learner
from densegym.agents.training.load import load_learner
from densegym.agents.training.run import train
from densegym.envs.registration import bare_spec
from densegym.envs.robot.experts import reach
from densegym.envs.tasks import find_world
from densegym.errors import DenseGymError, ResultsError, UnknownNameError
from densegym.plugins import resolve as resolve_name
from densegym.reward_models.progress import demos as files
from densegym.reward_models.progress.local import fit, local_judge
from tests.small import SMALL

ID = "DenseGym/ButtonPress-v0"
FOREIGN = (("leaves", False, 3), ("leaves", True, 2), ("sweep", False, 3), ("planner", True, 2))
OTHERS_WANTED = foreign.wanted


@pytest.fixture(scope="module")
def collected():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collecting, "HELD_OUT", 2)
        patch.setattr(collecting, "FAILED_STEPS", 55)
        patch.setattr(collecting, "STRAYS", (collecting.WANDER, ""))
        patch.setattr(collecting, "SHARE", {**dict.fromkeys(files.FAILURES, 1), "near-miss": 2})
        patch.setattr(foreign, "wanted", lambda world, episodes: FOREIGN)
        yield collecting.collect(ID, episodes=2, seed=1)


def test_every_kind_is_there_with_its_outcome(collected) -> None:
    for kind in (files.EXPERT, *files.FAILURES):
        found = [demo for demo in collected.demos if demo.kind == kind]
        # 2 experts, 4 recoveries, 2 held out; of failures 4 or 8, and 4 held out
        assert len(found) == {files.EXPERT: 8, "near-miss": 12}.get(kind, 8)
        assert all((demo.done_at is not None) == (kind == files.EXPERT) for demo in found)
        for demo in found:
            assert len(demo.pictures) == len(demo.state) == len(demo.action) + 1
    experts = [demo for demo in collected.demos if demo.kind == files.EXPERT]
    assert sum(demo.expert_from > 0 for demo in experts if not demo.held_out) == 4
    assert all(demo.done_at > demo.expert_from for demo in experts)
    assert not any(demo.expert_from for demo in experts if demo.held_out)


def test_steps_left_are_counted_where_a_model_learns(collected) -> None:
    for demo in collected.demos:
        assert demo.left.shape == demo.success.shape
        assert demo.left.min() >= (1 if demo.kind in files.FAILURES else 0)
        assert demo.left[0] < 90
        assert demo.left.max() <= np.ceil(demo.left[0] / 0.6)
    undisturbed = [d for d in collected.demos if d.kind == files.EXPERT and not d.held_out]
    for demo in (demo for demo in undisturbed if not demo.expert_from):
        assert np.all(demo.left[demo.success] == 0)
        assert np.corrcoef(demo.left[: demo.done_at], -np.arange(demo.done_at))[0, 1] > 0.98


def test_other_controllers_succeed_and_fail_where_they_should(collected) -> None:
    for kind, held_out, count in FOREIGN:
        found = [d for d in collected.demos if (d.kind, d.held_out) == (kind, held_out)]
        assert len(found) == count
        for demo in found:
            assert np.all(demo.left[demo.success] == 0)
            assert np.all(demo.left[~demo.success] > 0)
    assert foreign.kinds_of(find_world(ID)) == (*files.TAUGHT, files.PLANNER)
    others = [demo for demo in collected.demos if demo.kind in files.FOREIGN]
    assert not any(demo.kind in files.UNTAUGHT and not demo.held_out for demo in others)
    assert 0 < sum(demo.done_at is not None for demo in others) < len(others)


def test_what_is_wanted_of_other_controllers_keeps_untaught_ones_aside() -> None:
    for episodes in (2, 10, 40):
        shares = list(OTHERS_WANTED(find_world(ID), episodes))
        assert {kind for kind, held, _ in shares if not held} == set(files.TAUGHT)
        assert {kind for kind, held, _ in shares if held} == {*files.TAUGHT, files.PLANNER}
        assert all(count >= 4 for _, held, count in shares if held)


def test_episodes_of_policies_serve_evaluation_alone() -> None:
    expert = find_world(ID).capabilities.expert
    found = policy_demos.collect_policies(ID, [resolve_name(expert)], episodes=2, seed=3)
    assert [demo.kind for demo in found.demos] == [files.POLICY] * 2
    assert all(demo.held_out and demo.left is not None for demo in found.demos)
    assert found.demos[0].done_at is not None  # undisturbed, the expert succeeds
    assert not fit.kept_back(found.demos * 20)


def test_hands_wander_all_over_the_room_and_often_to_its_walls() -> None:
    space, rng = gym.spaces.Box(-1.0, 1.0, (4,)), np.random.default_rng(0)
    room_of, points = find_world(ID).capabilities.workspace, []
    for _ in range(200):
        act = reach(somewhere(np.array(room_of), rng), space)
        hand = np.array([0.0, 0.6, 0.2])
        for _ in range(60):
            hand = hand + 0.1 * act(hand)[:3]
        points.append(hand)
    low, high = np.array(room_of)
    room = (np.array(points) - low) / (high - low)
    assert room.min() == pytest.approx(0.0, abs=1e-6)
    assert room.max() == pytest.approx(1.0, abs=1e-6)
    at_walls = np.isclose(room, 0.0, atol=1e-6) | np.isclose(room, 1.0, atol=1e-6)
    assert 0.15 < at_walls.mean() < 0.35
    assert room[~at_walls].std() > 0.2


def test_a_failure_that_did_most_of_the_task_is_none(collected) -> None:
    random = next(demo for demo in collected.demos if demo.kind == files.RANDOM)
    assert collecting._of_kind(random)
    state = random.state.copy()
    state[-1, 4:7] = 0.4 * state[0, 4:7] + 0.6 * state[0, 36:39]
    moved = dataclasses.replace(random, state=state)
    assert not collecting._of_kind(moved)
    assert collecting._of_kind(dataclasses.replace(moved, kind=files.STALL))


def test_an_expert_takes_over_only_what_has_not_succeeded(collected) -> None:
    expert = next(demo for demo in collected.demos if demo.expert_from)
    assert collecting._of_kind(expert)
    success = expert.success.copy()
    success[expert.expert_from] = True
    assert not collecting._of_kind(dataclasses.replace(expert, success=success))
    assert not collecting._of_kind(dataclasses.replace(expert, success=success & False))


def test_no_placement_serves_both_sides(collected) -> None:
    cells = {True: set(), False: set()}
    for demo in collected.demos:
        place = np.concatenate([demo.state[0][4:7], demo.state[0][36:39]])
        cells[demo.held_out].add(tuple(np.floor(place / 0.02).astype(int)))
    assert cells[True]
    assert cells[False]
    assert not cells[True] & cells[False]


def test_minari_gives_back_every_pixel(collected, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    with pytest.raises(DenseGymError, match="densegym demos collect"):
        files.load(ID)
    world = gym.make(bare_spec(ID))
    for kind in collected.rejected:
        kept = [demo for demo in collected.demos if demo.kind == kind]
        for _ in range(2):  # the second time replaces the first
            name = files.save(kept, ID, kind, env=world, cameras=collected.cameras)
        assert name == f"densegym/button-press/{kind}-v0"
    world.close()
    again = files.load(ID)
    assert files.digest(again) == files.digest(collected.demos)
    assert [demo.seed for demo in again] == [demo.seed for demo in collected.demos]


def judge_state(engine):
    (shaped,) = engine.state_dict()["reward"]["children"]
    (potential,) = shaped["children"]
    return potential["judge"]


def test_a_run_harvests_and_deferred_scoring_learns_the_same(
    collected, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.setenv("DENSEGYM_CACHE", str(tmp_path / "cache"))
    world = gym.make(bare_spec(ID))
    for kind in collected.rejected:
        kept = [demo for demo in collected.demos if demo.kind == kind]
        files.save(kept, ID, kind, env=world, cameras=collected.cameras)
    world.close()
    network, _ = fit.train(collected.demos, updates=10)
    judge = local_judge.LocalJudge(network, fit.references(collected.demos), collected.cameras)
    judge.save(local_judge.weights_path(ID))
    monkeypatch.setattr("densegym.agents.training.run._ALARM", 0.0)
    harvest = {"every": 100, "updates": 2, "episodes": 4}
    judged = {}
    for deferred in (False, True):
        reward = {"model": "progress/local", "harvest": harvest, "deferred": deferred}
        reward["unchecked"] = True  # ten updates pass no evaluation
        settings = [*SMALL, "episode_steps=16", "normalize_reward=false"]
        config = resolve(ID, reward=reward, steps=256, overrides=settings)
        with pytest.warns(RuntimeWarning, match="false progress: progress/local rises"):
            folder = train(config, tmp_path / f"deferred-{deferred}")
        lines = (folder / "eval.jsonl").read_text().splitlines()
        told = [json.loads(line)["reward_metrics"] for line in lines]
        assert [metrics["harvests"] for metrics in told] == [1, 2]
        assert {"harvest_before", "harvest_after", "false_progress"} <= told[-1].keys()
        learner, _ = load_learner(folder)
        judged[deferred] = (
            judge_state(learner.engine),
            learner.model.policy.state_dict(),
            told,
        )
        learner.close()
    once, stepwise = judged[True], judged[False]
    assert once[2] == stepwise[2]
    assert all((once[1][key] == value).all() for key, value in stepwise[1].items())
    weights = stepwise[0]
    assert all(np.array_equal(once[0][key], value) for key, value in weights.items())
    fresh = build_learner(config)
    first = judge_state(fresh.engine)
    fresh.close()
    assert any(not np.array_equal(first[key], value) for key, value in weights.items())


def test_tasks_without_an_expert_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="scripted expert"):
        collecting.collect("DenseGym/HopperForward-v0")
    with pytest.raises(DenseGymError, match="at least 2"):
        collecting.collect(ID, episodes=1)


def tiny(monkeypatch) -> None:
    monkeypatch.setattr(collecting, "HELD_OUT", 1)
    monkeypatch.setattr(collecting, "FAILED_STEPS", 12)
    monkeypatch.setattr(collecting, "STRAYS", ())
    monkeypatch.setattr(collecting, "SHARE", dict.fromkeys(files.FAILURES, 1))
    monkeypatch.setattr(collecting, "_wanted", lambda episodes, kinds: list(WANTED))


WANTED = ((files.EXPERT, False, 2), (files.RANDOM, False, 3), (files.STALL, True, 2))


def test_a_stopped_collection_goes_on_as_if_it_had_not(monkeypatch, tmp_path) -> None:
    tiny(monkeypatch)
    whole = collecting.collect(ID, episodes=2, seed=3)
    journal = Journal(tmp_path / "journal")

    def stop(done: int, wanted: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collecting.collect(ID, episodes=2, seed=3, journal=journal, on_episode=stop)
    assert journal.count() == 4
    kept = {path: path.stat().st_mtime_ns for path in journal.folder.glob("*/*.npz")}
    again = collecting.collect(ID, episodes=2, seed=3, journal=journal)
    assert files.digest(again.demos) == files.digest(whole.demos)
    assert again.rejected == whole.rejected
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    damaged = next(iter(kept))
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(ResultsError, match="rm -r"):
        collecting.collect(ID, episodes=2, seed=3, journal=journal)


def test_few_counts_stand_for_all() -> None:
    true = np.array([*np.linspace(40, 70, 31), *np.linspace(69, 10, 60)])
    asked = list[int]()

    def count(t: int) -> int:
        asked.append(t)
        return round(true[t])

    times = [*range(0, 91, 6), 90][:16]
    left = count_sparsely(times, np.zeros(91, dtype=bool), count)
    assert np.abs(left - true).max() <= 2.5
    assert len(asked) == len(set(asked)) <= 9
    assert asked[0] == 0
    done = np.zeros(91, dtype=bool)
    done[80:] = True
    left = count_sparsely(times, done, lambda t: 80 - t)
    assert left.tolist() == [*range(80, 0, -1), *[0] * 11]


def test_what_ends_at_success_still_shows_it(collected) -> None:
    expert = next(demo for demo in collected.demos if demo.kind == files.EXPERT)
    cut = {name: getattr(expert, name) for name in ("pictures", "success", "state", "left")}
    stop = expert.done_at + 1
    short = dataclasses.replace(
        expert,
        action=expert.action[: stop - 1],
        **{name: None if rows is None else rows[:stop] for name, rows in cut.items()},
    )
    longer = files.held(short)
    assert longer.success.sum() == files.AFTER
    assert len(longer.pictures) == len(longer.action) + 1 == len(longer.state)
    assert (longer.pictures[expert.done_at :] == expert.pictures[expert.done_at]).all()
    assert files.held(longer) is longer
