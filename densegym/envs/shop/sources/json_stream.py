"""JSON larger than memory: the elements of one big array, object or line file, one at a time."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from densegym.errors import DenseGymError

CHUNK = 1 << 20
MAX_ELEMENT = 1 << 24  # characters; the largest real product is some hundred thousand
_DECODER = json.JSONDecoder()
_GZIP = b"\x1f\x8b"
_BLANK = " \t\n\r"
_ENDS = tuple(_BLANK + ",]}")


class JsonStream:
    """A file of JSON, plain or gzip, read element by element.

    Attributes:
        path: the file, for messages.
        position: characters consumed so far.
        count: elements yielded so far.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = 0
        self.count = 0
        self._buffer = ""
        self._at = 0

    def elements(self) -> Iterator[Any]:
        """Yield the elements of a top-level array, or the values of a file of JSON lines.

        Raises:
            DenseGymError: not readable, not JSON, cut off, or an element of over 16 million signs.
        """
        with self._open() as file:
            array = self._peek(file) == "["
            if array:
                self._take("[", file)
                if self._peek(file) == "]":
                    self._take("]", file)
                    return self._expect_end(file)
            while self._peek(file) or array:
                yield self._value(file)
                if array and self._take(",]", file) == "]":
                    return self._expect_end(file)

    def members(self) -> Iterator[tuple[str, Any]]:
        """Yield the (key, value) pairs of a top-level object; raises as ``elements``."""
        with self._open() as file:
            self._take("{", file)
            if self._peek(file) == "}":
                self._take("}", file)
                return self._expect_end(file)
            while True:
                key = self._value(file)
                if not isinstance(key, str):
                    raise self.error("a key in quotes was expected")
                self._take(":", file)
                yield key, self._value(file)
                if self._take(",}", file) == "}":
                    return self._expect_end(file)

    def error(self, what: str) -> DenseGymError:
        """Return an error that names the file, the element and the position."""
        place = f"element {self.count}, character {self.position + self._at}"
        return DenseGymError(f"{self.path}: {place}: {what}")

    def _open(self) -> TextIO:
        try:
            with self.path.open("rb") as file:
                zipped = file.read(2) == _GZIP
            if zipped:
                return gzip.open(self.path, "rt", encoding="utf-8-sig")
            return self.path.open(encoding="utf-8-sig")
        except OSError as error:
            raise DenseGymError(f"{self.path}: cannot be read: {error.strerror}") from error

    def _read(self, file: TextIO, size: int) -> bool:
        """Append up to ``size`` characters; return whether there were any."""
        try:
            more = file.read(size)
        except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
            raise self.error(f"the file is cut off or damaged ({error})") from error
        self.position += self._at
        self._buffer = self._buffer[self._at :] + more
        self._at = 0
        return bool(more)

    def _peek(self, file: TextIO) -> str:
        """Skip blanks; return the next character, or an empty string at the end."""
        while True:
            while self._at < len(self._buffer) and self._buffer[self._at] in _BLANK:
                self._at += 1
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._read(file, CHUNK):
                return ""

    def _take(self, allowed: str, file: TextIO) -> str:
        found = self._peek(file)
        if not found or found not in allowed:
            wanted = " or ".join(f"'{sign}'" for sign in allowed)
            got = f"'{found}'" if found else "the end of the file"
            raise self.error(f"{wanted} was expected, {got} was found")
        self._at += 1
        return found

    def _expect_end(self, file: TextIO) -> None:
        if found := self._peek(file):
            raise self.error(f"the end of the file was expected, '{found}' was found")

    def _value(self, file: TextIO) -> Any:
        self._peek(file)
        while True:
            start, waiting = self._at, len(self._buffer) - self._at
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._at)
            except RecursionError as error:
                raise self.error("JSON nested too deeply") from error
            except ValueError as error:
                if waiting > MAX_ELEMENT or not self._read(file, max(CHUNK, waiting)):
                    raise self.error(f"malformed or cut-off JSON: {error}") from error
                continue
            # A number that nothing ends yet may have more digits to come.
            number = isinstance(value, int | float) and self._buffer[end : end + 1] not in _ENDS
            if not number or waiting > MAX_ELEMENT or not self._read(file, CHUNK):
                self._at += end - start
                self.count += 1
                return value
