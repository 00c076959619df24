"""Hops become Φ: exact hops give back the truth, wrong ones never leave [0, 1]."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.reward_models.progress import accumulate
from densegym.reward_models.progress.judge import hop_between

PHIS = st.lists(st.floats(0.01, 0.99), min_size=2, max_size=30)
HOPS = st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=50)


@given(PHIS)
def test_exact_hops_give_back_the_progress(phis) -> None:
    truth = np.array([[0.0, *phis]]).T
    phi = truth[0]
    for before, after in itertools.pairwise(truth):
        phi = accumulate.incremental(phi, hop_between(before, after))
        assert phi == pytest.approx(after, abs=1e-12)


@given(PHIS)
def test_vlac_deltas_give_back_the_progress(phis) -> None:
    phi = np.zeros(1)
    for before, after in zip([0.0, *phis], phis, strict=False):
        phi = accumulate.vlac(phi, np.array([(after - before) / (1.0 - before)]))
        assert phi == pytest.approx(after, abs=1e-12)


@given(HOPS, st.sampled_from(["vlac", "vlac-mixed", "incremental", "mean", "consistency", "min"]))
def test_no_hop_leaves_the_unit_interval(hops, fusion) -> None:
    phi = np.zeros(1)
    for hop in hops:
        views = accumulate.VIEWS[fusion]
        said = {view: np.array([hop]) for view in views}
        heard = {view: np.array([True]) for view in views}
        phi, spoke = accumulate.fuse(fusion, phi, said, heard)
        assert spoke.all()
        assert 0.0 <= phi[0] <= 1.0


def test_consistency_follows_the_truth_and_freezes_where_anchors_disagree() -> None:
    phi = np.array([0.5])
    exact = accumulate.consistency(
        phi, np.array([0.2]), np.array([0.6]), np.array([-0.4]), epsilon=0.0
    )
    assert exact == pytest.approx(0.6)
    apart = accumulate.consistency(
        phi, np.array([0.2]), np.array([0.0]), np.array([0.0]), alpha=1e9
    )
    assert apart == pytest.approx(phi)


def test_the_mixed_rule_undoes_a_step_above_one_half() -> None:
    ahead = accumulate.vlac_mixed(np.array([0.6]), np.array([0.3]))
    back = accumulate.vlac_mixed(ahead, np.array([-0.3]))
    assert back == pytest.approx(0.6)
    # The original divides by zero here.
    assert accumulate.vlac_mixed(np.array([0.8]), np.array([-1.0])) == pytest.approx(0.1)


@pytest.mark.parametrize(("low", "high"), [(0.8, 0.9), (0.5, 0.6), (0.1, 0.2)])
def test_raw_hops_are_a_pump_above_one_half_and_accumulated_ones_are_not(low, high) -> None:
    up = hop_between(np.array([low]), np.array([high]))
    down = hop_between(np.array([high]), np.array([low]))
    assert (up + down)[0] == pytest.approx((high - low) * (1 / (1 - low) - 1 / high))
    assert ((up + down)[0] > 0) == (low + high > 1)
    phi = accumulate.incremental(accumulate.incremental(np.array([low]), up), down)
    assert phi == pytest.approx(low)


def test_silent_rows_keep_their_progress_and_means_use_who_spoke() -> None:
    phi = np.array([0.3, 0.3])
    said = {
        "step": np.array([1.0, 0.0]),
        "start": np.array([0.8, 0.8]),
        "goal": np.array([0.0, 0.0]),
    }
    heard = {
        "step": np.array([False, False]),
        "start": np.array([True, False]),
        "goal": np.array([False, False]),
    }
    fused, spoke = accumulate.fuse("mean", phi, said, heard)
    assert fused.tolist() == [0.8, 0.3]
    assert spoke.tolist() == [True, False]
