"""Hears every line of a game, those clicked away at ``--More--`` included."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from densegym.errors import DenseGymError

_SPINNING = 10_000  # lines in one step; only a key sequence that never ends gets there


@lru_cache(maxsize=1 << 14)
def decode(buffer: bytes) -> str:
    """Return the text of a zero-terminated message buffer; every byte is a character."""
    return buffer.split(b"\0", 1)[0].decode("latin-1")


class Lines:
    """What one game says in one env step.

    Upstream presses space through ``--More--``, so that only the last line reaches the
    observation; under random play one step in six loses others. Lines of a game that is over
    are not kept.

    Args:
        message: the message buffer that the game writes, (256,) uint8.
        program_state: its program state, (6,) int32; entry 0 tells that the game is over.
    """

    def __init__(self, message: Any, program_state: Any) -> None:
        self._message, self._state = message, program_state
        self._heard: list[bytes] = []

    def clear(self) -> None:
        """Forget the last step."""
        self._heard.clear()

    def listen(self) -> None:
        """Keep what the game says now.

        Raises:
            DenseGymError: one env step does not come to an end.
        """
        if self._message[0] and not self._state[0]:
            self._heard.append(self._message.tobytes())
            if len(self._heard) > _SPINNING:
                raise DenseGymError(
                    f"one step made the game speak {_SPINNING} times, at last "
                    f'"{decode(self._heard[-1])}": a scripted key sequence does not end'
                )

    def __len__(self) -> int:
        return len(self._heard)

    def forget_after(self, count: int) -> None:
        """Keep only the first ``count`` lines."""
        del self._heard[count:]

    def texts(self) -> tuple[str, ...]:
        """Return the lines in order, each once."""
        heard = self._heard
        if len(heard) <= 1:
            return (decode(heard[0]),) if heard else ()
        return tuple(dict.fromkeys(map(decode, heard)))
