import gzip
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from densegym.envs.shop.goals.fuzzy import alike
from densegym.envs.shop.goals.goals import Goal, build_goals, prices
from densegym.envs.shop.goals.nouns import nouns
from densegym.envs.shop.goals.option_rules import colours, strict_met, webshop_met
from densegym.envs.shop.goals.scoring import attribute_met, score, title_overlap, type_reward
from densegym.envs.shop.parity import Context, check_human_sessions, check_rewards
from densegym.envs.shop.store.catalogue import Product
from densegym.envs.shop.store.store import Store
from densegym.errors import UnknownNameError
from tests.envs.shop.factories import lamp, plain

RULES = ("strict", "webshop", "success")


def goal(product: Product, **changes: object) -> Goal:
    fields: dict[str, object] = {
        "id": 0,
        "asin": product.asin,
        "product": 0,
        "category": product.category,
        "query": product.query,
        "name": product.title,
        "chain": product.chain,
        "instruction": "",
        "attributes": product.attributes,
        "options": {},
        "price_upper": 50.0,
    }
    return Goal(**{**fields, **changes})  # type: ignore[arg-type]


def met(wanted: list[str], product: Product) -> int:
    return sum(attribute_met(attribute, product, exact=False) for attribute in wanted)


def test_attributes_of_the_originals_own_tests() -> None:
    wanted = ["tea tree", "essential oils", "natural ingredients"]
    listed = ("tea tree", "essential oil", "natural ingredients")
    assert met(wanted, plain("P", attributes=listed)) == 3
    assert met(wanted, plain("P", attributes=listed[1:])) == 2
    told = plain(
        "P",
        bullets=("This shampoo has essential oils and smells like lemons",),
        description="Best shampoo on the market, made with natural ingredients",
    )
    assert met(wanted, told) == 2
    assert met(wanted, plain("P", attributes=("tea bag", "earl gray", "lipton"))) == 0
    assert met(wanted, plain("P", title="TEA TREE")) == 1


@pytest.mark.parametrize(
    ("wanted", "chosen", "count"),
    [
        (("grey", "XL", "pack of 12"), ("pack of 12", "grey", "XL"), 3),
        (("grey", "XL", "pack of 12"), ("pack of 12", "blue", "XL"), 2),
        (("cool powder snow", "XL"), ("powder snow", "XL"), 2),
        ((), ("grey",), 0),
        (("grey",), (), 0),
        (("pink", "8"), ("z2-pink",), 1),
        (("pink", "8"), ("z2-pink", "8"), 2),
        ({"size": "8"}, ("size",), 1),
        ({"size": "8"}, ("8",), 1),
        ({"shape": "rectangular"}, ("rectangular",), 0),
        ({"color": "navy blue"}, ("navy blue",), 1),
        ({"color": "blue"}, ("navy blue",), 1),
        ({"size": "x"}, ("5 ounce (pack of 12)",), 0),
        ({"size": "5 ounce (pack of 1)"}, ("5 ounce (pack of 12)",), 1),
    ],
)
def test_options_of_the_original(wanted: object, chosen: tuple[str, ...], count: int) -> None:
    options = {str(place): value for place, value in enumerate(chosen)}
    assert sum(webshop_met(wanted, options)) == count  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("black forest", "black"),
        ("violet lavender", "lavender"),
        ("steelivy fuchsia", "fuchsia"),
        ("123alabaster", "alabaster"),
    ],
)
def test_the_original_takes_the_first_colour_by_alphabet(text: str, colour: str) -> None:
    assert webshop_met((colour,), {"color": text}) == (True,)
    others = (other for other in colours() if other not in text)
    assert not any(webshop_met((other,), {"color": text})[0] for other in others)
    assert colours() == tuple(sorted(set(colours())))
    assert len(colours()) == 102


@pytest.mark.parametrize(
    ("bought", "related"), [("abc", True), ("cba", True), ("aad", False), ("adb", True)]
)
def test_two_common_chain_elements_make_a_category_match(bought: str, related: bool) -> None:
    target = plain("T", title="Lamp", chain=tuple("abc"))
    product = plain("P", title="Lamp", chain=tuple(bought))
    for rule in RULES:
        assert score(goal(target), product, {}, 1.0, rule=rule).category_match is related  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("related", "title_score", "expected"),
    [
        (True, 1.0, 1.0),
        (True, 0.125, 1.0),
        (True, 0.1, 1.0),
        (True, 0.09, 0.1),
        (True, 0.0, 0.0),
        (False, 0.21, 1.0),
        (False, 0.2, 0.5),
        (False, 0.09, 0.1),
        (False, 0.0, 0.0),
    ],
)
def test_type_classes(related: bool, title_score: float, expected: float) -> None:
    assert type_reward(related, title_score) == expected


