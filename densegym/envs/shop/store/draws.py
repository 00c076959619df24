"""Random numbers that belong to a name: the same in every process, whatever was drawn before."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np


def generator(*key: str | int) -> np.random.Generator:
    """Return a Philox generator whose 128-bit key is the hash of ``key``."""
    return np.random.Generator(np.random.Philox(key=_digest(key, 16)))


def fraction(*key: str | int) -> float:
    """Return a number in [0, 1) that belongs to ``key``; the hash itself, without a generator."""
    return _digest(key, 8) / 2**64


def _digest(key: Iterable[str | int], size: int) -> int:
    content = "\0".join(map(str, key)).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(content, digest_size=size).digest(), "little")
