"""Φ of an episode and what is paid for it; nothing pays better than finishing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.errors import RewardError, UnknownNameError
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.shaping import AdditiveUnsafe, Shaped
from densegym.reward_models.types import Starts
from tests.reward_models.progress.reading import LEVELS, Reading, potential, starts, steps

GAMMA = 0.99


def paid(model, path, *, terminated, success, gamma):
    """Return the discounted sum of a shaped (or unsafe) reward plus the world's own."""
    model.begin(starts(0.0))
    total = 0.0
    for t, phi in enumerate(path):
        last = t == len(path) - 1
        batch = steps(
            phi,
            t,
            terminated=last and terminated,
            truncated=last and not terminated,
            env_reward=last and success,
        )
        total += gamma**t * (model.score(batch).reward[0] + batch.env_reward[0])
    return total


def shaped(gamma, **options):
    return Shaped(potential(cap=False, fusion="incremental", **options), gamma=gamma)


@given(
    gamma=st.floats(1e-6, 1.0),
    steps_to_finish=st.integers(1, 30),
    idle=st.integers(0, 60),
    every=st.integers(1, 7),
)
def test_lingering_near_the_goal_never_pays_more_than_finishing(
    gamma, steps_to_finish, idle, every
) -> None:
    near = np.linspace(0.0, 0.9, 10)[1:].tolist()
    rise = np.linspace(0.9, 1.0, steps_to_finish + 1)[1:].tolist()
    limit = steps_to_finish + idle + 1

    def earn(path, success):
        return paid(
            shaped(gamma, every=every), path, terminated=success, success=success, gamma=gamma
        )

    finish = earn([*near, *rise], True)
    linger = earn([*near, *[0.9] * limit], False)
    later = earn([*near, *[0.9] * idle, *rise], True)
    assert linger < finish + 1e-12
    assert later <= finish + 1e-12


@given(
    path=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=25),
    gamma=st.floats(0.5, 1.0),
    every=st.integers(1, 6),
    smooth=st.sampled_from([0.0, 0.7]),
    curve=st.sampled_from([0.0, 3.0]),
    terminated=st.booleans(),
    silent=st.sets(st.integers(0, LEVELS), max_size=80),
)
def test_what_is_paid_telescopes(path, gamma, every, smooth, curve, terminated, silent) -> None:
    model = Shaped(potential(Reading(silent), every=every, smooth=smooth, curve=curve), gamma=gamma)
    total = paid(model, path, terminated=terminated, success=False, gamma=gamma)
    kept = 0.0 if terminated else model._phi.values[0]
    assert total == pytest.approx(gamma ** len(path) * kept, abs=1e-9)


@given(
    path=st.lists(st.integers(1, LEVELS - 1), min_size=1, max_size=20),
    origin=st.integers(0, LEVELS - 1),
    fusion=st.sampled_from(["incremental", "forward", "backward", "mean", "consistency", "min"]),
)
def test_exact_hops_give_back_progress_from_every_origin_and_below_it(path, origin, fusion) -> None:
    judge = Reading()
    judge.origin = origin / LEVELS
    model = potential(judge, fusion=fusion, cap=False)
    first = model.value(starts(judge.origin)).phi
    assert first == pytest.approx(judge.origin)
    slack = 1.0 if fusion == "consistency" else 1e-9  # which follows only where both anchors agree
    for t, level in enumerate(path):
        phi = model.value(steps(level / LEVELS, t)).phi
        assert phi == pytest.approx(level / LEVELS, abs=slack)
        assert 0.0 <= phi[0] <= 1.0


def test_the_cap_is_nine_tenths_of_the_way_from_the_origin() -> None:
    for origin, cap in ((0.0, 0.9), (0.4, 0.94)):
        judge = Reading()
        judge.origin = origin
        model = potential(judge, fusion="forward")
        model.value(starts(origin))
        assert model.value(steps(0.98, 0)).phi == pytest.approx(cap)
        assert model.value(steps(1.0, 1)).phi == pytest.approx(1.0)


def rollout(paths, cuts):
    """Return events of two lanes, an episode per path and lane, split into rollouts at ``cuts``."""
    events = [starts(0.0, slot=(0, 1))]
    for path in paths:
        for t, phi in enumerate(path):
            last = t == len(path) - 1
            events.append(steps(phi, t, slot=(0, 1), truncated=last))
        events.append(starts(0.0, slot=(0, 1)))
    places = sorted({min(cut, len(events)) for cut in cuts})
    return [events[i:j] for i, j in zip([0, *places], [*places, len(events)], strict=True)]


