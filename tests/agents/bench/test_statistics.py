"""Statistics against hand-worked numbers, SciPy, and the laws they must obey."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from densegym.agents.bench import statistics
from densegym.errors import DenseGymError, UnknownNameError

numbers = st.floats(-1e3, 1e3, allow_subnormal=False)
runs = hnp.arrays(np.float64, st.integers(1, 12), elements=numbers)
tables = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=numbers
)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@given(scores=st.one_of(runs, tables))
def test_iqm_is_scipys_trimmed_mean_of_all_runs(scores) -> None:
    expected = stats.trim_mean(scores, 0.25, axis=None)
    assert statistics.iqm(scores) == pytest.approx(expected, abs=1e-9)


@given(scores=runs, shift=st.floats(-100, 100), scale=st.floats(0.1, 10))
def test_iqm_moves_with_the_scores_and_ignores_their_order(scores, shift, scale) -> None:
    moved = statistics.iqm(scores[::-1] * scale + shift)
    assert moved == pytest.approx(statistics.iqm(scores) * scale + shift, abs=1e-6)


def test_iqm_of_three_runs_is_their_mean_and_of_four_drops_both_ends() -> None:
    assert statistics.iqm([0.0, 0.0, 9.0]) == 3.0
    assert statistics.iqm([0.0, 1.0, 2.0, 900.0]) == 1.5
    assert statistics.iqm([np.array([0.0, 1.0]), np.array([2.0, 900.0])]) == 1.5


def test_mean_and_median_of_task_means_on_unequal_tasks() -> None:
    scores = [np.array([0.0, 2.0]), np.array([5.0]), np.array([10.0, 20.0, 30.0])]
    assert statistics.mean(scores) == pytest.approx(67 / 6)
    assert statistics.median(scores) == 5.0


def test_optimality_gap_lets_no_surplus_make_up_for_a_shortfall() -> None:
    assert statistics.optimality_gap(np.array([[0.5, 3.0], [1.0, 0.0]])) == pytest.approx(1.5 / 4)
    assert statistics.optimality_gap([1.0, 2.0], target=4.0) == 2.5


@given(scores=st.one_of(runs, tables), name=st.sampled_from(["iqm", "mean", "median"]))
def test_an_interval_lies_within_the_runs_and_repeats_under_its_generator(scores, name) -> None:
    low, high = statistics.interval(scores, rng=rng(), statistic=name, repetitions=200)
    assert scores.min() - 1e-9 <= low <= high <= scores.max() + 1e-9
    again = statistics.interval(scores, rng=rng(), statistic=name, repetitions=200)
    assert (low, high) == again


def test_the_interval_of_a_mean_is_scipys_percentile_bootstrap() -> None:
    scores = rng().normal(size=30)
    ours = statistics.interval(scores, rng=rng(), statistic="mean", repetitions=20_000)
    theirs = stats.bootstrap(
        (scores,), np.mean, n_resamples=20_000, method="percentile", rng=rng()
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_runs_are_redrawn_within_their_task_only() -> None:
    # Every task is constant, so no stratified resample can differ from the sample.
    far = [np.zeros(3), np.full(5, 100.0)]
    for name, value in (("mean", 62.5), ("median", 50.0)):
        assert statistics.interval(far, rng=rng(), statistic=name) == (value, value)
    pooled = statistics.interval(np.concatenate(far), rng=rng(), statistic="mean")
    assert pooled[0] < 62.5 < pooled[1]


def test_a_wider_level_gives_a_wider_interval() -> None:
    scores = rng().normal(size=9)
    narrow = statistics.interval(scores, rng=rng(), level=0.5)
    wide = statistics.interval(scores, rng=rng(), level=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    draws = np.random.default_rng(1).normal(size=(400, 40))
    covered = [
        low <= 0.0 <= high
        for low, high in (
            statistics.interval(d, rng=rng(), statistic="mean", repetitions=400) for d in draws
        )
    ]
    assert 0.90 < np.mean(covered) < 0.98


@given(successes=st.integers(0, 50), more=st.integers(0, 50))
def test_wilson_is_scipys(successes, more) -> None:
    trials = successes + more + 1
    expected = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    assert statistics.wilson(successes, trials) == pytest.approx(tuple(expected), abs=1e-9)


@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (3, 2), (-1, 4), (float("nan"), 4)])
def test_wilson_refuses_what_is_no_rate(successes, trials) -> None:
    with pytest.raises(DenseGymError, match="make no rate"):
        statistics.wilson(successes, trials)


def test_a_performance_profile_counts_runs_strictly_above() -> None:
    scores = [np.array([0.0, 0.5]), np.array([1.0, 0.5])]
    profile = statistics.performance_profile(scores, np.array([-1.0, 0.0, 0.5, 1.0]))
    assert profile.tolist() == [1.0, 0.75, 0.25, 0.0]


ties = hnp.arrays(np.float64, st.integers(1, 9), elements=st.integers(0, 4).map(float))


@given(a=ties, b=ties)
def test_probability_of_improvement_is_mann_whitneys_u(a, b) -> None:
    u = stats.mannwhitneyu(a, b, method="asymptotic").statistic if np.ptp([*a, *b]) else None
    expected = 0.5 if u is None else u / (len(a) * len(b))
    assert statistics.probability_of_improvement(a, b) == pytest.approx(expected)
    both = statistics.probability_of_improvement(a, b) + statistics.probability_of_improvement(b, a)
    assert both == pytest.approx(1.0)


def test_probability_of_improvement_averages_tasks_of_unequal_size() -> None:
    ours = [np.array([1.0, 1.0, 1.0]), np.array([0.0])]
    theirs = [np.array([0.0]), np.array([0.0, 0.0])]
    assert statistics.probability_of_improvement(ours, theirs) == 0.75
    with pytest.raises(DenseGymError, match="same tasks; given 2 and 1"):
        statistics.probability_of_improvement(ours, theirs[:1])


def test_a_paired_difference_is_certain_where_every_seed_gains_the_same() -> None:
    base = rng().normal(size=10) * 100
    middle, low, high = statistics.paired_difference(base + 1.0, base, rng=rng())
    assert (middle, low, high) == pytest.approx((1.0, 1.0, 1.0))
    # Against shuffled partners the same runs are far from certain.
    assert statistics.paired_difference(base + 1.0, base[::-1], rng=rng())[1] < -10
    with pytest.raises(DenseGymError, match="equal seeds"):
        statistics.paired_difference(base, base[1:], rng=rng())


@pytest.mark.parametrize(
    ("times", "reached", "expected"),
    [
        ([3, 1, 2], [True, True, True], 2.0),
        ([1, 2, 3, 4], [True, True, True, True], 2.0),
        ([9, 9, 1], [False, False, True], None),
        ([1, 5, 9], [True, True, False], 5.0),
        # The run lost at 2 leaves the risk set, so one event at 3 of the two left halves survival.
        ([2, 3, 4], [False, True, True], 3.0),
        ([7], [True], 7.0),
        ([7], [False], None),
    ],
)
def test_kaplan_meier_median_by_hand(times, reached, expected) -> None:
    assert statistics.kaplan_meier_median(times, reached) == expected


@given(data=st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=12))
def test_kaplan_meier_median_is_where_scipys_survival_falls_to_a_half(data) -> None:
    times, reached = [t for t, _ in data], [r for _, r in data]
    sample = stats.CensoredData.right_censored(times, [not r for r in reached])
    survival = stats.ecdf(sample).sf
    fallen = survival.quantiles[survival.probabilities <= 0.5 + 1e-9]
    # A curve that ends at a censored time has not fallen there.
    events = [t for t in fallen if t in [t for t, r in data if r]]
    assert statistics.kaplan_meier_median(times, reached) == (events[0] if events else None)


@pytest.mark.parametrize("function", [statistics.iqm, statistics.mean, statistics.median])
@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ([], "empty"),
        (np.empty((0, 3)), "empty"),
        ([np.array([1.0]), np.array([])], "empty"),
        ([1.0, float("nan")], "1 non-finite"),
        (np.array([[1.0, np.inf]]), "1 non-finite"),
        (np.zeros((2, 2, 2)), r"shape \(2, 2, 2\)"),
        (np.array(1.0), r"shape \(\)"),
    ],
)
def test_scores_that_mean_nothing_are_refused(function, scores, says) -> None:
    with pytest.raises(DenseGymError, match=says):
        function(scores)
    with pytest.raises(DenseGymError, match=says):
        statistics.interval(scores, rng=rng())


def test_wrong_requests_say_what_was_given() -> None:
    with pytest.raises(UnknownNameError, match='Did you mean "median"'):
        statistics.interval([1.0], rng=rng(), statistic="medain")
    with pytest.raises(DenseGymError, match=r"given 0 and 0\.95"):
        statistics.interval([1.0], rng=rng(), repetitions=0)
    with pytest.raises(DenseGymError, match="given 2000 and 95"):
        statistics.interval([1.0], rng=rng(), level=95)
    with pytest.raises(DenseGymError, match="no runs"):
        statistics.kaplan_meier_median([], [])
    with pytest.raises(DenseGymError, match="2 times and 1 events"):
        statistics.kaplan_meier_median([1, 2], [True])
