"""Frames between a process and its worker: a fixed header, JSON text, raw arrays. Never pickle.

Arrays travel as they lie in memory, each padded to a multiple of eight bytes. Both sides know
from the text how long the arrays are, so a length that does not fit is noticed before any memory
is asked for.
"""

from __future__ import annotations

import enum
import json
import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

MAX_TEXT = 1 << 16
MAX_PIECES = 16  # written at once, which is what POSIX guarantees
_MAGIC = b"DGsb"
_HEADER = struct.Struct("<4sIIQ")
HEADER_BYTES = _HEADER.size


class Tag(enum.IntEnum):
    """What a frame is about."""

    READY = 1
    LOAD = 2
    CALL = 3
    RESULT = 4
    FAILED = 5


class Header(NamedTuple):
    """The start of a frame: what it is about, and the bytes of text and arrays that follow."""

    tag: Tag
    text: int
    body: int


class ProtocolError(Exception):
    """The other side sent something that is no frame."""


def encode(tag: Tag, text: Any, arrays: Iterable[Any] = ()) -> list[memoryview]:
    """Return the pieces of a frame, to be written one after the other.

    Args:
        tag: what it is about.
        text: plain values for JSON.
        arrays: C-contiguous.
    """
    encoded = json.dumps(text).encode()
    pieces = [memoryview(array).cast("B") for array in arrays if array.nbytes]
    padded = [part for piece in pieces for part in (piece, _padding(piece.nbytes)) if part.nbytes]
    body = sum(part.nbytes for part in padded)
    head = _HEADER.pack(_MAGIC, tag, len(encoded), body) + encoded
    return [memoryview(head), *padded]


def advance(pieces: list[memoryview], count: int) -> None:
    """Take the first ``count`` bytes, which have been written, off the pieces of a frame."""
    written = 0
    while written < len(pieces) and count >= pieces[written].nbytes:
        count -= pieces[written].nbytes
        written += 1
    del pieces[:written]
    if count:
        pieces[0] = pieces[0][count:]


def decode_header(data: bytes | bytearray) -> Header:
    """Return a frame's header.

    Raises:
        ProtocolError: it is none.
    """
    magic, tag, text, body = _HEADER.unpack(data)
    if magic != _MAGIC or tag not in {*Tag}:
        raise ProtocolError("it sent no frame")
    return Header(Tag(tag), text, body)


def decode_text(data: bytes | bytearray) -> Any:
    """Return a frame's plain values.

    Raises:
        ProtocolError: the text is no JSON.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("its text is no JSON") from error


def padded_size(nbytes: int) -> int:
    """Return how many bytes an array takes in a frame."""
    return -(-nbytes // 8) * 8


def one_line(text: str, limit: int = 500) -> str:
    """Return any text as one printable line of limited length."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * limit])
    return " ".join(printable.split())[:limit]


def _padding(nbytes: int) -> memoryview:
    return memoryview(bytes(padded_size(nbytes) - nbytes))
