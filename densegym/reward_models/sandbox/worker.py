"""The worker process: reads programs and batches from stdin, writes results to stdout.

It is started by ``process`` under ``python -I`` with an empty environment. Its first frame says
how far it is confined; then every request has one answer.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from densegym.reward_models.sandbox.frames import (
    HEADER_BYTES,
    MAX_PIECES,
    Tag,
    advance,
    decode_header,
    decode_text,
    encode,
    one_line,
    padded_size,
)
from densegym.reward_models.sandbox.inspection import Inspection
from densegym.reward_models.sandbox.jail import confine, renew_cpu_time
from densegym.reward_models.sandbox.namespace import author_line, load_entry
from densegym.reward_models.sandbox.results import BadShapeError, Result, check_result
from densegym.reward_models.sandbox.status import Status

_STDIN, _STDOUT = 0, 1


def main() -> None:
    """Confine this process and serve requests until stdin closes."""
    _, parent, memory_bytes = sys.argv[1:]
    level = confine(int(parent), int(memory_bytes))
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    _write(encode(Tag.READY, {"isolation": level}))
    server = _Server()
    while server.serve():
        pass


class _Server:
    """Holds the program of the last ``LOAD``, and the buffer that batches are read into."""

    def __init__(self) -> None:
        self._program: Inspection | None = None
        self._entry: Callable[..., Any] | None = None
        self._buffer = bytearray()

    def serve(self) -> bool:
        """Answer one request; False at the end of stdin."""
        head = bytearray(HEADER_BYTES)
        if not _read(memoryview(head)):
            return False
        tag, length, size = decode_header(head)
        text = bytearray(length)
        _read(memoryview(text))
        renew_cpu_time()
        try:
            if len(self._buffer) < size:
                self._buffer = bytearray(size)
        except MemoryError:
            _write(_failure(Status.OOM, "the batch is larger than the worker's memory"))
            return False
        body = memoryview(self._buffer)[:size]
        _read(body)
        _write(self._answer(tag, decode_text(text), body.toreadonly()))
        return True

    def _answer(self, tag: Tag, text: Any, body: memoryview) -> list[memoryview]:
        try:
            if tag is Tag.LOAD:
                return self._load(text)
            return self._call(text["rows"], text["steps"], text["arrays"], body)
        except MemoryError as error:
            return _failure(Status.OOM, _told(error))
        except BadShapeError as error:
            return _failure(Status.BAD_SHAPE, str(error))
        except Exception as error:  # whatever a program raises is its author's to know
            return _failure(Status.RUNTIME_ERROR, _told(error))

    def _load(self, text: Any) -> list[memoryview]:
        self._program = Inspection(
            status=Status.OK,
            kind=text["kind"],
            parameters=tuple(text["parameters"]),
            memory=text["memory"],
            code=text["code"],
            lines=tuple(text["lines"]),
        )
        self._entry = load_entry(self._program)
        return encode(Tag.RESULT, [])

    def _call(
        self, rows: int, steps: int, layout: Sequence[tuple[str, Sequence[int]]], body: memoryview
    ) -> list[memoryview]:
        arrays, offset = [], 0
        for dtype, shape in layout:
            array: np.ndarray = np.ndarray(shape, dtype, buffer=body, offset=offset)
            arrays.append(array)
            offset += padded_size(array.nbytes)
        if steps == 1:
            result = self._score(arrays, rows)
            return encode(Tag.RESULT, result.terms, result.columns)
        return self._course(arrays, rows, steps)

    def _score(self, arguments: Sequence[Any], rows: int) -> Result:
        assert self._entry is not None
        assert self._program is not None
        return check_result(self._entry(*arguments), self._program, rows)

    def _course(self, arrays: list[Any], rows: int, steps: int) -> list[memoryview]:
        """Score ``steps`` batches of ``rows`` rows, which share the memory of their lanes."""
        assert self._program is not None
        slot = self._program.parameters.index("memory") if self._program.memory else None
        batches = [
            array if i == slot else array.reshape(steps, rows, *array.shape[1:])
            for i, array in enumerate(arrays)
        ]
        terms, columns = None, list[Any]()
        for t in range(steps):
            given = [array if i == slot else array[t] for i, array in enumerate(batches)]
            result = self._score(given, rows)
            if terms is None:
                terms = result.terms
                columns = [np.empty((steps, *column.shape)) for column in result.columns]
            if result.terms != terms:
                raise BadShapeError("its terms are others at a later step; always name the same")
            for kept, column in zip(columns, result.columns, strict=True):
                kept[t] = column
            if slot is not None:
                batches[slot] = result.columns[-1]
                batches[slot].flags.writeable = False
        return encode(Tag.RESULT, terms, columns)


def _told(error: BaseException) -> str:
    line = author_line(error)
    message = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, ValueError) and "read-only" in str(error):
        message = "inputs are read-only; work on a copy, such as feature.copy()"
    return f"line {line}: {message}" if line else message


def _failure(status: Status, feedback: str) -> list[memoryview]:
    return encode(Tag.FAILED, {"status": status, "feedback": one_line(feedback)})


def _read(view: memoryview) -> bool:
    """Fill a view from stdin; False if stdin has ended."""
    while view:
        count = os.readv(_STDIN, [view])
        if count == 0:
            return False
        view = view[count:]
    return True


def _write(pieces: list[memoryview]) -> None:
    while pieces:
        advance(pieces, os.writev(_STDOUT, pieces[:MAX_PIECES]))
