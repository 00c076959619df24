"""The zero-RL screens: what a sound reward passes, and what each kind of bad one fails."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from densegym.reward_models.authored.programs.runner import Scored
from densegym.reward_models.authored.screening.bank import Bank
from densegym.reward_models.authored.screening.loops import best_loop, find_loops, state_names
from densegym.reward_models.authored.screening.ranking import auc, spearman
from densegym.reward_models.authored.screening.screens import Thresholds, discounted, screen, tpe
from densegym.reward_models.sandbox.status import Status
from tests.reward_models.authored.toy_bank import (
    HORIZON,
    bank,
    scored,
    shaped,
    swing,
    trajectory,
    walk,
)

FEW = st.integers(-3, 3).map(float)


def progress(before, after):
    return before - after


@given(st.lists(st.tuples(FEW, st.booleans()), min_size=2, max_size=30))
def test_auc_counts_pairs(rows) -> None:
    returns, success = np.array([r for r, _ in rows]), np.array([s for _, s in rows])
    pairs = [(a > b) + 0.5 * (a == b) for a in returns[success] for b in returns[~success]]
    expected = np.mean(pairs) if pairs else np.nan
    np.testing.assert_allclose(auc(returns, success), expected)


@given(st.lists(st.tuples(FEW, FEW), min_size=2, max_size=30))
def test_spearman_is_scipys(rows) -> None:
    a, b = np.array(rows).T
    if len(set(a)) > 1 and len(set(b)) > 1:
        assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    else:
        assert np.isnan(spearman(a, b))


def test_progress_passes_every_screen() -> None:
    seen = screen(bank(), scored(bank(), progress))
    assert seen.status is Status.OK
    assert seen.verdicts == {"auc": "pass", "spearman": "pass", "loop": "pass", "idle": "pass"}
    assert seen.auc == 1.0
    assert seen.loop_gain == pytest.approx(0.0, abs=0.02)
    assert (seen.n_succ, seen.n_fail) == (8, 8)
    assert seen.feedback == ""
    json.dumps(seen.as_dict(), allow_nan=False)


def test_its_negation_fails_and_is_told_why() -> None:
    found = scored(bank(), lambda before, after: after - before)
    seen = screen(bank(), found)
    assert seen.status is Status.TPE_FAIL
    assert {seen.verdicts[name] for name in ("auc", "spearman", "idle", "loop")} == {"fail"}
    assert seen.auc == 0.0
    assert seen.spearman < 0
    first = seen.feedback.split("\n\n")[0].splitlines()
    returns = discounted([item.total for item in found], 0.99)
    success = bank().success()
    assert f"{returns[success].min():.4g}" in first[0]
    assert f"{returns[~success].max():.4g}" in first[0]
    assert first[1].startswith("success (expert), at steps 0, ")
    terms = [line for line in first if line.startswith("  term: ")]
    assert len(terms) == 2
    assert all(len(line.split(", ")) == 5 for line in terms)


def test_paying_every_step_is_beaten_by_standing_still() -> None:
    seen = screen(bank(), scored(bank(), lambda before, after: 1.5 - after))
    assert seen.verdicts["idle"] == "fail"
    assert "Episodes end at success" in seen.feedback
    assert "an idle episode" in seen.feedback


def test_idle_is_held_up_to_the_horizon() -> None:
    """Standing still pays too little within the bank's episodes, but not within longer ones."""

    def slow_drip(before, after):
        return 10 * (before - after) + 0.1

    assert screen(bank(), scored(bank(), slow_drip)).verdicts["idle"] == "pass"
    assert (
        screen(bank(gamma=1.0), scored(bank(), slow_drip), horizon=500).verdicts["idle"] == "fail"
    )


def test_oscillation_farming_fails_the_loop_test_alone() -> None:
    """Progress that is paid and never taken back ranks this bank rightly, and can be farmed."""

    def one_way(before, after):
        return 3 * np.maximum(before - after, 0) * (before > 0.55) + (before - after)

    walks = tuple(trajectory(walk(20 + i), "expert", 0.0) for i in range(10))
    full = bank(more=walks)
    quiet = Bank(
        task=full.task,
        gamma=full.gamma,
        trajectories=tuple(i for i in full.trajectories if not i.source.startswith("exploit")),
    )
    circling = trajectory(swing(1.0, 0.5, 1.0, 8), "exploit:oscillates")
    assert screen(quiet, scored(quiet, one_way)).verdicts["auc"] == "pass"
    farmed = quiet.joined([circling])
    seen = screen(farmed, scored(farmed, one_way))
    assert seen.verdicts["auc"] == "pass"
    assert seen.verdicts["loop"] == "fail"
    assert seen.loop_gain > 0.1
    assert seen.status is Status.TPE_FAIL
    assert "closed loop" in seen.feedback


def test_a_gait_that_travels_closes_no_loop() -> None:
    """Joints come back after every stride; the position, which only info tells, does not."""
    stride = swing(1.0, 0.5, 1.0, 5)

    def gait(with_position: bool):
        item = trajectory(stride, "expert")
        told = {"x_position": np.linspace(0.0, 3.0, len(item))} if with_position else {}
        return Bank(task="Toy", gamma=0.99, trajectories=(_with(item, {**item.features, **told}),))

    assert sum(len(loop.start) for loop in find_loops(gait(with_position=False))) > 0
    assert sum(len(loop.start) for loop in find_loops(gait(with_position=True))) == 0


