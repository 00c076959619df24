from collections import Counter
from pathlib import Path

import pytest

from densegym.envs.shop.goals.caps import NO_CAP
from densegym.envs.shop.goals.goals import Goal, build_goals, from_original, prices, split
from densegym.envs.shop.parity import Context, check_goals
from densegym.envs.shop.store.store import Store
from densegym.errors import DenseGymError, UnknownNameError
from tests.envs.shop.factories import built, lamp, plain


def texts(goals: tuple[Goal, ...]) -> list[str]:
    return sorted(goal.instruction for goal in goals)


def test_synthetic_goals_are_every_choice_of_options(tmp_path: Path) -> None:
    options = {"size": ("8", "9"), "color": ("red", "navy")}
    store = built(tmp_path / "s", lamp(options=options, prices=(2_000.0,)), plain("P"))
    goals = build_goals(store, style="synthetic")
    assert [goal.id for goal in goals] == [0, 1, 2, 3]
    assert texts(goals) == [
        f"Find me easy clean lamps with color: {color}, and size: {size}"
        for color in ("navy", "red")
        for size in ("8", "9")
    ]
    for goal in goals:
        assert list(goal.options) == ["color", "size"]
        assert goal.attributes == ("easy clean",)
        assert (goal.price_upper, goal.weight, goal.product) == (NO_CAP, 0.25, 0)
        assert goal.chain == ("Home", "Lighting", "Lamps")


def test_without_options_there_is_one_goal(tmp_path: Path) -> None:
    store = built(tmp_path / "s", lamp(options={}, prices=(985.0,)))
    (goal,) = build_goals(store, style="synthetic")
    assert goal.instruction == "Find me easy clean lamps"
    assert goal.options == {}
    store = built(tmp_path / "s", lamp(options={}, prices=(975.0,)))
    (goal,) = build_goals(store, style="synthetic")
    assert goal.instruction == "Find me easy clean lamps, and price lower than 990.00 dollars"
    assert goal.price_upper == 990.0


def test_human_goals_come_first_and_lose_their_dots(tmp_path: Path) -> None:
    store = built(tmp_path / "s", lamp(prices=(5_000.0,)), plain("P"))
    (goal,) = build_goals(store)
    assert goal.style == "human"
    assert goal.instruction == "i want a red lamp"
    assert goal.options == ("red",)
    assert goal.weight == 1.0


def test_caps_are_the_larger_of_two_of_the_next_four_tens(tmp_path: Path) -> None:
    products = [lamp(n, options={}, prices=(20.0,)) for n in range(300)]
    goals = build_goals(built(tmp_path / "s", *products), style="synthetic")
    counts = Counter(goal.price_upper for goal in goals)
    assert sorted(counts) == [40.0, 50.0, 60.0]
    assert counts[40.0] < counts[50.0] < counts[60.0]
    for goal in goals:
        assert goal.instruction.endswith(f", and price lower than {goal.price_upper:.2f} dollars")


def test_caps_belong_to_seed_and_asin_not_to_order(tmp_path: Path) -> None:
    def caps(name: str, *numbers: int, seed: int = 0) -> dict[str, float]:
        store = built(tmp_path / name, *(lamp(n, options={}) for n in numbers), seed=seed)
        return {goal.asin: goal.price_upper for goal in build_goals(store, style="synthetic")}

    few = caps("few", 5, 3, 1)
    many = caps("many", *range(40))
    assert few.items() <= many.items()
    assert many != caps("other", *range(40), seed=9)


def test_every_choice_is_affordable_where_variants_have_prices(tmp_path: Path) -> None:
    product = lamp(prices=(15.0, 400.0), surcharges={"size": {"12 inch": 300.0}})
    store = built(tmp_path / "s", product)
    for goal in build_goals(store, style="synthetic"):
        assert isinstance(goal.options, dict)
        cost = product.price_with(goal.options, store.price(0))
        assert cost == (315.0 if goal.options["size"] == "12 inch" else 15.0)
        assert cost < goal.price_upper < cost + 50


def test_weights_are_rarer_attributes(tmp_path: Path) -> None:
    store = built(
        tmp_path / "s",
        lamp(1, options={}, instruction_attributes=("a", "b")),
        lamp(2, options={}, instruction_attributes=("a",)),
        lamp(3, options={}, instruction_attributes=()),
    )
    goals = build_goals(store, style="synthetic")
    assert {goal.asin: goal.weight for goal in goals} == {"L0001": 0.75, "L0002": 0.5}


