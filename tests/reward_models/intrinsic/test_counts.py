import numpy as np
import pytest
from gymnasium import spaces

from densegym.errors import UnknownNameError
from densegym.reward_models.checks import check_reward_model
from densegym.reward_models.intrinsic.novelty.counts import EpisodicCount, GlobalCount
from densegym.reward_models.spec import build_reward
from tests.reward_models.intrinsic.worlds import CARD, begin, say

STATS = spaces.Box(0, 2, (27,), np.int64)
WORLD = spaces.Dict({"blstats": STATS, "message": spaces.Box(0, 1, (4,), np.uint8)})
ACT = spaces.Discrete(3)


def at(*places):
    """Return a batch of observations of agents at (x, y, depth)."""
    stats = np.zeros((len(places), 27), dtype=np.int64)
    stats[:, [0, 1, 12]] = places
    return {"blstats": stats}


def silent(rng):
    return {"captions": ("It's a wall.",) if rng.random() < 0.5 else ()}


@pytest.mark.parametrize("key", ["position", "message", "obs", "captions"])
@pytest.mark.parametrize("kind", ["first", "sqrt"])
def test_contract(key, kind):
    spec = {"model": "intrinsic/episodic-count", "key": key, "kind": kind}
    check_reward_model(lambda: build_reward(spec, task=CARD), WORLD, ACT, info=silent)


def test_worlds_without_dictionaries_count_whole_observations():
    spec = {"model": "intrinsic/episodic-count", "key": "obs"}
    check_reward_model(lambda: build_reward(spec, task=CARD), spaces.Discrete(3), ACT)


def test_the_first_visit_of_the_episode_pays_and_depth_tells_places_apart():
    model = EpisodicCount()
    begin(model, [0], obs=at((1, 1, 1)))
    walk = [(1, 1, 1), (2, 1, 1), (2, 1, 2), (2, 1, 1)]
    paid = [say(model, [[]], next_obs=at(place)).reward[0] for place in walk]
    assert paid == [0.0, 1.0, 1.0, 0.0]  # the start is known


def test_the_square_root_pays_less_each_time():
    model = EpisodicCount(kind="sqrt")
    begin(model, [0], obs=at((1, 1, 1)))
    paid = [say(model, [[]], next_obs=at((2, 1, 1))).reward[0] for _ in range(4)]
    np.testing.assert_allclose(paid, [1, 2**-0.5, 3**-0.5, 0.5])


def test_lanes_count_together_whatever_their_order():
    places = [(1, 1, 1), (2, 1, 1), (1, 1, 1)]
    one, other = GlobalCount(), GlobalCount()
    first = say(one, [[]] * 3, next_obs=at(*places)).reward
    turned = say(other, [[]] * 3, next_obs=at(*places[::-1])).reward
    np.testing.assert_allclose(first, [2**-0.5, 1, 2**-0.5])
    np.testing.assert_array_equal(first, turned[::-1])
    again = GlobalCount()
    again.load_state_dict(one.state_dict())
    next_one = say(again, [[]], next_obs=at((1, 1, 1))).reward
    np.testing.assert_allclose(next_one, [3**-0.5])
    assert again.metrics() == {"states": 2.0}


def test_an_entry_that_is_not_there_is_named():
    model = GlobalCount(key="glyphs")
    with pytest.raises(UnknownNameError, match="glyphs"):
        say(model, [[]], next_obs=at((1, 1, 1)))