PATHS = st.lists(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20), min_size=1, max_size=3)
CUTS = st.lists(st.integers(0, 60), max_size=3)


@given(
    paths=PATHS,
    cuts=CUTS,
    every=st.integers(1, 6),
    silent=st.sets(st.integers(0, LEVELS), max_size=80),
)
def test_interpolation_keeps_the_pictures_and_draws_lines_between(
    paths, cuts, every, silent
) -> None:
    held, straight = (
        potential(Reading(silent), every=every, curve=3.0, interpolate=interpolate)
        for interpolate in (False, True)
    )
    before = np.zeros(2)
    for events in rollout(paths, cuts):
        pairs = list(zip(held.values(events), straight.values(events), strict=True))
        phi = np.array([[before, before], *([kept.phi, drawn.phi] for kept, drawn in pairs)])
        seen = [True]
        for event, (kept, drawn) in zip(events, pairs, strict=True):
            valid = kept.valid
            assert valid.tolist() == drawn.valid.tolist()
            due = isinstance(event, Starts) or event.truncated[0] or (event.t[0] + 1) % every == 0
            seen.append(due and valid[0])
        knots = np.flatnonzero(seen)
        for lane in (0, 1):
            assert phi[knots, 0, lane].tolist() == phi[knots, 1, lane].tolist()
            line = np.interp(np.arange(len(phi)), knots, phi[knots, 0, lane])
            assert phi[:, 1, lane] == pytest.approx(line, abs=1e-12)
        before = phi[-1, 0]


@given(paths=PATHS, cuts=CUTS, every=st.integers(1, 6), gamma=st.floats(0.5, 1.0))
def test_interpolated_pay_telescopes_over_every_cut(paths, cuts, every, gamma) -> None:
    model = shaped(gamma, every=every, interpolate=True)
    total, t = 0.0, 0
    for events in rollout(paths, cuts):
        scores = iter(model.score_many(events))
        for event in events:
            if isinstance(event, Starts):
                total, t = 0.0, 0
                continue
            total += gamma**t * next(scores).reward[1]
            t += 1
            if event.truncated[1]:
                last = event.frame[1, 0, 0, 0, 0] / LEVELS
                assert total == pytest.approx(gamma**t * last, abs=1e-9)


def test_interpolation_is_paid_by_whoever_collects_and_held_elsewhere() -> None:
    def played(collected: bool) -> tuple[list[float], RewardEngine]:
        engine = RewardEngine(shaped(1.0, every=3, interpolate=True), 1)
        if collected:
            engine.collect()
        first = starts(0.0)
        engine.begin(engine.slots, None, first.info, first.frame)
        paid = []
        for t in range(6):
            step = steps(0.1 * (t + 1), t, truncated=t == 5)
            told = engine.advance(
                slot=engine.slots,
                action=None,
                next_obs=None,
                env_reward=step.env_reward,
                terminated=step.terminated,
                truncated=step.truncated,
                info=step.info,
                frame=step.frame,
            )
            paid.append(float(told.reward[0]))
        return paid, engine

    held, engine = played(collected=False)
    assert engine.reward.traits.when == "rollout"  # nobody had to write "deferred"
    assert held == pytest.approx([0, 0, 0.3, 0, 0, 0.3], abs=2e-3)
    at_once, engine = played(collected=True)
    assert at_once == [0.0] * 6
    assert [late.worth[0] for late in engine.late()] == pytest.approx([0.1] * 6, abs=2e-3)
    assert engine.pay.return_dense[0] == pytest.approx(0.6, abs=2e-3)


def test_step_by_step_an_interpolating_potential_is_held() -> None:
    model = potential(every=3, cap=False, fusion="forward", interpolate=True)
    model.value(starts(0.0))
    phis = [model.value(steps(0.1 * (t + 1), t)).phi[0] for t in range(4)]
    assert phis == pytest.approx([0.0, 0.0, 0.3, 0.3], abs=2e-3)