def test_whole_rewards_of_the_originals_own_tests() -> None:
    target = plain("T", title="Mineral shampoo", attributes=("tea tree",), options={"a": ("grey",)})
    wanted = goal(
        target,
        attributes=("tea tree", "essential oils", "natural ingredients"),
        options=("grey", "XL"),
    )
    letters = plain(
        "P",
        title="Mineral shampoo",
        bullets=tuple("This shampoo has essential oils and smells like lemons"),
        description="Best shampoo, made with natural ingredients",
    )
    options = {"color": "grey", "size": "XL"}
    assert score(wanted, letters, options, 10.0, rule="webshop").reward == pytest.approx(4 / 6)
    more = goal(target, attributes=wanted.attributes, options=("grey", "XL", "pack of 12"))
    assert score(more, letters, options, 10.0, rule="webshop").reward == pytest.approx(4 / 7)
    other = goal(
        target,
        attributes=wanted.attributes,
        options=more.options,
        query="x",
        name="a b c d mineral e",
    )
    outcome = score(other, letters, options, 10.0, rule="webshop")
    assert (outcome.r_type, outcome.reward) == (0.5, pytest.approx(2 / 7))
    exact = score(goal(target, options=("grey",)), target, {"color": "grey"}, 50.0, rule="webshop")
    assert exact.reward == 1.0


def test_nouns_by_rule() -> None:
    title = "New AT&T Women's Lamp, with 5.5 in 12x Lamp's & café-Lamp"
    assert nouns(title) == ("at&t", "women's", "lamp", "12x", "lamp's", "caf", "é", "lamp")
    assert nouns("the best 100 % soft") == ()
    assert title_overlap("Lamp Lamp Desk", "desk lamp", repeats=True) == 2 / 3
    assert title_overlap("Lamp Lamp Desk", "desk lamp", repeats=False) == 1.0
    assert title_overlap("the best", "the best", repeats=True) == 0.2


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("long lasting", "Long-Lasting!", True),
        ("essential oil", "essential oils", True),
        ("oil", "essential oils", False),
        ("tea tree", "tea tree oil", True),
        ("crème", "crme", True),
        ("★", "★", False),
        ("", "", False),
    ],
)
def test_fuzzy_phrases(first: str, second: str, expected: bool) -> None:
    assert alike(first, second) is alike(second, first) is expected


@pytest.mark.parametrize(
    ("wanted", "chosen", "expected"),
    [
        ("large", "xx-large", False),
        ("large", "large", True),
        ("12", "12.5", False),
        ("12", "12.0", True),
        ("rose gold", "gold", False),
        ("gold", "rose gold", True),
        ("tan", "rectangular", False),
        ("b-gray", "c-gray", False),
        ("b-grey", "b gray", True),
        ("5 ounce (pack of 1)", "5 oz (pack of 12)", False),
        ("5 ounce (pack of 12)", "5oz, pack of 12", True),
        ('16 "', "16 inches", True),
        ("16 in", "16 ft", False),
        ("a+", "a", False),
        ("★", "☆", False),
        ("★", "★", True),
        ("grey", "dark gray", True),
        ("8", "size", False),
        ("10²", "10 ²", True),
        ("10²", "10", False),
    ],
)
def test_strict_values(wanted: str, chosen: str, expected: bool) -> None:
    other = plain("P", options={"size": (chosen,)})
    assert strict_met({"size": wanted}, other, {"size": chosen}) == (expected,)
    assert strict_met((wanted,), other, {"size": chosen}) == (expected,)
    assert strict_met({"size": wanted}, other, {"style": chosen}) == (False,)
    assert strict_met({"size": wanted}, other, {}) == (False,)


def test_strict_takes_the_very_value_where_there_is_one() -> None:
    product = plain("P", options={"colour": ("red", "dark red", "grey", "gray")})
    for wanted, chosen in itertools.product(product.options["colour"], repeat=2):
        for options in ({"color": wanted}, {"colour": wanted}, (wanted,)):
            assert strict_met(options, product, {"colour": chosen}) == (wanted == chosen,)


def test_strict_takes_the_very_group_where_there_is_one() -> None:
    product = plain("P", options={"color": ("red",), "colour": ("red",), "★": ("red",)})
    assert strict_met({"color": "red"}, product, {"colour": "red"}) == (False,)
    assert strict_met({"colors": "red"}, product, {"colour": "red"}) == (True,)
    assert strict_met({"☆": "red"}, product, {"★": "red"}) == (False,)


