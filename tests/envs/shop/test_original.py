import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.envs.shop.sources import json_stream
from densegym.envs.shop.sources.json_stream import JsonStream
from densegym.envs.shop.sources.original import Files, find_files, read_products
from densegym.envs.shop.store.catalogue import HumanInstruction
from densegym.errors import DenseGymError

LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(-1e9, 1e9)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def raw(asin: str = "A1", **changes: Any) -> dict[str, Any]:
    record = {
        "asin": asin,
        "name": "Lamp",
        "full_description": "Shines",
        "small_description": ["one", "two"],
        "pricing": "$1,012.99",
        "images": ["a.jpg", "b.jpg"],
        "product_category": "Home \u203a Lamps",
        "category": "garden",
        "query": " Desk Lamps ",
        "customization_options": {
            "Color": [{"value": " Red/Blue "}, {"value": "NAVY", "image": "x"}],
            "Size": None,
        },
        "seller_name": "thrown away",
    }
    return {**record, **changes}


def write(path: Path, *records: Any) -> Files:
    path.write_text(json.dumps(list(records)))
    return Files(items=path)


def test_a_product_is_read_by_the_originals_rules(tmp_path: Path) -> None:
    files = write(tmp_path / "items.json", raw())
    (product,) = read_products(files)
    assert product.title == "Lamp"
    assert product.bullets == ("one", "two")
    assert (product.prices, product.price_text) == ((1012.99,), "$1012.99")
    assert product.chain == ("Home", "Lamps")
    assert product.query == "desk lamps"
    assert product.options == {"color": ("red | blue", "navy")}
    assert product.image == "a.jpg"
    assert product.attributes == ()
    assert [p.attributes for p in read_products(files, parity=True)] == [("DUMMY_ATTR",)]


@pytest.mark.parametrize(
    ("pricing", "prices", "text"),
    [
        ("$12.99$15.99", (12.99, 15.99), "$12.99 to $15.99"),
        ("$44.99$33.98$2", (44.99, 33.98), "$44.99 to $33.98"),
        ("$5", (5.0,), "$5.0"),
        ("", (100.0,), "$100.0"),
        (None, (100.0,), "$100.0"),
    ],
)
def test_prices(tmp_path: Path, pricing: str | None, prices: tuple, text: str) -> None:
    (product,) = read_products(write(tmp_path / "i.json", raw(pricing=pricing)))
    assert (product.prices, product.price_text) == (prices, text)


@pytest.mark.parametrize(
    ("change", "bullets"), [("alone", ("alone",)), (None, ()), ([], ()), (["a"], ("a",))]
)
def test_bullets(tmp_path: Path, change: Any, bullets: tuple) -> None:
    (product,) = read_products(write(tmp_path / "i.json", raw(small_description=change)))
    assert product.bullets == bullets


def test_what_the_original_skips_is_skipped_and_counted(tmp_path: Path) -> None:
    files = write(
        tmp_path / "items.json", raw("nan"), raw("A1"), raw("B" * 11), raw("A1", name="x"), raw("C")
    )
    skipped: Counter[str] = Counter()
    products = list(read_products(files, skipped=skipped))
    assert [(p.asin, p.title) for p in products] == [("A1", "Lamp"), ("C", "Lamp")]
    assert skipped == {"asin 'nan'": 1, "asin over 10 characters": 1, "asin seen before": 1}
    assert [p.asin for p in read_products(files, limit=2)] == ["A1"]
    assert list(read_products(files, limit=0)) == []


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({k: v for k, v in raw().items() if k != "asin"}, 'the field "asin" is missing'),
        (raw(""), "asin is empty"),
        (raw(name=5), '"name" should be text, not 5'),
        ({k: v for k, v in raw().items() if k != "query"}, 'product A1: the field "query"'),
        (raw(pricing="$abc"), "no number"),
        (raw(pricing="$1.2.3"), "no number"),
        (raw(pricing=12), "no number"),
        (raw(pricing="12.99"), "absurd"),
        (raw(pricing="$99999999999"), "absurd"),
        (raw(pricing="$" + "9" * 400), "absurd"),
        (raw(small_description=[1]), "list of texts"),
        (raw(customization_options={"color": [{"valu": 1}]}), "customization_options"),
        (raw(customization_options={"color": "red"}), "customization_options"),
        (raw(customization_options=["red"]), "customization_options"),
        ([], "should be an object"),
    ],
)
def test_bad_records_are_named(tmp_path: Path, record: Any, message: str) -> None:
    files = write(tmp_path / "items.json", raw("OK"), record)
    with pytest.raises(DenseGymError, match=message) as error:
        list(read_products(files))
    assert "items.json: element 2, character" in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"asin": "A"', "malformed or cut-off"),
        ('[{"asin": "A"} {}]', "',' or ']' was expected"),
        ("[{}", "the end of the file was found"),
        ("[{},]", "malformed"),
        ("[] x", "the end of the file was expected"),
        ("{} nonsense", "malformed"),
        ("[" * 100_000, "nested too deeply"),
        (b"\xff\xfe\x00", "cut off or damaged"),
        (gzip.compress(b"[{}, {}]", mtime=0)[:-9], "cut off or damaged"),
        (gzip.compress(b"[1, 2, 3, 4]" * 99, mtime=0)[:-20] + b"\0" * 12, "cut off or damaged"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = tmp_path / "items.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DenseGymError, match=message) as error:
        list(JsonStream(path).elements())
    assert "items.json: element" in str(error.value)


def test_a_malformed_giant_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "CHUNK", 10)
    monkeypatch.setattr(json_stream, "MAX_ELEMENT", 100)
    path = tmp_path / "items.json"
    path.write_text("[" + json.dumps("x" * 80) + ", nonsense" + " " * 10_000 + "]")
    stream = JsonStream(path)
    with pytest.raises(DenseGymError, match="malformed"):
        list(stream.elements())
    assert stream.position < 1_000


