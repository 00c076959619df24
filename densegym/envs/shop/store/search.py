"""Ranking: BM25 as Lucene 9 computes it, bit for bit, over a memory-mapped inverted index.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, in the form
of Lucene's BM25Similarity (k1 0.9, b 0.4 as the original sets them): lengths are kept in one lossy
byte, a term adds ``w - w / (1 + tf * inverse norm)`` in float32, terms are summed in float64 and
rounded once. Equal scores are ordered by asin, as Anserini orders them.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densegym.envs.shop.store import draws
from densegym.envs.shop.store.analysis import terms
from densegym.envs.shop.store.index import ATTRIBUTE, CATEGORY, QUERY, TEXT, norm_length
from densegym.envs.shop.store.layout import mapped

K1 = np.float32(0.9)
B = np.float32(0.4)
CACHED_QUERIES = 4_096
CACHED_WORDS = 16_384
LONGEST_CACHED = 1_000
RANDOM_HITS = 50
_HEADS = ("<r>", "<a>", "<c>", "<q>")


class Searcher:
    """Search over one store; the last 4,096 queries are remembered.

    Args:
        folder: the store.
        texts: products with at least one text term (Lucene's document count).
        average_length: mean number of text terms of those.
        seed: the store's seed, for products drawn at random.
    """

    def __init__(self, folder: Path, *, texts: int, average_length: float, seed: int) -> None:
        self._names = np.memmap(folder / "terms.bin", np.uint8, "r").data
        self._term_offsets = mapped(folder, "term_offsets").data
        self._posting_offsets = mapped(folder, "posting_offsets").data
        self._docs = mapped(folder, "docs")
        self._counts = mapped(folder, "counts")
        self._norms = mapped(folder, "norms")
        self._asin_rank = mapped(folder, "asin_rank")
        self._seed = seed
        self._texts = texts
        lengths = np.array([norm_length(byte) for byte in range(256)], np.float32)
        one = np.float32(1)
        self._inverse = one / (K1 * ((one - B) + B * lengths / np.float32(average_length)))
        self._cached = lru_cache(maxsize=CACHED_QUERIES)(self._ranked)
        self._text_row = lru_cache(maxsize=CACHED_WORDS)(lambda term: self._row(TEXT, term))

    def search(self, query: str, k: int = 50) -> tuple[int, ...]:
        """Return the indexes of the best products, best first; at most ``k``, maybe none.

        Four heads work as on the original's web side: ``<r>`` 50 products drawn at random (here
        decided by the rest of the query, so that episodes repeat), ``<a> phrase`` all products
        with that attribute, ``<c> name`` all of a category, ``<q> phrase`` all of a shop query;
        the last three in file order and, as in the original, beyond ``k``.
        """
        head, _, rest = query.partition(" ")
        if head in _HEADS:
            return self._special(head, rest.strip())
        return tuple(index for index, _ in self.scores(query, k))

    def scores(self, query: str, k: int = 50) -> tuple[tuple[int, float], ...]:
        """Return (index, BM25 score) of the best products, best first; heads are plain words."""
        return (self._cached if len(query) <= LONGEST_CACHED else self._ranked)(query, k)

    def find(self, field: str, value: str) -> NDArray[Any]:
        """Return the products that carry a key in a field of the index, in file order."""
        row = self._row(field, value)
        if row is None:
            return self._docs[:0]
        return self._docs[self._posting_offsets[row] : self._posting_offsets[row + 1]]

    def _special(self, head: str, rest: str) -> tuple[int, ...]:
        if head == "<r>":
            size = len(self._norms)
            drawn = draws.generator(self._seed, "random hits", rest)
            return tuple(drawn.choice(size, min(RANDOM_HITS, size), replace=False).tolist())
        if head == "<c>":
            found = self.find(CATEGORY, rest.partition(" ")[0])
        else:
            found = self.find(ATTRIBUTE if head == "<a>" else QUERY, rest)
        return tuple(found.tolist())

    def _row(self, field: str, value: str) -> int | None:
        """Return the number of a key by binary search."""
        key = (field + value).encode("utf-8", "surrogatepass")
        low, high = 0, len(self._term_offsets) - 1
        while low < high:
            middle = (low + high) // 2
            name = bytes(self._names[self._term_offsets[middle] : self._term_offsets[middle + 1]])
            if name == key:
                return middle
            low, high = (middle + 1, high) if name < key else (low, middle)
        return None

    def _ranked(self, query: str, k: int) -> tuple[tuple[int, float], ...]:
        total = np.zeros(len(self._norms))
        for term, times in Counter(terms(query)).items():
            row = self._text_row(term)
            if row is not None:
                self._add(total, row, times)
        hits = np.flatnonzero(total)
        scores = total[hits].astype(np.float32)
        if len(hits) > k:
            keep = scores >= np.partition(scores, -k)[-k]
            hits, scores = hits[keep], scores[keep]
        order = np.lexsort((self._asin_rank[hits], -scores))[:k]
        return tuple(zip(hits[order].tolist(), scores[order].tolist(), strict=True))

    def _add(self, total: NDArray[np.float64], row: int, times: int) -> None:
        """Add what one query term is worth to every product that has it."""
        span = slice(self._posting_offsets[row], self._posting_offsets[row + 1])
        docs = self._docs[span]
        idf = math.log(1 + (self._texts - len(docs) + 0.5) / (len(docs) + 0.5))
        weight = np.float32(times) * np.float32(idf)
        inverse = self._inverse[self._norms[docs]]
        one = np.float32(1)
        total[docs] += weight - weight / (one + self._counts[span].astype(np.float32) * inverse)
