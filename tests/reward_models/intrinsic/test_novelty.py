import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from gymnasium import spaces

from densegym.errors import DenseGymError, UnknownNameError
from densegym.reward_models.intrinsic.novelty.e3b import E3B
from densegym.reward_models.intrinsic.novelty.features import SYMBOLS, features_of
from densegym.reward_models.intrinsic.novelty.rnd import RND, NovelD
from densegym.reward_models.spec import build_reward, label
from densegym.reward_models.types import Starts
from tests.reward_models.intrinsic.worlds import CARD, say

LANES = np.arange(3)
SPACE = spaces.Dict(
    {
        "chars_crop": spaces.Box(32, 127, (9, 9), np.uint8),
        "blstats": spaces.Box(0, 6, (27,), np.int64),
        "message": spaces.Box(0, 255, (256,), np.uint8),
    }
)
SPECS = {
    "rnd": "intrinsic/rnd",
    "noveld": "intrinsic/noveld",
    "e3b": "intrinsic/e3b",
    "product": "intrinsic/product",
    "sum": ["intrinsic/episodic-count", "intrinsic/rnd"],
}


def batch(rng, rows=3):
    return {
        "chars_crop": rng.integers(32, 127, (rows, 9, 9), dtype=np.uint8),
        "blstats": rng.integers(0, 6, (rows, 27)),
        "message": np.zeros((rows, 256), np.uint8),
    }


def step(model, obs, next_obs, action, lanes=LANES):
    silence = [()] * len(lanes)
    return say(model, silence, lanes=lanes, obs=obs, action=action, next_obs=next_obs)


def play(model, seed=0, steps=20, order=None):
    """Play a made-up stream; ``order`` permutes the lanes of every batch."""
    rng = np.random.default_rng(seed)
    rows = np.arange(3) if order is None else np.array(order)
    pick = lambda obs: {key: value[rows] for key, value in obs.items()}  # noqa: E731
    obs = batch(rng)
    model.begin(Starts(LANES[rows], pick(obs), [{"captions": ()}] * 3))
    paid = []
    for _ in range(steps):
        after, action = batch(rng), rng.integers(0, 8, 3)
        scores = step(model, pick(obs), pick(after), action[rows], LANES[rows])
        paid.append(scores.reward[np.argsort(rows)])
        obs = after
    return np.array(paid)


@pytest.mark.parametrize("name", SPECS)
def test_equal_models_agree_and_the_order_of_lanes_plays_no_part(name):
    made = [build_reward(SPECS[name], task=CARD, seed=4) for _ in range(3)]
    first = play(made[0])
    np.testing.assert_array_equal(first, play(made[1]))
    np.testing.assert_allclose(first, play(made[2], order=[2, 0, 1]), rtol=1e-3, atol=1e-5)
    assert np.isfinite(first).all()
    assert (first >= 0.0).all()
    assert first.max() > 0.0


@pytest.mark.parametrize("name", SPECS)
def test_a_checkpoint_goes_on_bit_for_bit(name):
    one = build_reward(SPECS[name], task=CARD)
    play(one, steps=13)
    other = build_reward(SPECS[name], task=CARD)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    rng = np.random.default_rng(7)
    for _ in range(10):
        obs, after, action = batch(rng), batch(rng), rng.integers(0, 8, 3)
        np.testing.assert_array_equal(
            step(one, obs, after, action).reward, step(other, obs, after, action).reward
        )


def test_the_matrix_is_the_inverse_of_the_codes_of_the_episode():
    model = E3B(normalize=False, codes="random", ridge=0.3)
    rng = np.random.default_rng(0)
    states = [batch(rng) for _ in range(6)]
    model.begin(Starts(LANES, states[0], [{}] * 3))
    codes = []
    for before, after in pairwise(states):
        codes.append(code(model, before))
        bonus = step(model, before, after, np.zeros(3, dtype=np.int64)).reward
        expected = [
            phi @ np.linalg.inv(0.3 * np.eye(64) + sum(np.outer(c[i], c[i]) for c in codes)) @ phi
            for i, phi in enumerate(code(model, after))
        ]
        np.testing.assert_allclose(bonus, expected, rtol=1e-6)


def code(model, obs):
    from densegym.reward_models.intrinsic.novelty.encoder import tensors

    with torch.no_grad():
        return model._modules["encoder"](*tensors(features_of(obs))).double().numpy()


