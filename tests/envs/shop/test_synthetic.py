"""The synthetic catalogue: pure, prefix-stable, like the original's products, and fair."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.envs.shop.goals.goals import build_goals
from densegym.envs.shop.goals.option_rules import strict_met
from densegym.envs.shop.goals.scoring import score
from densegym.envs.shop.session.pages import SECTIONS
from densegym.envs.shop.sources.synthetic import SyntheticCatalogue
from densegym.envs.shop.store.store import build_store, open_store
from densegym.errors import DenseGymError

SMALL = list(SyntheticCatalogue(1_000))
BUTTONS = {"search", "back to search", "< prev", "next >", "buy now", "attributes", *SECTIONS}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic") / "store"
    build_store(SMALL, folder)
    return open_store(folder)


@given(number=st.integers(0, 999), level=st.integers(1, 4))
def test_a_product_depends_on_seed_number_and_level_alone(number, level):
    large = SyntheticCatalogue(100_000, level=level)
    assert large.product(number) == SyntheticCatalogue(number + 1, level=level).product(number)
    assert large.product(number) != SyntheticCatalogue(1_000, seed=1, level=level).product(number)


def test_the_first_products_and_requests_never_change(store):
    """A changed figure here is another catalogue: raise ``synthetic.VERSION``."""
    told = "\n".join(repr(product) for product in SMALL[:20])
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == "96d347ca809222ee"
    goals = build_goals(store)[:20]
    told = "\n".join(f"{goal.asin} {goal.instruction} {goal.options}" for goal in goals)
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == "967b1f6ef91f6671"


def test_products_are_like_the_originals():
    """Targets: specification of the original's 1,000 products; a made-up catalogue comes near."""
    groups = np.array([len(p.options) for p in SMALL])
    values = np.array([len(v) for p in SMALL for v in p.options.values()])
    attributes = np.array([len(p.attributes) for p in SMALL])
    titles = np.array([len(p.title.split()) for p in SMALL])
    bullets = np.array([len(p.bullets) for p in SMALL])
    assert (groups == 0).mean() == pytest.approx(0.577, abs=0.05)
    assert (groups == 1).mean() == pytest.approx(0.245, abs=0.05)
    assert (groups >= 3).mean() < 0.03
    assert values.mean() == pytest.approx(5.7, abs=1.0)
    assert attributes.mean() == pytest.approx(2.8, abs=0.4)
    assert (attributes == 0).mean() == pytest.approx(0.185, abs=0.04)
    assert titles.mean() == pytest.approx(18, abs=4)
    assert bullets.mean() == pytest.approx(4.6, abs=0.4)
    assert np.mean([p.description == "" for p in SMALL]) == pytest.approx(0.3, abs=0.05)
    assert np.mean([p.instruction is not None for p in SMALL]) == pytest.approx(0.415, abs=0.06)
    assert np.mean([len(p.prices) > 1 for p in SMALL]) == pytest.approx(0.093, abs=0.03)
    assert len({p.query for p in SMALL}) > 200


def test_names_are_unique_and_nothing_can_be_mistaken():
    asins = [product.asin for product in SMALL]
    assert len(set(asins)) == len(asins)
    assert all(re.fullmatch(r"[A-Z0-9]{10}", asin) for asin in asins)
    for product in SMALL:
        values = [value for group in product.options.values() for value in group]
        assert not BUTTONS & set(values)
        assert all(value == value.lower() for value in values)
        assert not set("<>&") & set(product.title + product.description + "".join(product.bullets))


@pytest.mark.parametrize("style", ["human", "synthetic"])
def test_the_target_with_its_options_is_worth_one(store, style):
    for goal in build_goals(store, style=style):
        product = store.product(goal.product)
        wanted = goal.options if isinstance(goal.options, dict) else _grouped(product, goal.options)
        price = product.price_with(wanted, store.price(goal.product))
        assert score(goal, product, wanted, price).reward == 1.0


def _grouped(product, values):
    return {
        name: next(value for value in values if value in offered)
        for name, offered in product.options.items()
        if set(values) & set(offered)
    }


def test_near_duplicates_make_reading_necessary(store):
    """For a fifth of the requests another product of the catalogue looks the same by its title."""
    by_noun = {}
    for product in SMALL:
        by_noun.setdefault(product.query, []).append(product)
    rivals = sum(
        1
        for product in SMALL
        for other in by_noun[product.query]
        if other.asin != product.asin and other.title.split()[0] == product.title.split()[0]
    )
    assert rivals / len(SMALL) > 0.2


def test_picking_values_by_substring_fails_on_a_third_of_the_mentions(store):
    mentions = failures = 0
    for goal in build_goals(store, style="human"):
        product = store.product(goal.product)
        picked = {
            name: max((v for v in values if v in goal.instruction), key=len, default=values[0])
            for name, values in product.options.items()
        }
        met = strict_met(goal.options, product, picked)
        mentions, failures = mentions + len(met), failures + len(met) - sum(met)
    assert mentions > 200
    assert failures / mentions >= 0.3


def test_levels_add_to_the_rules():
    levels = {n: list(SyntheticCatalogue(300, level=n)) for n in (1, 2, 3, 4)}
    assert not any(p.reviews or p.rating for p in levels[1])
    assert any(p.reviews for p in levels[2])
    assert not any(p.surcharges for p in levels[2])
    assert any(p.surcharges for p in levels[3])
    named = {n: _naming_the_product(products) for n, products in levels.items()}
    assert named[1] > 0.95 > 0.05 > named[4]


def _naming_the_product(products):
    asked = [p for p in products if p.human]
    return np.mean([p.query.rstrip("s")[:6] in p.human[0].instruction for p in asked])


@pytest.mark.parametrize(("n", "level"), [(0, 1), (-3, 1), (10, 0), (10, 5)])
def test_impossible_catalogues_are_refused(n, level):
    with pytest.raises(DenseGymError, match="given"):
        SyntheticCatalogue(n, level=level)


def test_a_product_beyond_the_end_is_an_error():
    with pytest.raises(IndexError, match="0 to 9"):
        SyntheticCatalogue(10).product(10)