VALUES = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4, unique=True).map(tuple)
OPTIONS = st.dictionaries(st.text(min_size=1, max_size=4), VALUES, min_size=1, max_size=3)
WANTED = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=4).map(tuple)


@given(st.text(max_size=30), WANTED, OPTIONS, st.data())
def test_the_target_earns_all_and_a_changed_option_less(
    title: str,
    attributes: tuple[str, ...],
    options: dict[str, tuple[str, ...]],
    data: st.DataObject,
) -> None:
    target = plain("T", title=title, attributes=attributes, options=options)
    chosen = {group: data.draw(st.sampled_from(values)) for group, values in options.items()}
    wanted = goal(target, options=chosen)
    for rule in ("strict", "success"):
        assert score(wanted, target, chosen, 50.0, rule=rule).reward == 1.0  # type: ignore[arg-type]
    assert score(wanted, target, chosen, 50.01).reward < 1.0
    group = data.draw(st.sampled_from(sorted(options)))
    rest = {name: value for name, value in chosen.items() if name != group}
    assert score(wanted, target, rest, 50.0).reward < 1.0
    others = [value for value in options[group] if value != chosen[group]]
    assume(others)
    changed = score(wanted, target, {**rest, group: others[0]}, 50.0)
    assert changed.reward < 1.0
    assert score(wanted, target, {**rest, group: others[0]}, 50.0, rule="success").reward == 0.0
    assert changed.options_met.count(False) == 1


def test_an_outcome_adds_up() -> None:
    target = lamp()
    wanted = goal(
        target, attributes=("easy clean", "bulletproof"), options={"color": "red", "size": "x"}
    )
    outcome = score(wanted, target, {"color": "red"}, 60.0)
    assert outcome.attributes_met == (True, False)
    assert outcome.options_met == (True, False)
    assert (outcome.r_att, outcome.r_option, outcome.r_price) == (0.5, 0.5, False)
    assert (outcome.w_att, outcome.w_option, outcome.w_price) == (0.4, 0.4, 0.2)
    assert outcome.reward == pytest.approx(0.4)
    assert not outcome.success
    bare = score(goal(target, attributes=(), options={}), target, {}, 1.0)
    assert (bare.r_att, bare.r_option, bare.reward, bare.success) == (1.0, None, 1.0, True)


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(UnknownNameError, match='Did you mean "strict"'):
        score(goal(lamp()), lamp(), {}, 1.0, rule="strickt")  # type: ignore[arg-type]


def test_rewards_are_the_originals(webshop: Path, webshop_store: Store) -> None:
    report = check_rewards(Context(webshop_store, webshop))
    assert report["failures"] == []
    assert report["cases"] == 250


def test_human_sessions_recombine(webshop: Path, webshop_store: Store) -> None:
    report = check_human_sessions(Context(webshop_store, webshop))
    assert report["failures"] == []
    assert report["cases"] == 9
    with gzip.open(webshop / "human_trajs_9.jsonl.gz", "rt") as lines:
        rewards = [json.loads(line)["steps"][-1]["reward"] for line in lines]
    assert rewards == pytest.approx([0.5, 0.5, 0.75, 1, 0.5, 2 / 3, 2 / 3, 1 / 3, 1], abs=1e-4)


def test_every_real_goal_can_be_met_strictly(webshop_store: Store) -> None:
    drawn = prices(webshop_store, parity=True)
    failed = {"webshop": 0, "strict": 0}
    wrong = 0
    for wanted in build_goals(webshop_store, style="synthetic", parity=True):
        target, price = webshop_store.product(wanted.product), float(drawn[wanted.product])
        assert isinstance(wanted.options, dict)
        for rule in failed:
            failed[rule] += not score(wanted, target, wanted.options, price, rule=rule).success  # type: ignore[arg-type]
        for group, values in target.options.items():
            other = values[values.index(wanted.options[group]) - 1]
            if other != wanted.options[group]:
                changed = {**wanted.options, group: other}
                wrong += score(wanted, target, changed, price).success
    assert failed == {"webshop": 458, "strict": 0}
    assert wrong == 0


def test_every_real_human_goal_can_be_met(webshop_store: Store) -> None:
    for wanted in build_goals(webshop_store, style="human"):
        target, price = webshop_store.product(wanted.product), webshop_store.price(wanted.product)
        choices = itertools.product(*target.options.values())
        assert any(
            score(wanted, target, dict(zip(target.options, choice, strict=True)), price).success
            for choice in choices
        )
