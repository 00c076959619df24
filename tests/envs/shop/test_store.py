import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.envs.shop.store.catalogue import HumanInstruction, Product, Review, indexed_text
from densegym.envs.shop.store.layout import HEADER
from densegym.envs.shop.store.records import decode, encode
from densegym.envs.shop.store.store import build_store, open_store
from densegym.errors import DenseGymError, ResultsError
from tests.envs.shop.factories import built, lamp, plain

TEXT = st.text(max_size=20)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
PRICE = st.floats(0, 1e6)
PRODUCTS = st.builds(
    Product,
    asin=st.text(min_size=1, max_size=10),
    title=TEXT,
    description=TEXT,
    bullets=TEXTS,
    prices=st.lists(PRICE, min_size=1, max_size=2).map(tuple),
    category=TEXT,
    query=TEXT,
    chain=TEXTS,
    options=st.dictionaries(TEXT, TEXTS, max_size=2),
    attributes=TEXTS,
    instruction=st.none() | TEXT,
    instruction_attributes=TEXTS,
    human=st.lists(st.builds(HumanInstruction, instruction=TEXT, options=TEXTS), max_size=2).map(
        tuple
    ),
    rating=st.none() | st.floats(1, 5),
    reviews=st.lists(st.builds(Review, stars=st.integers(1, 5), text=TEXT), max_size=2).map(tuple),
    surcharges=st.dictionaries(TEXT, st.dictionaries(TEXT, PRICE, max_size=2), max_size=2),
)


@given(PRODUCTS)
def test_a_record_gives_the_product_back(product: Product) -> None:
    assert decode(encode(product)) == product


def test_a_store_gives_every_product_back_in_order(tmp_path: Path) -> None:
    products = [lamp(n, title=f"Lamp {n} <b>ü</b>") for n in range(5)]
    counts: list[int] = []
    info = build_store(iter(products), tmp_path / "s", on_progress=counts.append)
    store = open_store(tmp_path / "s")
    assert counts == [5]
    assert info == store.info
    assert info.products == len(store) == 5
    assert [store.product(i) for i in range(5)] == products
    assert [store.index_of(p.asin) for p in products] == [0, 1, 2, 3, 4]
    assert store.index_of("L") is None
    assert store.index_of("tlamp") is None
    assert info.bytes == sum(
        path.stat().st_size for path in (tmp_path / "s").iterdir() if path.name != HEADER
    )
    for bad in (-1, 5):
        with pytest.raises(IndexError, match="0 to 4"):
            store.product(bad)


def test_instructions_are_found_without_reading_products(tmp_path: Path) -> None:
    store = built(
        tmp_path / "s",
        lamp(0, human=()),
        lamp(1, instruction=None),
        plain("P"),
        lamp(3, prices=(5.0, 5.0)),
    )
    assert store.with_instruction("synthetic") == [0, 3]
    assert store.with_instruction("human") == [1, 3]
    assert store.ranged.tolist() == [True, True, False, True]


def test_prices_belong_to_seed_and_asin_only(tmp_path: Path) -> None:
    one = built(tmp_path / "a", lamp(1), lamp(2), plain("P", prices=(7.25,)))
    two = built(tmp_path / "b", plain("P", prices=(7.25,)), lamp(2), lamp(1))
    other = built(tmp_path / "c", lamp(1), lamp(2), seed=1)
    assert one.prices.tolist() == two.prices[::-1].tolist()
    assert one.price(2) == 7.25
    assert 12.5 < one.price(0) < 30
    assert one.price(0) not in (one.price(1), other.price(0))
    assert one.listed_prices.tolist() == [[12.5, 30.0], [12.5, 30.0], [7.25, 7.25]]


def test_a_range_listed_backwards_is_still_a_range(tmp_path: Path) -> None:
    product = lamp(prices=(30.0, 12.5))
    store = built(tmp_path / "s", product)
    assert (product.price_low, product.price_high) == (12.5, 30.0)
    assert 12.5 <= store.price(0) <= 30
    assert store.listed_prices.tolist() == [[30.0, 12.5]]


