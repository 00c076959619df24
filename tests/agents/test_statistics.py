import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from densegym.agents import statistics
from densegym.errors import DenseGymError

SCORES = arrays(
    np.float64, st.tuples(st.integers(1, 9), st.integers(1, 4)), elements=st.floats(-1e3, 1e3)
)


@given(SCORES)
def test_the_iqm_is_scipys_trimmed_mean(scores) -> None:
    expected = scipy.stats.trim_mean(scores, 0.25, axis=None)
    assert statistics.iqm(scores) == pytest.approx(expected, abs=1e-9)


def test_the_iqm_by_hand() -> None:
    assert statistics.iqm(np.array([0.0, 1.0, 2.0, 9.0])) == 1.5
    assert statistics.iqm(np.array([0.0, 0.0, 3.0])) == 1.0  # three runs: nothing to trim


@given(SCORES, st.integers(0, 99))
def test_intervals_are_reproducible_and_inside_the_data(scores, seed) -> None:
    def draw():
        return statistics.interval(scores, rng=np.random.default_rng(seed), repetitions=200)

    low, high = draw()
    assert (low, high) == draw()
    assert scores.min() - 1e-9 <= low <= high <= scores.max() + 1e-9


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        low, high = statistics.interval(
            rng.normal(size=40), rng=rng, statistic="mean", repetitions=300
        )
        hits += low <= 0.0 <= high
    assert 0.90 <= hits / 300 <= 0.98


def test_strata_keep_their_sizes() -> None:
    ragged = [np.zeros(5), np.full(2, 10.0)]
    low, high = statistics.interval(ragged, rng=np.random.default_rng(0), statistic="mean")
    assert low == high == pytest.approx(20 / 7)


def test_wilson_against_scipy() -> None:
    for successes, trials in ((0, 5), (3, 7), (20, 20), (50, 100)):
        expected = scipy.stats.binomtest(successes, trials).proportion_ci(method="wilson")
        assert statistics.wilson(successes, trials) == pytest.approx((expected.low, expected.high))


def test_profiles_gaps_and_improvement() -> None:
    scores = np.array([0.0, 0.5, 1.0, 2.0])
    assert statistics.performance_profile(scores, np.array([-1, 0, 0.5, 3])).tolist() == [
        1,
        0.75,
        0.5,
        0,
    ]
    assert statistics.optimality_gap(scores) == pytest.approx(1 - 2.5 / 4)
    assert statistics.probability_of_improvement(scores, scores) == 0.5
    a, b = np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0])
    u = scipy.stats.mannwhitneyu(a, b).statistic
    assert statistics.probability_of_improvement(a, b) == pytest.approx(u / 6)


def test_paired_differences_use_the_pairing() -> None:
    base = np.array([0.0, 10.0, 20.0, 30.0])
    difference, low, high = statistics.paired_difference(
        base + 1.0, base, rng=np.random.default_rng(0)
    )
    assert difference == low == high == pytest.approx(1.0)
    with pytest.raises(DenseGymError, match="equal seeds"):
        statistics.paired_difference(base, base[:2], rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("times", "reached", "median"),
    [
        ([10, 20, 30], [True, True, True], 20),
        ([10, 99, 99], [True, False, False], None),
        ([10, 20, 99], [True, True, False], 20),
        ([5, 10, 20, 30], [False, True, True, True], 20),
        ([7], [True], 7),
    ],
)
def test_kaplan_meier_medians(times, reached, median) -> None:
    assert statistics.kaplan_meier_median(times, reached) == median


@pytest.mark.parametrize("bad", [np.array([]), np.array([1.0, np.nan]), np.array([np.inf])])
def test_empty_and_non_finite_scores_are_errors(bad) -> None:
    with pytest.raises(DenseGymError, match=r"empty|non-finite"):
        statistics.iqm(bad)
    with pytest.raises(DenseGymError, match=r"empty|non-finite"):
        statistics.interval(bad, rng=np.random.default_rng(0))
    with pytest.raises(DenseGymError, match="make no rate"):
        statistics.wilson(3, 2)
