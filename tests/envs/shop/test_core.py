"""The state machine: transitions, refusals, branching; the same for every front end."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.envs.shop.goals.goals import build_goals
from densegym.envs.shop.session.actions import MAX_ACTION, parse
from densegym.envs.shop.session.core import Rules, Shop, ShopCore
from densegym.envs.shop.session.state import State
from densegym.envs.shop.store.store import Store
from densegym.errors import DenseGymError
from tests.envs.shop.factories import built, lamp, plain


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder: Path = tmp_path_factory.mktemp("lamps") / "store"
    twins = lamp(99, options={"top": ("red", "blue"), "base": ("red", "oak")}, human=())
    return built(folder, *(lamp(n) for n in range(23)), twins, plain("BARE", title="Bare Lamp"))


@pytest.fixture
def core(store: Store) -> ShopCore:
    return begun(store)


def begun(store: Store, **rules: object) -> ShopCore:
    core = ShopCore(Shop(store, Rules(**rules)))  # type: ignore[arg-type]
    core.begin(build_goals(store, style="synthetic")[0])
    return core


def walk(core: ShopCore, *actions: str) -> list[str]:
    return [core.act(action).invalid for action in actions]


@pytest.mark.parametrize(
    ("text", "friendly", "original"),
    [
        ("search[Red  Shoes]", ("search", "red shoes"), ("search", "red  shoes")),
        (" CLICK[ Buy Now ] ", ("click", "buy now"), ("", "")),
        ("search[a[b]]", ("search", "a[b]"), ("", "")),
        ("think[hm]", ("", ""), ("", "")),
        ("search[]", ("search", ""), ("", "")),
        ("click", ("", ""), ("", "")),
        ("search[x] now", ("", ""), ("search", "x")),
        ("", ("", ""), ("", "")),
    ],
)
def test_actions_are_read_kindly_or_as_the_original_does(text, friendly, original):
    assert parse(text) == friendly
    assert parse(text, original=True) == original


@given(st.text(max_size=40))
def test_no_string_breaks_the_parser(text):
    assert parse(text).verb in ("", "search", "click")
    assert parse(text, original=True).verb in ("", "search", "click")


def test_a_megabyte_is_no_action():
    assert parse(f"search[{'a' * 1_000_000}]") == ("", "")
    assert len(parse(f"search[{'a' * 400}]").argument) < MAX_ACTION


def test_pages_follow_each_other(core):
    assert walk(core, "search[lamp]", "click[next >]", "click[next >]") == [""] * 3
    assert core.state.number == 3
    assert len(core.view.shown) == 5
    assert walk(core, "click[next >]") == [""]
    assert core.view.shown == ()  # past the last page, as in the original
    assert core.view.total == 25
    assert walk(core, "click[< prev]", "click[< prev]") == [""] * 2
    asin = core.view.clickables[3]
    assert walk(core, f"click[{asin}]", "click[features]", "click[< prev]") == [""] * 3
    assert (core.state.page, core.state.number) == ("item", 2)
    assert walk(core, "click[< prev]") == [""]
    assert (core.state.page, core.state.number, core.state.product) == ("results", 2, -1)
    assert walk(core, "click[back to search]") == [""]
    assert core.state == State(steps=11)


def test_options_are_radio_buttons_and_left_behind_with_the_product(core):
    walk(core, "search[lamp]", "click[l0004]", "click[red]", "click[8 oz]", "click[navy]")
    assert core.state.options == (("color", "navy"), ("size", "8 oz"))
    walk(core, "click[features]", "click[< prev]")
    assert core.state.options == (("color", "navy"), ("size", "8 oz"))
    walk(core, "click[< prev]", "click[l0004]")
    assert core.state.options == ()


def test_products_and_options_have_other_names(core):
    walk(core, "search[brass lamp 4]")
    first = core.view.shown[0]
    title = core.shop.store.product(first).title
    assert walk(core.copy(), "click[#1]", "click[color: navy]") == ["", ""]
    assert walk(core, f"click[{title.upper()}]") == [""]
    assert core.state.product == first


@pytest.mark.parametrize(("original", "target"), [(False, "base: red"), (True, "red")])
def test_values_that_collide_stay_apart_unless_the_original_is_asked_for(store, original, target):
    core = begun(store, original=original)
    walk(core, "search[lamp 99]", "click[l0099]", f"click[{target}]")
    assert core.state.options == (("base", "red"),)
    assert ("base: red" in core.view.clickables) != original


def test_refusals_change_nothing_but_the_clock(core):
    assert walk(core, "nonsense", "search[ ]", "click[buy now]", "click[search]") == [
        "syntax",
        "empty_query",
        "unknown_target",
        "unknown_target",
    ]
    assert core.state == State(steps=4)
    assert walk(core, "search[lamp]", "search[oak]") == ["", "no_search_here"]
    assert core.state.query == "lamp"


def test_the_original_searches_from_anywhere(store):
    core = begun(store, original=True)
    assert walk(core, "search[lamp]", "click[l0003]", "search[bare]") == ["", "", ""]
    assert (core.state.page, core.state.query, core.state.options) == ("results", "bare", ())


def test_buying_ends_the_episode_and_pays_once(core):
    goal = core.goal
    walk(core, f"search[{goal.name}]", f"click[{goal.asin}]")
    for group, value in dict(goal.options).items():
        core.act(f"click[{group}: {value}]")
    assert core.potential() == core.copy().act("click[buy now]").reward == 1.0
    done = core.act("click[buy now]")
    assert (done.reward, done.terminated) == (1.0, True)
    assert core.outcome.success
    assert core.valid_actions() == []
    with pytest.raises(DenseGymError, match="over"):
        core.act("click[back to search]")


@given(seed=st.integers(0, 10_000))
def test_every_valid_action_is_carried_out_and_branches_are_free(store, seed):
    """From any point a copy and a restored shopper do what the shopper does."""
    rng, core = random.Random(seed), begun(store)
    for _ in range(12):
        action = rng.choice(core.valid_actions())
        twin, restored = core.copy(), ShopCore(core.shop)
        restored.load_state_dict(core.state_dict(), core.goal)
        done = core.act(action)
        assert done.invalid == ""
        assert twin.act(action) == restored.act(action) == done
        assert core.state == twin.state == restored.state
        assert 0.0 <= core.potential() <= 1.0
        if core.over:
            return


def test_the_potential_rises_on_the_way_to_the_target(core):
    goal, seen = core.goal, [core.potential()]
    core.act(f"search[{goal.name}]")
    seen.append(core.potential())
    core.act(f"click[{goal.asin}]")
    seen.append(core.potential())
    for group, value in dict(goal.options).items():
        core.act(f"click[{group}: {value}]")
        seen.append(core.potential())
    assert seen == sorted(seen)
    assert seen[0] == 0.0
    assert seen[-1] == 1.0


def test_states_from_elsewhere_are_refused(core, store):
    with pytest.raises(DenseGymError, match="of goal"):
        core.load_state_dict({"goal": -5, "state": {}}, core.goal)
    with pytest.raises(DenseGymError, match="no state"):
        core.load_state_dict({"goal": core.goal.id, "state": {"page": "index"}}, core.goal)
    values = core.state_dict()
    values["state"]["page"] = "casino"
    with pytest.raises(DenseGymError, match='no page "casino"'):
        core.load_state_dict(values, core.goal)
    with pytest.raises(DenseGymError, match="no episode has begun"):
        ShopCore(Shop(store)).act("search[x]")