def test_a_variant_may_have_its_own_price() -> None:
    product = lamp(surcharges={"size": {"12 inch": 5.0, "8 oz": 0.0}, "color": {"red": 20.0}})
    assert product.price_with({}, 99.0) == 12.5
    assert product.price_with({"size": "12 inch", "color": "navy"}, 99.0) == 17.5
    assert product.price_with({"size": "12 inch", "color": "red"}, 99.0) == 30.0
    assert lamp().price_with({"size": "12 inch"}, 20.0) == 20.0


def test_the_indexed_text_is_the_originals() -> None:
    assert indexed_text(lamp(7)) == (
        "brass lamp 7 a lamp for the desk. easy clean brass "
        "color: red, dark red, navy, and size: 8 oz, 12 inch"
    )
    assert indexed_text(plain("P", title="A")) == "a   "


def test_equal_catalogues_have_equal_hashes(tmp_path: Path) -> None:
    first = built(tmp_path / "a", lamp(1), lamp(2))
    assert built(tmp_path / "b", lamp(1), lamp(2)).hash == first.hash
    assert built(tmp_path / "c", lamp(1), lamp(3)).hash != first.hash
    assert built(tmp_path / "d", lamp(1), lamp(2), seed=1).hash != first.hash


def test_a_store_is_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    old = built(folder, lamp(1))
    assert len(built(folder, lamp(1), lamp(2))) == 2
    assert old.product(0) == lamp(1)
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_failed_build_leaves_things_as_they_were(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    built(folder, lamp(1))
    with pytest.raises(DenseGymError, match='2 products have the asin "L0002"'):
        build_store([lamp(2), lamp(3), lamp(2)], folder)
    assert open_store(folder).product(0) == lamp(1)
    with pytest.raises(DenseGymError, match="at least one product"):
        build_store([], tmp_path / "empty")
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ResultsError, match="not a shop store"):
        build_store([lamp()], tmp_path)
    with pytest.raises(ResultsError, match="not a shop store"):
        build_store([lamp()], tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"
    (tmp_path / "new").mkdir()
    assert build_store([lamp()], tmp_path / "new").products == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "version 99, this program reads version 1"),
        ({"format": "other"}, "not a shop store's"),
        (None, "damaged"),
    ],
)
def test_other_headers_are_refused(tmp_path: Path, change: dict | None, message: str) -> None:
    built(tmp_path / "s", lamp())
    path = tmp_path / "s" / HEADER
    header = json.loads(path.read_text())
    path.write_text("{" if change is None else json.dumps({**header, **change}))
    with pytest.raises(ResultsError, match=message) as error:
        open_store(tmp_path / "s")
    assert "densegym shop build" in str(error.value)


def test_missing_and_truncated_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"no store\.json"):
        open_store(tmp_path / "nowhere")
    for name in json.loads(_header(built(tmp_path / "s", lamp()).info.folder))["files"]:
        path = tmp_path / "s" / name
        content = path.read_bytes()
        path.write_bytes(content[:-1])
        with pytest.raises(ResultsError, match=name):
            open_store(tmp_path / "s")
        path.unlink()
        with pytest.raises(ResultsError, match=name):
            open_store(tmp_path / "s")
        path.write_bytes(content)
    assert len(open_store(tmp_path / "s")) == 1


def _header(folder: Path) -> str:
    return (folder / HEADER).read_text()


def test_a_store_travels_by_its_folder(tmp_path: Path) -> None:
    store = built(tmp_path / "s", lamp(1), lamp(2))
    copy = pickle.loads(pickle.dumps(store))
    assert copy.info == store.info
    assert copy.product(1) == store.product(1)
    with pytest.raises(ValueError, match="read-only"):
        store.prices[0] = 0.0
    assert isinstance(store.prices.base, np.memmap)


def test_decoded_products_are_kept(tmp_path: Path) -> None:
    store = built(tmp_path / "s", lamp(1))
    assert store.product(0) is store.product(0)


def test_an_equal_store_is_left_and_a_damaged_one_repaired(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    header = built(folder, lamp(1)).info.folder / HEADER
    written = header.stat()
    built(folder, lamp(1))
    assert (header.stat().st_ino, header.stat().st_mtime_ns) == (
        written.st_ino,
        written.st_mtime_ns,
    )
    (folder / "docs.npy").write_bytes(b"")
    assert built(folder, lamp(1)).product(0) == lamp(1)