SPOILT = [*np.arange(1, 55) / 60]  # on the way to 0.9
BEHAVIOURS = {  # path, terminated, success; what is paid: see COLUMNS
    "finish in 60": (np.arange(1, 61) / 60, True, True, (0.553, 1.307, 1.307, 1.100, 0.553)),
    "finish in 200": (np.arange(1, 201) / 200, True, True, (0.135, 0.568, 0.568, 0.269, 0.135)),
    "linger": ([*SPOILT, *[0.9] * 446], False, False, (0.0, 0.698, 0.698, 0.006, 0.006)),
    "oscillate": ([*SPOILT, *[0.8, 0.9] * 223], False, False, (0.0, 0.669, 3.557, 0.006, 0.006)),
    "fail near the goal": (SPOILT, True, False, (0.0, 0.698, 0.698, 0.523, 0.0)),
}
COLUMNS = ("sparse", "additive", "positive", "raw", "shaped")


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_why_additive_gets_hacked(name) -> None:
    """What five behaviours earn when progress is paid in five ways; γ = 0.99."""
    path, terminated, success, expected = BEHAVIOURS[name]
    shaping = shaped(GAMMA)
    total = paid(shaping, path, terminated=terminated, success=success, gamma=GAMMA)
    phi = np.concatenate([[0.0], path])
    discount = GAMMA ** np.arange(len(path))
    gold = discount[-1] * success
    earned = {
        "sparse": gold,
        "additive": gold + discount @ np.diff(phi),
        "positive": gold + discount @ np.maximum(np.diff(phi), 0.0),
        "raw": gold + discount @ (GAMMA * phi[1:] - phi[:-1]),  # Φ kept at the end
        "shaped": total,
    }
    # Pictures hold 250 levels of Φ, so what the reward pays is less exact.
    assert list(earned.values()) == pytest.approx(expected, abs=2e-3)
    assert earned["raw"] - total == pytest.approx(
        terminated * GAMMA ** len(path) * phi[-1], abs=2e-3
    )


def test_the_unsafe_sum_pays_loitering_more_than_finishing() -> None:
    unsafe = AdditiveUnsafe(potential(cap=False, fusion="incremental"))
    loiter, finish = (
        paid(unsafe, path, terminated=success, success=success, gamma=GAMMA)
        for path, _, success, _ in (BEHAVIOURS["linger"], BEHAVIOURS["finish in 60"])
    )
    assert loiter > 2 * finish


def test_a_new_judge_waits_for_the_next_episode() -> None:
    model = potential(Reading(), fusion="incremental", cap=False)
    model.value(starts(0.0, slot=(0, 1)))
    model.use(Reading(shift=0.5))
    assert model.value(steps(0.2, 0, slot=(0, 1))).phi == pytest.approx([0.2, 0.2])
    model.value(starts(0.0, slot=(1,)))
    assert model.value(steps(0.2, 0, slot=(1,))).phi == pytest.approx([0.7])
    assert model.value(steps(0.4, 1, slot=(0,))).phi == pytest.approx([0.4])


def test_one_batch_per_view_over_all_lanes() -> None:
    judge = Reading()
    model = potential(judge, fusion="mean")
    model.value(starts(0.0, slot=(0, 1, 2)))
    model.value(steps(0.2, 0, slot=(0, 1, 2)))
    assert judge.batches == [3, 3, 3]


def test_the_cap_holds_progress_below_it_until_done() -> None:
    model = potential()
    model.value(starts(0.0))
    assert model.value(steps(0.96, 0)).phi == pytest.approx([0.9])
    assert model.value(steps(1.0, 1)).phi == pytest.approx([1.0])


def test_pictures_are_looked_at_when_due_and_at_the_end() -> None:
    model = potential(every=3, cap=False, fusion="forward")
    model.value(starts(0.0))
    phis = [model.value(steps(0.1 * (t + 1), t)).phi[0] for t in range(4)]
    phis.append(model.value(steps(0.5, 4, truncated=True)).phi[0])
    assert phis == pytest.approx([0.0, 0.0, 0.3, 0.3, 0.5], abs=2e-3)


def test_a_silent_judge_is_counted_and_pays_nothing() -> None:
    model = Shaped(potential(Reading(silent=range(LEVELS + 1))), gamma=GAMMA)
    model.begin(starts(0.0))
    scores = model.score(steps(0.5, 0))
    assert scores.reward.tolist() == [0.0]
    assert not scores.valid.any()


def test_bad_settings_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="incremental"):
        potential(fusion="incremntal")
    with pytest.raises(RewardError, match="every is at least 1"):
        potential(every=0)
    judge = Reading()
    judge.goal = None
    with pytest.raises(RewardError, match="goal"):
        potential(judge, fusion="backward")
    model = potential()
    with pytest.raises(RewardError, match="rendered none"):
        model.value(starts(0.0)._replace(frame=None))