def test_a_slow_gait_among_fast_ones_closes_no_loop() -> None:
    """Its stride hardly moves it on the scale of the bank, but it never comes back."""
    item = trajectory(swing(1.0, 0.5, 1.0, 5), "expert")

    def places(distance: float):
        return _with(item, {**item.features, "x_position": np.linspace(0, distance, len(item))})

    slow = Bank(task="Toy", gamma=0.99, trajectories=(places(3.0), places(16.0)))
    assert [len(loop.start) for loop in find_loops(slow)] == [0, 0]


def test_the_terminal_step_closes_no_loop() -> None:
    there_and_back = trajectory([1.0, 0.9, 0.7, 0.5, 0.7, 0.9], "expert", goal=0.9)
    assert there_and_back.features["terminated"][-1]
    alone = Bank(task="Toy", gamma=0.99, trajectories=(there_and_back,))
    (loop,) = find_loops(alone)
    assert list(zip(loop.start, loop.stop, strict=True)) == [(1, 3)]


def test_loops_end_where_they_began() -> None:
    circle = bank()
    for item, loop in zip(circle.trajectories, find_loops(circle), strict=True):
        place = item.features["walker_position"][:, 0]
        np.testing.assert_allclose(place[loop.start], place[loop.stop], atol=0.03)
        assert (loop.stop - loop.start >= 2).all()


def test_the_best_loop_is_walked_from_its_start_to_the_horizon() -> None:
    item = trajectory(swing(1.0, 0.5, 1.0, 2), "exploit:oscillates")
    alone = Bank(task="Toy", gamma=0.5, trajectories=(item,))
    reward = np.zeros(len(item))
    reward[0], reward[1:] = -3.0, 1.0
    found = best_loop(find_loops(alone), [reward], 0.5, horizon=len(item))
    assert found is not None
    assert found.discounted == pytest.approx(-3.0 + sum(0.5**t for t in range(1, len(item))))
    assert found.gain == pytest.approx(found.length)


def test_experts_set_the_bar_not_those_who_blunder_into_success() -> None:
    slow = tuple(trajectory(walk(50 + i), "noise", 0.6) for i in range(9))
    mixed = bank(more=slow)

    def haste(before, after):
        moved = before - after
        return np.where(moved > 0.03, 1.0, np.where(moved == 0.0, 0.3, 0.1))

    assert screen(mixed, scored(mixed, haste)).verdicts["idle"] == "pass"
    clumsy = Bank(task="Toy", gamma=0.99, trajectories=mixed.trajectories[3:])
    assert screen(clumsy, scored(clumsy, haste)).verdicts["idle"] == "fail"


def test_without_enough_of_both_classes_nothing_is_concluded() -> None:
    wins = Bank(task="Toy", gamma=0.99, trajectories=bank().trajectories[:6])
    few = Bank(task="Toy", gamma=0.99, trajectories=bank().trajectories[4:])
    for some in (wins, few):
        seen = screen(some, scored(some, progress))
        assert (
            seen.verdicts["auc"] == seen.verdicts["idle"] == seen.verdicts["loop"] == "inconclusive"
        )
        assert seen.auc is None
        assert seen.status is Status.OK
    assert screen(few, scored(few, progress), thresholds=Thresholds(per_class=4)).auc == 1.0


def test_an_idle_episode_that_succeeds_is_no_evidence() -> None:
    done = _with(trajectory(np.zeros(HORIZON + 1), "idle"))
    assert done.success
    rest = tuple(item for item in bank().trajectories if item.source != "idle")
    some = Bank(task="Toy", gamma=0.99, trajectories=(*rest, done))
    assert screen(some, scored(some, progress)).verdicts["idle"] == "inconclusive"


@pytest.mark.parametrize("offset", [0.0, 5.0, -5.0])
def test_potentials_are_ranked_whatever_their_offset(offset: float) -> None:
    """Zero after termination would rank every success below every failure for Φ above 0."""
    good = screen(bank(), shaped(bank(), lambda d: offset - d))
    bad = screen(bank(), shaped(bank(), lambda d: offset + d))
    assert good.verdicts["auc"] == "pass"
    assert bad.verdicts["auc"] == "fail"
    assert good.verdicts["loop"] == good.verdicts["idle"] == "pass"


def test_tpe_is_cards_share() -> None:
    item = bank().trajectories[0]
    flags, means = [True, True, True, False, False], [3.0, 1.0, 2.0, 1.5, 0.0]
    items = tuple(_with(item, success=flag) for flag in flags)
    pay = [Scored(np.full(4, mean), {}) for mean in means]
    assert tpe(Bank(task="Toy", gamma=0.99, trajectories=items), pay) == pytest.approx(2 / 3)
    assert tpe(Bank(task="Toy", gamma=0.99, trajectories=items[:3]), pay[:3]) is None


def test_the_state_holds_no_action_no_twin_and_no_ending() -> None:
    assert state_names(bank().trajectories[0]) == ["walker_position", "goal_position"]


def _with(item, features=None, success=None):
    from dataclasses import replace

    return replace(
        item,
        features=item.features if features is None else features,
        success=item.success if success is None else success,
    )
