import math
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.envs.shop.parity import Context, check_search, check_term_vectors
from densegym.envs.shop.store import index as index_module
from densegym.envs.shop.store.analysis import terms, tokens
from densegym.envs.shop.store.catalogue import Product, indexed_text
from densegym.envs.shop.store.index import IndexWriter, norm_byte, norm_length
from densegym.envs.shop.store.porter import stem
from densegym.envs.shop.store.store import Store, open_store
from tests.envs.shop.factories import PHRASES, VOCABULARY, built, lamp, plain


@pytest.mark.parametrize(
    ("words", "stems"),
    [
        ("caresses ponies ties caress cats", "caress poni ti caress cat"),
        ("feed agreed plastered bled motoring sing", "feed agre plaster bled motor sing"),
        ("conflated troubled sized hopping tanned", "conflat troubl size hop tan"),
        ("falling hissing fizzed failing filing", "fall hiss fizz fail file"),
        ("happy sky relational conditional", "happi sky relat condit"),
        ("digitizer radically differently vilely", "digit radic differ vile"),
        ("operator feudalism decisiveness hopefulness", "oper feudal decis hope"),
        ("formality sensitivity sensibility", "formal sensit sensibl"),
        ("triplicate formative electrical goodness", "triplic form electr good"),
        ("revival allowance inference airliner", "reviv allow infer airlin"),
        ("adjustable replacement adoption homologous", "adjust replac adopt homolog"),
        ("probate rate cease controll roll", "probat rate ceas control roll"),
        # Martin's departures, short words, and signs that are no letters.
        ("possibly analogy us is 10ies é2s", "possibl analog us is 10i é2"),
        ("ing ion yyed s's", "ing ion yy s'"),
    ],
)
def test_stems_are_porters(words: str, stems: str) -> None:
    assert [stem(word) for word in words.split()] == stems.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("usb-c cable, 6ft", ["usb", "c", "cable", "6ft"]),
        ("women's 5.5 in. 1,000 a:b x1.5 1.x", ["women's", "5.5", "in", "1,000", "a:b", "x1.5"]),
        ("snake_case __ __a", ["snake_case", "__a"]),
        ("a..b a.1 12:30 end.", ["a", "b", "a", "1", "12", "30", "end"]),
        ("naïve café\u2019s \u2018tis", ["naïve", "café\u2019s", "tis"]),
        ("Soft™ 3M® ♥ ok", ["Soft", "™", "3M", "®", "♥", "ok"]),
        ("红色 ひら カタカナ", ["红", "色", "ひ", "ら", "カタカナ"]),
        ("e\u0301te 【new】 ½ x²", ["e\u0301te", "new", "x"]),
        ("👍🏽ok 👩\u200d🔬 🇫🇷", ["👍🏽", "ok", "👩\u200d🔬", "🇫🇷"]),
        ("x\u00a0y\u3000z", ["x", "y", "z"]),
        ("b" * 300, ["b" * 255, "b" * 45]),
        ("", []),
    ],
)
def test_words_are_lucenes(text: str, expected: list[str]) -> None:
    found = tokens(text)
    assert found[: len(expected)] == expected
    assert found[len(expected) :] in ([], ["1", "x"])


def test_terms_drop_stop_words_and_possessives() -> None:
    assert terms("The Women's Shoes' and it's for 's") == ["women", "shoe", "s"]


@given(st.text(), st.text())
def test_blanks_always_separate_words(left: str, right: str) -> None:
    assert tokens(f"{left} . {right}") == tokens(left) + tokens(right)


