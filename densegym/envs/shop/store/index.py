"""Building an inverted index that is larger than memory: sorted blocks, then one merge.

Documents are numbered 0, 1, ... as they are added. Every key is one byte for its field, then the
term in UTF-8; keys are sorted by bytes. Files: ``terms.bin`` (all keys, joined), ``term_offsets``
(uint64, terms + 1), ``posting_offsets`` (uint64, terms + 1), ``docs`` (int32) and ``counts``
(uint16), each of the number of postings; ``norms`` (uint8) and ``asin_rank`` (int32), one per
document.
"""

from __future__ import annotations

import heapq
import struct
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import count, groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from densegym.errors import DenseGymError

TEXT, ATTRIBUTE, CATEGORY, QUERY, ASIN = "t", "a", "c", "q", "i"
BLOCK_DOCUMENTS = 32_768
MAX_COUNT = 65_535
_ASIN = ASIN.encode()
_HEAD = struct.Struct("<II")  # bytes of the key, number of postings

Run = tuple[bytes, int, bytes, bytes]


def norm_byte(length: int) -> int:
    """Return Lucene's one-byte form of a document length (SmallFloat.intToByte4); exact to 39."""
    if length < 24:
        return length
    rest = length - 24
    shift = max(rest.bit_length() - 4, 0)
    return 24 + (rest if rest < 8 else ((rest >> shift) & 7) | ((shift + 1) << 3))


def norm_length(byte: int) -> int:
    """Return the length that a norm byte stands for (SmallFloat.byte4ToInt)."""
    if byte < 24:
        return byte
    mantissa, shift = (byte - 24) & 7, ((byte - 24) >> 3) - 1
    return 24 + (mantissa if shift < 0 else (mantissa | 8) << shift)


class IndexWriter:
    """Writes the index files of one folder.

    Attributes:
        terms: distinct keys, known after ``finish``.
        postings: (key, document) pairs, likewise.
        tokens: text terms of all documents, repeats counted.
        texts: documents with at least one text term.
    """

    def __init__(self, folder: Path, *, block_documents: int = BLOCK_DOCUMENTS) -> None:
        self.terms = self.postings = self.tokens = self.texts = 0
        self._folder = folder
        self._block_documents = block_documents
        self._blocks: list[Path] = []
        self._norms = bytearray()
        self._start_block()

    def _start_block(self) -> None:
        self._numbers: defaultdict[str, int] = defaultdict(count().__next__)
        self._keys = array("I")
        self._ends = array("I")

    def add(self, text: Iterable[str], others: Iterable[str]) -> None:
        """Add the next document.

        Args:
            text: its text terms.
            others: its other keys, each beginning with the letter of its field.
        """
        before = len(self._keys)
        self._keys.extend(map(self._numbers.__getitem__, map(TEXT.__add__, text)))
        length = len(self._keys) - before
        self.tokens += length
        self.texts += length > 0
        self._norms.append(norm_byte(length))
        self._keys.extend(map(self._numbers.__getitem__, others))
        self._ends.append(len(self._keys))
        if len(self._ends) == self._block_documents:
            self._flush()

    def _flush(self) -> None:
        """Write the block in memory: per key, in order, its head, documents and counts."""
        ordered = sorted(self._numbers)
        place = np.empty(len(ordered), np.int64)
        place[[self._numbers[key] for key in ordered]] = np.arange(len(ordered))
        ends = np.frombuffer(self._ends, np.uint32).astype(np.int64)
        lengths = ends - np.concatenate(([0], ends[:-1]))
        first = len(self._norms) - len(lengths)
        documents = np.repeat(np.arange(first, first + len(lengths)), lengths)
        pairs = (place[np.frombuffer(self._keys, np.uint32)] << 32) | documents
        pairs, counts = np.unique(pairs, return_counts=True)
        bounds = np.searchsorted(pairs, np.arange(len(ordered) + 1) << 32).tolist()
        docs = memoryview((pairs & 0xFFFFFFFF).astype("<i4"))
        tfs = memoryview(np.minimum(counts, MAX_COUNT).astype("<u2"))
        path = self._folder / f"block{len(self._blocks)}.tmp"
        with path.open("wb", buffering=1 << 20) as file:
            for key, (start, end) in zip(ordered, pairwise(bounds), strict=True):
                name = key.encode("utf-8", "surrogatepass")
                file.write(_HEAD.pack(len(name), end - start))
                file.write(name)
                file.write(docs[start:end])
                file.write(tfs[start:end])
        self._blocks.append(path)
        self.postings += len(pairs)
        self._start_block()

    def finish(self) -> None:
        """Merge the blocks into the index files and remove them.

        Raises:
            DenseGymError: two documents share an asin.
        """
        if self._ends:
            self._flush()
        self._save("norms", np.frombuffer(self._norms, np.uint8))
        self._rank = np.zeros(len(self._norms), np.int32)
        self._ranked = 0
        with ExitStack() as files:
            names, docs, counts = (
                files.enter_context((self._folder / name).open("wb", buffering=1 << 20))
                for name in ("terms.bin", "docs.npy", "counts.npy")
            )
            _header(docs, "<i4", self.postings)
            _header(counts, "<u2", self.postings)
            self._merge(names, docs, counts)
        self._save("asin_rank", self._rank)
        for path in self._blocks:
            path.unlink()

    def _merge(self, names: BinaryIO, docs: BinaryIO, counts: BinaryIO) -> None:
        term_offsets, posting_offsets = array("Q", [0]), array("Q", [0])
        merged = heapq.merge(*(_runs(path, i) for i, path in enumerate(self._blocks)))
        for name, runs in groupby(merged, key=itemgetter(0)):
            size = 0
            for _, _, run_docs, run_counts in runs:
                docs.write(run_docs)
                counts.write(run_counts)
                size += len(run_docs) // 4
            if name.startswith(_ASIN):
                self._number_asin(name, size, run_docs)
            names.write(name)
            term_offsets.append(term_offsets[-1] + len(name))
            posting_offsets.append(posting_offsets[-1] + size)
        self.terms = len(term_offsets) - 1
        self._save("term_offsets", np.frombuffer(term_offsets, np.uint64))
        self._save("posting_offsets", np.frombuffer(posting_offsets, np.uint64))

    def _number_asin(self, name: bytes, size: int, docs: bytes) -> None:
        """Note the place of a document among the sorted asins."""
        if size > 1:
            asin = name[1:].decode("utf-8", "surrogatepass")
            raise DenseGymError(f'{size} products have the asin "{asin}"; each needs its own.')
        self._rank[int.from_bytes(docs, "little")] = self._ranked
        self._ranked += 1

    def _save(self, name: str, values: NDArray[Any]) -> None:
        np.save(self._folder / f"{name}.npy", values)


def _header(file: BinaryIO, dtype: str, length: int) -> None:
    np.lib.format.write_array_header_1_0(
        file, {"descr": dtype, "fortran_order": False, "shape": (length,)}
    )


def _runs(path: Path, block: int) -> Iterator[Run]:
    """Yield (key, block, documents, counts) of a block file, in order."""
    with path.open("rb", buffering=1 << 18) as file:
        while head := file.read(_HEAD.size):
            name_size, size = _HEAD.unpack(head)
            yield file.read(name_size), block, file.read(4 * size), file.read(2 * size)