@given(st.lists(VALUES, max_size=4), st.integers(1, 9), st.sampled_from([None, 1]), st.booleans())
def test_arrays_and_lines_come_out_as_they_went_in(
    tmp_path_factory: pytest.TempPathFactory,
    values: list[Any],
    chunk: int,
    indent: int | None,
    lines: bool,
) -> None:
    path = tmp_path_factory.getbasetemp() / "values.json"
    rows = [json.dumps(value, indent=indent) for value in values]
    lines = lines and not (values and isinstance(values[0], list))
    path.write_text("\n".join(rows) if lines else f" [ {' , '.join(rows)} ] \n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK", chunk)
        assert list(JsonStream(path).elements()) == values


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), st.integers(1, 9))
def test_objects_come_out_as_they_went_in(
    tmp_path_factory: pytest.TempPathFactory, members: dict[str, Any], chunk: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "members.json"
    path.write_text(json.dumps(members))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK", chunk)
        assert dict(JsonStream(path).members()) == members


def test_lines_and_gzip_are_read_too(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps(raw(asin)) for asin in "AB")
    path = tmp_path / "items.jsonl.gz"
    path.write_bytes(gzip.compress(lines.encode()))
    assert [p.asin for p in read_products(Files(items=path))] == ["A", "B"]


def test_rows_of_the_other_files_join_by_asin(tmp_path: Path) -> None:
    write(tmp_path / "items_shuffle.json", raw("A"), raw("B"))
    rows = {"B": {"attributes": ["x y"], "instruction": "Find", "instruction_attributes": ["x y"]}}
    (tmp_path / "items_ins_v2.json").write_text(json.dumps(rows))
    request = {
        "instruction": "i want",
        "instruction_attributes": ["x y"],
        "instruction_options": ["red"],
        "worker_id": "never kept",
    }
    (tmp_path / "items_human_ins.json").write_text(json.dumps({"A": [request]}))
    first, second = read_products(tmp_path)
    assert first.human == (
        HumanInstruction(instruction="i want", attributes=("x y",), options=("red",)),
    )
    assert (first.instruction, first.attributes) == (None, ())
    assert (second.instruction, second.attributes, second.human) == ("Find", ("x y",), ())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("items_ins_v2.json", {"A": []}, "row of A should be a dict"),
        ("items_ins_v2.json", {"A": {"attributes": 3}}, "list of texts"),
        ("items_ins_v2.json", [], "'{' was expected"),
        ("items_human_ins.json", {"A": [{}]}, "human instructions is malformed"),
        ("items_human_ins.json", {"A": [5]}, "human instructions is malformed"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, name: str, content: Any, message: str) -> None:
    write(tmp_path / "items_shuffle.json", raw("A"))
    (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(DenseGymError, match=message):
        list(read_products(tmp_path))


def test_files_are_found_by_name_and_variant(tmp_path: Path) -> None:
    touch: Callable[[str], None] = lambda name: (tmp_path / name).touch()  # noqa: E731
    with pytest.raises(DenseGymError, match=r"has no items_shuffle\*"):
        find_files(tmp_path)
    touch("items_shuffle_1000.json")
    touch("items_ins_v2_1000.json.gz")
    touch("items_human_ins.json")
    found = find_files(tmp_path)
    assert found.items.name == "items_shuffle_1000.json"
    assert found.attributes is not None
    assert found.attributes.name == "items_ins_v2_1000.json.gz"
    assert found.human is not None
    touch("items_shuffle_100.jsonl")
    with pytest.raises(DenseGymError, match="by its variant"):
        find_files(tmp_path)
    touch("items_shuffle.json")
    touch("items_ins_v2.json")
    assert find_files(tmp_path).items.name == "items_shuffle.json"
    small = find_files(tmp_path, variant="1000")
    assert small.items.name == "items_shuffle_1000.json"
    assert small.attributes == tmp_path / "items_ins_v2_1000.json.gz"
    with pytest.raises(DenseGymError, match="items_shuffle_7"):
        find_files(tmp_path, variant="7")
    with pytest.raises(DenseGymError, match="is no folder"):
        find_files(tmp_path / "nowhere")


def test_the_real_thousand(webshop: Path) -> None:
    skipped: Counter[str] = Counter()
    products = list(read_products(webshop, skipped=skipped))
    assert len(products) == len({p.asin for p in products}) == 1_000
    assert not skipped
    assert sum(p.instruction is not None for p in products) == 415
    assert sum(bool(p.human) for p in products) == 13
    assert sum(len(p.prices) == 2 for p in products) == 93