@pytest.mark.parametrize("sign", ["_", "a", "a.", "1,", "é", "_é", "\u0301", "👍", " ", "'", "é "])
def test_long_texts_take_time_in_proportion(sign: str) -> None:
    started = time.process_time()
    terms(sign * (100_000 // len(sign)))
    assert time.process_time() - started < 1


def test_length_bytes_are_lucenes() -> None:
    assert [norm_byte(n) for n in (0, 23, 24, 39, 40, 41, 42, 56)] == [
        0,
        23,
        24,
        39,
        40,
        40,
        41,
        48,
    ]
    kept = [norm_length(byte) for byte in range(256)]
    assert kept[:41] == list(range(41))
    assert kept == sorted(set(kept))
    for length in (*range(2_000), 123_456, 2_000_000_000):
        byte = norm_byte(length)
        assert kept[byte] <= length
        assert length < kept[byte + 1]


def ranked(products: list[Product], query: str, k: int) -> list[tuple[str, float]]:
    """BM25 by the book, product by product, in double precision."""
    counts = [Counter(terms(indexed_text(product))) for product in products]
    texts = [count for count in counts if count]
    mean = sum(count.total() for count in texts) / max(len(texts), 1)
    found = []
    for product, count in zip(products, counts, strict=True):
        length = norm_length(norm_byte(count.total()))
        value = 0.0
        for term in terms(query):
            if tf := count[term]:
                n = sum(term in other for other in counts)
                idf = math.log(1 + (len(texts) - n + 0.5) / (n + 0.5))
                value += idf * tf / (tf + 0.9 * (0.6 + 0.4 * length / mean))
        if value:
            found.append((product.asin, value))
    return sorted(found, key=lambda pair: (-round(pair[1], 5), pair[0]))[:k]


@given(st.lists(st.tuples(PHRASES, PHRASES), min_size=1, max_size=9), PHRASES, st.integers(1, 6))
def test_scores_are_bm25(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[tuple[str, str]],
    query: str,
    k: int,
) -> None:
    products = [
        plain(f"P{(7 * i) % 10}", title=title, description=more)
        for i, (title, more) in enumerate(texts)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module.IndexWriter.__init__, "__kwdefaults__", {"block_documents": 2})
        store = built(tmp_path_factory.getbasetemp() / "bm25", *products)
    found = [(store.product(i).asin, score) for i, score in store.search.scores(query, k)]
    expected = ranked(products, query, k)
    assert [asin for asin, _ in found] == [asin for asin, _ in expected]
    assert [score for _, score in found] == pytest.approx([s for _, s in expected], rel=1e-5)
    assert store.search.search(query, k) == tuple(i for i, _ in store.search.scores(query, k))


def test_blocks_do_not_change_the_index(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for size in (1, 3, 100):
        (tmp_path / str(size)).mkdir()
        writer = IndexWriter(tmp_path / str(size), block_documents=size)
        rng = np.random.default_rng(0)
        for number in range(20):
            writer.add(rng.choice(VOCABULARY, rng.integers(0, 9)).tolist(), [f"iD{number:02d}"])
        writer.finish()
        assert writer.postings == len(np.load(tmp_path / str(size) / "docs.npy"))
    for path in (tmp_path / "100").iterdir():
        for size in (1, 3):
            assert (tmp_path / str(size) / path.name).read_bytes() == path.read_bytes(), path.name
    assert not list(tmp_path.glob("*/*.tmp"))


def test_very_frequent_words_are_capped(tmp_path: Path) -> None:
    store = built(tmp_path / "s", plain("A", title="lamp " * 70_000), plain("B", title="lamp oak"))
    assert [i for i, _ in store.search.scores("lamp oak")] == [1, 0]


def test_equal_scores_are_ordered_by_asin(tmp_path: Path) -> None:
    store = built(tmp_path / "s", *(plain(asin, title="oak desk") for asin in "CADB"))
    assert [store.product(i).asin for i in store.search.search("desk")] == ["A", "B", "C", "D"]
    assert [store.product(i).asin for i in store.search.search("desk", 2)] == ["A", "B"]


def test_nothing_is_found_for_nothing(tmp_path: Path) -> None:
    store = built(tmp_path / "s", lamp())
    for query in ("", "a", "zzzzqq", "the of", "\ud800", "<x>", "🙂"):
        assert store.search.search(query) == ()


@pytest.fixture
def shop(tmp_path: Path) -> Store:
    return built(
        tmp_path / "s",
        *(lamp(n, category="garden" if n % 2 else "beauty", query=f"q {n % 3}") for n in range(60)),
        plain("P", title="<q> lamp", attributes=("easy clean kit", "easy clean kit")),
    )


def test_heads_list_attributes_categories_and_queries(shop: Store) -> None:
    assert shop.search.search("<a> easy clean") == tuple(range(60))
    assert shop.search.search("<a> easy clean kit") == (60,)
    assert shop.search.search("<a>  easy clean kit ") == (60,)
    assert shop.search.search("<c> garden tools") == tuple(range(1, 60, 2))
    assert shop.search.search("<q> q 2") == tuple(range(2, 60, 3))
    for query in ("<a>", "<c>", "<q>", "<a> easy", "<c> q 2"):
        assert shop.search.search(query) == ()
    assert len(shop.search.scores("<q> lamp", 9)) == 9


def test_random_hits_repeat_for_one_text(shop: Store) -> None:
    hits = shop.search.search("<r>")
    assert len(hits) == len(set(hits)) == 50
    assert hits == open_store(shop.info.folder).search.search("<r>")
    assert hits != shop.search.search("<r> again")


def test_results_are_remembered_but_not_endless_queries(shop: Store) -> None:
    assert shop.search.scores("lamp") is shop.search.scores("lamp")
    long = "lamp " * 1_000
    assert shop.search.scores(long) is not shop.search.scores(long)


def test_rankings_are_the_originals(webshop: Path, webshop_store: Store) -> None:
    report = check_search(Context(webshop_store, webshop))
    assert report["cases"] == 64
    assert [report[name] for name in ("top_1", "overlap_at_10", "exact_top_50")] == [1, 1, 1]
    expected = {"shoes": (2.9606, 2.7911, 2.7911), "usb-c cable 6ft": (11.7828, 7.3170, 7.1857)}
    for query, scores in expected.items():
        found = [score for _, score in webshop_store.search.scores(query, 3)]
        assert found == pytest.approx(scores, abs=5e-5)


def test_terms_are_the_originals(webshop: Path, webshop_store: Store) -> None:
    report = check_term_vectors(Context(webshop_store, webshop))
    assert (report["cases"], report["failed"]) == (1_000, 0)