def test_e3b_pays_less_for_what_the_episode_knows_and_anew_in_the_next():
    model = E3B(normalize=False, codes="random")
    rng = np.random.default_rng(0)
    start, there = batch(rng), batch(rng)
    action = np.zeros(3, dtype=np.int64)
    model.begin(Starts(LANES, start, [{}] * 3))
    first = step(model, start, there, action).reward
    again = step(model, there, there, action).reward
    assert (again < first).all()
    model.begin(Starts(LANES[:1], {k: v[:1] for k, v in start.items()}, [{}]))
    anew = step(model, start, there, action).reward
    assert anew[0] == pytest.approx(first[0])
    assert (anew[1:] < again[1:]).all()


def test_the_inverse_dynamics_loss_falls_where_the_action_shows():
    model = E3B(update_every=1, lr=1e-3)
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(150):
        obs, after = batch(rng), batch(rng)
        action = rng.integers(0, 4, 3)
        after["chars_crop"][:] = 40
        after["chars_crop"][:, 4, 4] = 60 + action
        model.begin(Starts(LANES, obs, [{}] * 3))
        step(model, obs, after, action)
        losses.append(model.metrics()["loss"])
    assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:20])


def test_rnd_fades_where_it_learns():
    model = RND(normalize=False, update_every=1, lr=1e-3)
    seen, new = batch(np.random.default_rng(0)), batch(np.random.default_rng(1))
    first = step(model, seen, seen, None).reward
    for _ in range(100):
        last = step(model, seen, seen, None).reward
    assert (last < 0.3 * first).all()
    assert (step(model, seen, new, None).reward > 2 * last).all()


def test_noveld_pays_first_visits_only_and_never_less_than_nothing():
    model = NovelD(normalize=False)
    rng = np.random.default_rng(0)
    start, there = batch(rng), batch(rng)
    model.begin(Starts(LANES, start, [{}] * 3))
    assert (step(model, start, there, None).reward > 0.0).all()
    assert step(model, there, there, None).reward.tolist() == [0.0] * 3
    assert step(model, there, start, None).reward.tolist() == [0.0] * 3


def test_unknown_symbols_whole_maps_and_other_worlds_have_features():
    glyphs = np.full((2, 21, 79), 2**15 - 1, dtype=np.int16)
    stats = np.zeros((2, 27), dtype=np.int64)
    stats[:, 0], stats[:, 1] = [0, 78], [0, 20]
    cut = features_of({"glyphs": glyphs, "blstats": stats})
    assert cut.symbols.shape == (2, 81)
    assert cut.symbols.max() < SYMBOLS
    assert (cut.symbols == 0).sum() == 2 * (81 - 25)  # what lies outside the map
    flat = features_of(np.array([[1e9, -3.0]]))
    assert flat.scalars.shape == (1, 2)
    assert np.isfinite(flat.scalars).all()
    with pytest.raises(DenseGymError, match="intrinsic/count"):
        features_of(["text"])


def test_continuous_actions_are_told_by_squared_error():
    model = E3B(update_every=1)
    obs = np.random.default_rng(0).normal(size=(3, 5))
    model.begin(Starts(LANES, obs, [{}] * 3))
    step(model, obs, obs + 1.0, np.ones((3, 2)))
    assert np.isfinite(model.metrics()["loss"])


def test_the_product_multiplies_what_its_parts_pay():
    spec = {
        "model": "intrinsic/product",
        "parts": ["intrinsic/episodic-count", {"model": "intrinsic/count", "scale": 3.0}],
        "scale": 1.0,
    }
    model = build_reward(spec, task=CARD)
    rng = np.random.default_rng(0)
    obs, after = batch(rng), batch(rng)
    model.begin(Starts(LANES, obs, [{}] * 3))
    scores = step(model, obs, after, None)
    count = scores.parts["count"]
    assert count.max() == 3.0
    np.testing.assert_allclose(scores.reward, scores.parts["episodic-count"] * count)
    assert "product" in label(spec, task=CARD)
    with pytest.raises(DenseGymError, match='option "parts"'):
        build_reward({"model": "intrinsic/product", "parts": "intrinsic/rnd"}, task=CARD)


def test_wrong_options_are_refused():
    for make in (lambda: E3B(ridge=0.0), lambda: RND(lr=0.0), lambda: NovelD(alpha=2.0)):
        with pytest.raises(DenseGymError):
            make()
    with pytest.raises(UnknownNameError, match="inverse"):
        E3B(codes="invers")