def test_a_shop_without_goals_says_so(tmp_path: Path) -> None:
    store = built(tmp_path / "s", plain("P"))
    for style in ("auto", "human", "synthetic"):
        with pytest.raises(DenseGymError, match=r"no (human|synthetic) goal among 1 products"):
            build_goals(store, style=style)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return built(tmp_path_factory.mktemp("many") / "s", *(lamp(n) for n in range(400)))


def test_parts_share_no_product_and_no_product_has_over_five_goals(many: Store) -> None:
    goals = build_goals(many, style="synthetic")
    parts = {part: split(goals, part=part) for part in ("train", "dev", "test")}  # type: ignore[arg-type]
    asins = {part: {goal.asin for goal in kept} for part, kept in parts.items()}
    assert not asins["train"] & asins["dev"]
    assert not asins["test"] & (asins["train"] | asins["dev"])
    assert len(asins["train"] | asins["dev"] | asins["test"]) == 400
    shares = [len(asins[part]) / 400 for part in ("train", "dev", "test")]
    assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.06)
    together = [goal for kept in parts.values() for goal in kept]
    assert set(Counter(goal.asin for goal in together).values()) == {5}
    assert sorted(goal.id for goal in together) == [goal.id for goal in split(goals)]
    assert len({str(goal.options) for goal in together}) == 6


def test_a_products_part_does_not_depend_on_the_others(many: Store, tmp_path: Path) -> None:
    train = {goal.asin for goal in split(build_goals(many, style="synthetic"), part="train")}
    few = build_goals(built(tmp_path / "s", *(lamp(n) for n in range(9))), style="synthetic")
    kept = {goal.asin for goal in split(few, part="train")}
    assert kept == {f"L{n:04d}" for n in range(9)} & train


def test_original_parts_go_by_place(many: Store) -> None:
    goals = build_goals(many, style="synthetic")
    sizes = [len(split(goals, rule="original", part=p)) for p in ("test", "dev", "train", "all")]  # type: ignore[arg-type]
    assert sizes == [500, 1_000, 900, 2_400]
    assert split(goals, rule="original", part="dev")[0].id == 500


def test_unknown_parts_and_rules_are_refused(many: Store) -> None:
    with pytest.raises(UnknownNameError, match='Did you mean "train"'):
        split((), part="trian")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="goal style"):
        build_goals(many, style="humane")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="split rule"):
        split((), rule="asin")  # type: ignore[arg-type]


def test_few_goals_of_a_product_can_be_asked_for(many: Store) -> None:
    goals = build_goals(many, style="synthetic", per_product=2)
    assert set(Counter(goal.asin for goal in goals).values()) == {2}
    assert [goal.id for goal in goals] == list(range(800))
    assert build_goals(many, style="synthetic", per_product=2) == goals
    assert len({str(goal.options) for goal in goals}) == 6


def test_goals_and_ids_are_the_same_in_parity(many: Store) -> None:
    here, there = (build_goals(many, style="synthetic", parity=p) for p in (False, True))
    assert [(g.id, g.asin, g.options) for g in here] == [(g.id, g.asin, g.options) for g in there]
    assert [g.price_upper for g in here] != [g.price_upper for g in there]


def test_goals_of_the_original_are_read() -> None:
    record = {
        "asin": "A",
        "category": "garden",
        "query": "q",
        "name": "Lamp",
        "product_category": "Home \u203a Lamps",
        "instruction_text": "Find",
        "attributes": ["x"],
        "price_upper": 20.0,
        "goal_options": {"size": "8"},
    }
    goal = from_original(record, id=3)
    assert (goal.chain, goal.options, goal.style) == (("Home", "Lamps"), {"size": "8"}, "synthetic")
    human = from_original({**record, "goal_options": ["8"]})
    assert (human.options, human.style, human.product) == (("8",), "human", -1)


def test_goals_are_the_originals(webshop: Path, webshop_store: Store) -> None:
    report = check_goals(Context(webshop_store, webshop))
    assert report["failures"] == []
    assert (report["cases"], report["goals"]) == (20, 6_910)
    assert len(build_goals(webshop_store)) == 13
    drawn = prices(webshop_store, parity=True)
    ranged = webshop_store.ranged
    assert (drawn[~ranged] == webshop_store.prices[~ranged]).all()
    assert (drawn[ranged] != webshop_store.prices[ranged]).all()
